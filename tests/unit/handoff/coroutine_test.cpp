// Coroutines that keep their context, wherever they are resumed, and leave none behind.
#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/context/coroutine.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("handoff_test"); }
SpanId current() { return Context::current().span.span_id; }

// Runs at once, and destroys itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

// Suspends until resume() is called.
struct Gate {
  std::coroutine_handle<> waiting = {};
  int result = 0;
  bool fails = false;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiting = handle; }
  int await_resume() const {
    if (fails) throw std::runtime_error("no answer");
    return result;
  }
  void resume(int value) {
    result = value;
    waiting.resume();
  }
};

class Coroutine : public ::testing::Test {
 protected:
  testing::Recorder recorder_{{.batch = {.queue_size = 65536}}};
};

TEST_F(Coroutine, hasItsContextBeforeAndAfterAndLeavesNoneOnTheThreadMeanwhile) {
  Gate gate;
  const auto run = [&gate]() -> Detached {
    const Span span = tracer().start("settle");
    CoroutineScope scope(span);
    EXPECT_EQ(current(), span.context().span_id);
    EXPECT_EQ(co_await scope.await(gate), 7);
    EXPECT_EQ(current(), span.context().span_id);
    tracer().start("after").end();
  };
  run();
  EXPECT_FALSE(current().valid()) << "the thread does other work now";
  gate.resume(7);
  EXPECT_FALSE(current().valid());
  EXPECT_EQ(recorder_.tree(), R"(
settle INTERNAL
  after INTERNAL
)");
  EXPECT_EQ(recorder_.counters()[Counter::scopes_ended_elsewhere], 0U);
  EXPECT_EQ(recorder_.counters()[Counter::scopes_ended_out_of_order], 0U);
}

TEST_F(Coroutine, takesItsContextToTheThreadThatResumesIt) {
  Gate gate;
  const auto run = [&gate]() -> Detached {
    const Span span = tracer().start("settle");
    CoroutineScope scope(span);
    co_await scope.await(gate);
    tracer().start("elsewhere").end();
  };
  run();
  std::thread([&gate] {
    const Span own = tracer().start("the thread's own");
    const Scope scope = own.activate();
    gate.resume(1);
    EXPECT_EQ(current(), own.context().span_id);
  }).join();
  EXPECT_EQ(recorder_.tree(), R"(
settle INTERNAL
  elsewhere INTERNAL
the thread's own INTERNAL
)");
  EXPECT_EQ(recorder_.counters()[Counter::scopes_ended_elsewhere], 0U);
}

TEST_F(Coroutine, hasItsContextAgainWhenWhatItAwaitedThrows) {
  Gate gate{.fails = true};
  const auto run = [&gate]() -> Detached {
    const Span span = tracer().start("settle");
    CoroutineScope scope(span);
    try {
      co_await scope.await(gate);
      ADD_FAILURE() << "it did not throw";
    } catch (const std::runtime_error&) {
      EXPECT_EQ(current(), span.context().span_id);
    }
  };
  run();
  gate.resume(0);
  EXPECT_FALSE(current().valid());
}

struct Ready {
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  SpanId await_resume() const noexcept { return current(); }
};
struct RefusesToSuspend {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  SpanId await_resume() const noexcept { return current(); }
};
struct ThrowsInSuspend {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const { throw std::runtime_error("no"); }
  void await_resume() const noexcept {}
};
struct HasOperator {
  Ready operator co_await() const noexcept { return {}; }
};
struct HasFreeOperator {};
Ready operator co_await(HasFreeOperator) noexcept { return {}; }

TEST_F(Coroutine, keepsItsContextWhenItDoesNotSuspendAtAll) {
  const auto run = []() -> Detached {
    const Span span = tracer().start("settle");
    CoroutineScope scope(span);
    const SpanId own = span.context().span_id;
    EXPECT_EQ(co_await scope.await(Ready()), own);
    EXPECT_EQ(co_await scope.await(RefusesToSuspend()), own);
    EXPECT_EQ(co_await scope.await(HasOperator()), own);
    EXPECT_EQ(co_await scope.await(HasFreeOperator()), own);
    EXPECT_EQ(current(), own);
    try {
      co_await scope.await(ThrowsInSuspend());
      ADD_FAILURE() << "it did not throw";
    } catch (const std::runtime_error&) {
      EXPECT_EQ(current(), own);
    }
  };
  run();
  EXPECT_FALSE(current().valid());
}

// Awaiters that hold a lock or a list hook can often be neither copied nor moved.
struct Immovable {
  explicit Immovable(Gate& waits_for) noexcept : gate(waits_for) {}
  Immovable(const Immovable&) = delete;
  Immovable& operator=(const Immovable&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    suspended_at = this;
    gate.waiting = handle;
  }
  int await_resume() const noexcept { return suspended_at == this ? gate.result : -1; }

  Gate& gate;
  const Immovable* suspended_at = nullptr;
};
struct GivesImmovable {
  Gate& gate;
  Immovable operator co_await() const noexcept { return Immovable(gate); }
};

TEST_F(Coroutine, awaitsWhatCannotBeMoved) {
  Gate gate;
  int sum = 0;
  const auto run = [&]() -> Detached {
    const Span span = tracer().start("settle");
    CoroutineScope scope(span);
    sum += co_await scope.await(GivesImmovable{gate});
    EXPECT_EQ(current(), span.context().span_id);
    sum += co_await scope.await(Immovable(gate));
    Immovable named(gate);
    sum += co_await scope.await(named);
    EXPECT_EQ(current(), span.context().span_id);
  };
  run();
  for (const int value : {1, 20, 300}) {
    EXPECT_FALSE(current().valid());
    gate.resume(value);
  }
  EXPECT_EQ(sum, 321);
}

