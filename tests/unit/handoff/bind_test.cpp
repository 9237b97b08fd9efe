// The current context goes along with work that runs elsewhere, and nowhere else.
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/context/bind.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("handoff_test"); }
SpanId current() { return Context::current().span.span_id; }

struct Posts {
  std::vector<std::function<void()>> queue;
  void post(std::function<void()> work) { queue.push_back(std::move(work)); }
  int submit(std::function<void()>) { return -1; }
};
struct Submits {
  std::vector<std::function<void()>> queue;
  int submit(std::function<void()> work) {
    queue.push_back(std::move(work));
    return 42;
  }
};
struct Executes {
  template <class Work>
  void execute(Work&& work) const {
    std::forward<Work>(work)();
  }
};

class Bind : public ::testing::Test {
 protected:
  testing::Recorder recorder_;
};

TEST_F(Bind, makesTheContextOfItsLineCurrentWhereTheWorkRuns) {
  std::function<void()> work;
  {
    const Span order = tracer().start("order");
    const Scope scope = order.activate();
    work = bind([] { tracer().start("settle").end(); });
  }
  std::thread(work).join();
  EXPECT_EQ(recorder_.tree(), R"(
order INTERNAL
  settle INTERNAL
)");
}

TEST_F(Bind, givesTheThreadItsOwnContextBack) {
  const Span own = tracer().start("own");
  const Scope scope = own.activate();
  auto other = bind([] { return current(); }, Context{});
  EXPECT_FALSE(other().valid());
  EXPECT_EQ(current(), own.context().span_id);
}

TEST_F(Bind, givesTheThreadItsOwnContextBackWhenTheWorkThrows) {
  Context bound;
  bound.span = tracer().start("bound").context();
  const auto work = bind([] { throw std::runtime_error("no"); }, bound);
  EXPECT_THROW(work(), std::runtime_error);
  EXPECT_FALSE(current().valid());
}

TEST_F(Bind, takesBaggageAndSuppressionAlong) {
  Context context;
  context.baggage = context.baggage.with("tenant", "a");
  context.suppressed = true;
  const Context seen = bind([] { return Context::current(); }, context)();
  EXPECT_EQ(seen, context);
}

TEST_F(Bind, passesArgumentsAndResultsThroughAsTheyAre) {
  int value = 1;
  auto reference = bind([](int& number) -> int& { return ++number; });
  int& result = reference(value);
  EXPECT_EQ(&result, &value);
  EXPECT_EQ(value, 2);
  auto owner = bind([](std::unique_ptr<int> number) { return number; });
  EXPECT_EQ(*owner(std::make_unique<int>(7)), 7);
}

struct Calls {
  int operator()() & { return 1; }
  int operator()() const& { return 2; }
  int operator()() && { return 3; }
};

TEST_F(Bind, callsTheCallableAsItIsCalledItself) {
  auto work = bind(Calls());
  const auto& constant = work;
  EXPECT_EQ(work(), 1);
  EXPECT_EQ(constant(), 2);
  EXPECT_EQ(std::move(work)(), 3);
}

TEST_F(Bind, holdsCallablesThatCanOnlyBeMoved) {
  auto work = bind([number = std::make_unique<int>(5)] { return *number; });
  auto moved = std::move(work);
  EXPECT_EQ(moved(), 5);
}

TEST_F(Bind, takesCallablesOfTheStandardLibrary) {
  const std::function<int(int)> twice = [](int number) { return current().valid() ? -1 : 2 * number; };
  EXPECT_EQ(midtrace::bind(twice)(4), 8);
  Posts posts;
  midtrace::post(posts, std::function<void()>([] {}));
  EXPECT_EQ(posts.queue.size(), 1U);
}

TEST_F(Bind, mayBeCalledByManyThreadsAtOnce) {
  const Span order = tracer().start("order");
  Context context;
  context.span = order.context();
  std::atomic<int> right{0};
  const auto work = bind([&] { right += current() == order.context().span_id ? 1 : 0; }, context);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&work] {
      for (int j = 0; j < 1000; ++j)
        work();
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(right, 8000);
}

TEST_F(Bind, startsThreadsAndAsynchronousCallsWithTheCurrentContext) {
  const Span order = tracer().start("order");
  const Scope scope = order.activate();
  SpanId in_thread;
  start_thread([&in_thread](int) { in_thread = current(); }, 1).join();
  EXPECT_EQ(in_thread, order.context().span_id);
  const auto add = [](int a, int b) { return current().valid() ? a + b : 0; };
  EXPECT_EQ(start_async(std::launch::async, add, 1, 2).get(), 3);
}

TEST_F(Bind, postsToWhateverTakesWork) {
  Posts posts;
  Submits submits;
  SpanId seen[3];
  const Span order = tracer().start("order");
  {
    const Scope scope = order.activate();
    post(posts, [&seen] { seen[0] = current(); });
    EXPECT_EQ(post(submits, [&seen] { seen[1] = current(); }), 42);
    post(Executes(), [&seen] { seen[2] = current(); });
  }
  posts.queue.at(0)();
  submits.queue.at(0)();
  for (const SpanId& id : seen)
    EXPECT_EQ(id, order.context().span_id);
}

}  // namespace
}  // namespace midtrace