// A promise may say what its coroutines can await; many take only the operations of their own library.
struct AwaitsOnlyGates {
  struct promise_type : Detached::promise_type {
    AwaitsOnlyGates get_return_object() noexcept { return {}; }
    Immovable await_transform(Gate& gate) noexcept { return Immovable(gate); }
  };
};

TEST_F(Coroutine, switchesByHandWhereItsPromiseTakesNoOtherAwaiters) {
  Gate gate;
  const auto run = [&gate]() -> AwaitsOnlyGates {
    const Span order = tracer().start("order");
    CoroutineScope outer(order);
    const Span charge = tracer().start("charge");
    CoroutineScope inner(charge, &outer);
    for (int expected = 7; expected <= 8; ++expected) {
      inner.detach();
      EXPECT_FALSE(current().valid());
      const int value = co_await gate;
      inner.attach();
      EXPECT_EQ(value, expected);
      EXPECT_EQ(current(), charge.context().span_id);
    }
  };
  run();
  EXPECT_FALSE(current().valid());
  std::thread([&gate] {
    gate.resume(7);
    EXPECT_FALSE(current().valid());
  }).join();
  gate.resume(8);
  EXPECT_FALSE(current().valid());
  EXPECT_EQ(recorder_.tree(), R"(
order INTERNAL
  charge INTERNAL
)");
  EXPECT_EQ(recorder_.counters()[Counter::scopes_ended_elsewhere], 0U);
  EXPECT_EQ(recorder_.counters()[Counter::scopes_ended_out_of_order], 0U);
}

TEST_F(Coroutine, takesOuterScopesAlongWithInnerOnes) {
  Gate gate;
  SpanId after_inner;
  const auto run = [&]() -> Detached {
    const Span order = tracer().start("order");
    CoroutineScope outer(order);
    {
      const Span charge = tracer().start("charge");
      CoroutineScope inner(charge, &outer);
      co_await inner.await(gate);
      EXPECT_EQ(current(), charge.context().span_id);
    }
    after_inner = current();
    EXPECT_EQ(after_inner, order.context().span_id);
  };
  run();
  EXPECT_FALSE(current().valid());
  std::thread([&gate] {
    gate.resume(1);
    EXPECT_FALSE(current().valid());
  }).join();
  EXPECT_TRUE(after_inner.valid());
  EXPECT_EQ(recorder_.tree(), R"(
order INTERNAL
  charge INTERNAL
)");
}

TEST_F(Coroutine, thatIsDestroyedWhileItIsSuspendedLeavesNothingBehind) {
  Gate gate;
  const auto run = [&gate]() -> Detached {
    const Span span = tracer().start("settle");
    CoroutineScope scope(span);
    co_await scope.await(gate);
    ADD_FAILURE() << "it was resumed";
  };
  run();
  std::thread([&gate] { gate.waiting.destroy(); }).join();
  EXPECT_FALSE(current().valid());
  EXPECT_EQ(recorder_.tree(), R"(
settle INTERNAL
)");
  EXPECT_EQ(recorder_.counters()[Counter::scopes_ended_elsewhere], 0U);
}

// Workers that resume whatever coroutine is next.
class Pool {
 public:
  explicit Pool(int workers) {
    for (int i = 0; i < workers; ++i)
      threads_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      const std::lock_guard guard(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_)
      thread.join();
  }
  // Awaited, it goes on on one of the workers.
  auto next() {
    struct Next {
      Pool& pool;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) const {
        Pool& workers = pool;  // this object may be gone as soon as a worker has the coroutine
        {
          const std::lock_guard guard(workers.mutex_);
          workers.queue_.push_back(handle);
        }
        workers.changed_.notify_one();
      }
      void await_resume() const noexcept {}
    };
    return Next{*this};
  }

 private:
  void work() {
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const std::coroutine_handle<> handle = queue_.front();
      queue_.pop_front();
      lock.unlock();
      handle.resume();
      if (current().valid()) ADD_FAILURE() << "a coroutine left its context on the worker";
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::coroutine_handle<>> queue_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

TEST_F(Coroutine, byTheHundredOnFourThreadsKeepApart) {
  constexpr int coroutines = 100;
  constexpr int steps = 50;
  std::atomic<int> mixed{0};
  std::atomic<int> left{coroutines};
  {
    Pool pool(4);
    const auto run = [&](int) -> Detached {
      const Span span = tracer().start("order");
      CoroutineScope scope(span);
      for (int step = 0; step < steps; ++step) {
        co_await scope.await(pool.next());
        if (current() != span.context().span_id) mixed.fetch_add(1);
        tracer().start("step").end();
      }
      left.fetch_sub(1);
    };
    for (int i = 0; i < coroutines; ++i)
      run(i);
    while (left.load() > 0)
      std::this_thread::yield();
  }
  EXPECT_EQ(mixed, 0);
  int children = 0;
  for (const testing::OwnedSpan& span : recorder_.spans())
    children += span.name == "step" && span.parent_span_id.valid() ? 1 : 0;
  EXPECT_EQ(children, coroutines * steps);
}

}  // namespace
}  // namespace midtrace
