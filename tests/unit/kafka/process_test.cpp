// ProcessSpan: how it ends, what it says of that, and that the one that nobody ends is ended by its time
// limit, whoever holds it and whatever the holder does meanwhile. No broker: the messages are made up.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client.h"

#include "messaging/detached_span.h"

#include <midtrace/context/coroutine.h>
#include <midtrace/kafka/process.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/current_span.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

using namespace std::chrono_literals;
using kafka::ProcessScope;
using kafka::ProcessSpan;
using kafka::detail::Client;
using kafka::detail::Delivery;
using messaging::DetachedSpans;

class KafkaProcessSpan : public ::testing::Test {
 protected:
  void SetUp() override { make_client({}); }

  void make_client(kafka::Options options) {
    client_ = std::make_shared<Client>(
        std::make_shared<const kafka::detail::ReadyOptions>(std::move(options)), nullptr);
  }
  ProcessScope process() {
    const Delivery delivery{&message_};
    return ProcessScope(kafka::detail::start_process({&delivery, 1}, client_, false));
  }
  // What a client that starts another process span, or the collector, does as long after now as this.
  void look_after(std::chrono::nanoseconds time) {
    client_->detached_spans().look_at(DetachedSpans::monotonic_nanos() + time.count());
  }
  std::string tree() {
    return recorder_.tree(
        {.without = {"messaging.system", "messaging.operation.name", "messaging.operation.type",
                     "messaging.kafka.offset", "messaging.destination.partition.id"}});
  }
  std::uint64_t timed_out() { return recorder_.counters()[Counter::operations_timed_out]; }

  testing::Recorder recorder_;
  rd_kafka_message_t message_ = [] {
    rd_kafka_message_t message{};
    message.payload = const_cast<char*>("order");
    message.len = 5;
    return message;
  }();
  std::shared_ptr<Client> client_;
};

TEST_F(KafkaProcessSpan, OfAScopeSaysNothingOfItsEnd) {
  { const ProcessScope scope = process(); }
  EXPECT_EQ(tree(), R"(
process CONSUMER
)");
}

struct Ending {
  const char* name;
  std::function<void(ProcessSpan)> end;
  const char* tree;
};

class KafkaProcessEnding : public KafkaProcessSpan, public ::testing::WithParamInterface<Ending> {};

TEST_P(KafkaProcessEnding, IsWrittenOnASpanThatWasDetached) {
  GetParam().end(process().detach());
  EXPECT_EQ(tree(), GetParam().tree);
  EXPECT_EQ(timed_out(), 0U);
}

// The same without a time limit, where the span stays with its holder.
TEST_P(KafkaProcessEnding, IsWrittenOnASpanWithoutATimeLimit) {
  make_client({.process_timeout = 0ms});
  GetParam().end(process().detach());
  EXPECT_EQ(tree(), GetParam().tree);
}

INSTANTIATE_TEST_SUITE_P(All, KafkaProcessEnding,
                         ::testing::Values(Ending{"end",
                                                  [](ProcessSpan work) {
                                                    work.end();
                                                    work.end_by_commit();
                                                  },
                                                  R"(
process CONSUMER
  midtrace.process.ended_by = end
)"},
                                           Ending{"commit", [](ProcessSpan work) { work.end_by_commit(); },
                                                  R"(
process CONSUMER
  midtrace.process.ended_by = commit
)"},
                                           Ending{"destroyed",
                                                  [](ProcessSpan work) {
                                                    std::thread([held = std::move(work)] {}).join();
                                                  },
                                                  R"(
process CONSUMER
  midtrace.process.ended_by = destroyed
)"},
                                           Ending{"assigned",
                                                  [](ProcessSpan work) {
                                                    work = ProcessSpan();
                                                    work.end();
                                                  },
                                                  R"(
process CONSUMER
  midtrace.process.ended_by = destroyed
)"},
                                           Ending{"exception",
                                                  [](ProcessSpan work) {
                                                    try {
                                                      const ProcessSpan held = std::move(work);
                                                      throw std::runtime_error("secret");
                                                    } catch (const std::exception&) {
                                                    }
                                                  },
                                                  R"(
process CONSUMER
  status ERROR: left by an exception
  error.type = _OTHER
  midtrace.process.ended_by = exception
)"},
                                           Ending{"error",
                                                  [](ProcessSpan work) {
                                                    work.set_error("out_of_stock", "none left");
                                                    work.end();
                                                  },
                                                  R"(
process CONSUMER
  status ERROR: none left
  error.type = out_of_stock
  midtrace.process.ended_by = end
)"}),
                         [](const auto& ending) { return std::string(ending.param.name); });

// A coroutine that runs at once and is resumed by hand.
struct Work {
  struct promise_type {
    Work get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

Work handle_elsewhere(ProcessSpan work) {
  CoroutineScope scope(work.span());
  const Span before = Tracer::get("test").start("before");
  co_await scope.await(std::suspend_always());
  const Span after = Tracer::get("test").start("after");
  work.end();
}

TEST_F(KafkaProcessSpan, CrossesACoroutineThatIsResumedOnAnotherThread) {
  const Work work = handle_elsewhere(process().detach());
  EXPECT_FALSE(Context::current().span.valid());
  std::thread([&work] { work.handle.resume(); }).join();
  EXPECT_EQ(tree(), R"(
process CONSUMER
  midtrace.process.ended_by = end
  after INTERNAL
  before INTERNAL
)");
}

TEST_F(KafkaProcessSpan, ThatIsAbandonedIsEndedByItsTimeLimitAndCounted) {
  ProcessSpan work = process().detach();
  look_after(4min);
  EXPECT_EQ(tree(), "\n");
  look_after(6min);
  EXPECT_EQ(tree(), R"(
process CONSUMER
  status ERROR: neither used nor ended within process_timeout
  error.type = timeout
  midtrace.process.ended_by = timeout
)");
  EXPECT_EQ(timed_out(), 1U);
}

TEST_F(KafkaProcessSpan, ThatTimedOutDoesNothingMoreButKeepsItsContext) {
  ProcessSpan work = process().detach();
  const SpanContext context = work.span().context();
  work = ProcessSpan(std::move(work));
  look_after(6min);
  look_after(12min);
  ASSERT_EQ(timed_out(), 1U);
  const std::string ended = tree();

  EXPECT_FALSE(work.span().recording());
  EXPECT_EQ(work.span().context(), context);
  work.span().set("app.late", true);
  work.set_error("late");
  {
    const auto active = work.activate();
    EXPECT_EQ(Context::current().span, context);
    current_span().set("app.late", true);
  }
  ProcessSpan elsewhere = std::move(work);
  elsewhere.end();
  elsewhere.end_by_commit();
  look_after(18min);
  EXPECT_EQ(tree(), ended);
  EXPECT_EQ(timed_out(), 1U);
}

TEST_F(KafkaProcessSpan, ThatIsCurrentSomewhereIsNotAbandoned) {
  ProcessSpan work = process().detach();
  {
    const auto outer = work.activate();
    { const auto inner = work.activate(); }
    look_after(6min);
    look_after(12min);
    EXPECT_EQ(timed_out(), 0U);
  }
  look_after(18min);  // what was used since the last look gets its whole time again
  EXPECT_EQ(timed_out(), 0U);
  look_after(24min);
  EXPECT_EQ(timed_out(), 1U);
}

TEST_F(KafkaProcessSpan, WhoseReferenceIsOutIsNotAbandonedUntilItMoves) {
  ProcessSpan work = process().detach();
  Span& span = work.span();
  look_after(6min);
  look_after(12min);
  EXPECT_EQ(timed_out(), 0U);
  span.set("app.state", "queued");
  const ProcessSpan queued = std::move(work);
  look_after(18min);
  look_after(24min);
  EXPECT_EQ(timed_out(), 1U);
  EXPECT_NE(tree().find("app.state = queued"), std::string::npos);
}

TEST_F(KafkaProcessSpan, ThatEndedInTimeIsNotLookedAtAgain) {
  for (int i = 0; i < 3; ++i) {
    ProcessSpan first = process().detach();
    ProcessSpan second = process().detach();
    ProcessSpan third = process().detach();
    second.end();
    first.end();
  }
  look_after(6min);
  EXPECT_EQ(timed_out(), 0U);
  EXPECT_EQ(recorder_.spans().size(), 9U);
}

TEST_F(KafkaProcessSpan, IsEndedByTheNextProcessSpanOfItsClient) {
  make_client({.process_timeout = 1ms});
  const ProcessSpan work = process().detach();
  const std::int64_t begin = DetachedSpans::monotonic_nanos();
  while (DetachedSpans::monotonic_nanos() < begin + 20'000'000)
    std::this_thread::yield();
  { const ProcessScope next = process(); }
  EXPECT_EQ(timed_out(), 1U);
}

TEST_F(KafkaProcessSpan, IsEndedByTheCollectorWhenItsClientIsGone) {
  make_client({.process_timeout = 1ms});
  const ProcessSpan work = process().detach();
  client_.reset();
  const auto give_up = std::chrono::steady_clock::now() + 20s;
  while (recorder_.spans().empty() && std::chrono::steady_clock::now() < give_up)
    std::this_thread::yield();
  EXPECT_EQ(timed_out(), 1U);
  EXPECT_EQ(recorder_.spans().size(), 1U);
}

TEST_F(KafkaProcessSpan, ThatAreAbandonedTogetherAreMoreThanAQueueHolds) {
  constexpr std::size_t many = 3000;
  // Long enough to start them all: a thread that starts one also ends some that are abandoned, and its own
  // queue may fill up where the collector is kept waiting.
  make_client({.process_timeout = 300ms});
  std::vector<ProcessSpan> lost;
  for (std::size_t i = 0; i < many; ++i)
    lost.push_back(process().detach());
  const auto give_up = std::chrono::steady_clock::now() + 20s;
  while (timed_out() < many && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(timed_out(), many);
  EXPECT_EQ(recorder_.spans().size(), many);
}

TEST_F(KafkaProcessSpan, RunsItsHookOnceWhoeverEndsIt) {
  int finished = 0;
  kafka::Options options;
  options.on_finish = [&finished](Span&, const kafka::Call&) { ++finished; };
  make_client(options);
  {
    ProcessSpan work = process().detach();
    look_after(6min);
    work.end();
  }
  EXPECT_EQ(finished, 1);
}

// The holder works, the time runs out at any moment, and one of them ends each span. ThreadSanitizer sees
// that nobody touches the span beside its owner.
TEST_F(KafkaProcessSpan, IsEndedByItsHolderOrItsTimeLimitAndNeverByBoth) {
  constexpr std::size_t spans = 1500;  // below the queue of finished spans
  std::atomic<bool> done{false};
  std::thread impatient([this, &done] {
    const std::int64_t begin = DetachedSpans::monotonic_nanos();
    for (std::int64_t hour = 1; !done.load(); hour += hour < 2000000 ? 1 : 0)
      client_->detached_spans().look_at(begin + hour * 3'600'000'000'000);
  });
  for (std::size_t i = 0; i < spans; ++i) {
    ProcessSpan work = process().detach();
    {
      const auto active = work.activate();
      current_span().set("app.active", true);
      work.span().set("app.step", static_cast<std::int64_t>(i));
    }
    work.set_error("app_error");
    ProcessSpan moved = std::move(work);
    if (i % 3 == 0) std::this_thread::yield();
    if (i % 2 == 0) moved.end();
  }
  done = true;
  impatient.join();
  std::size_t by_limit = 0;
  const std::vector<testing::OwnedSpan> ended = recorder_.spans();
  for (const testing::OwnedSpan& span : ended)
    by_limit += span.attribute("midtrace.process.ended_by") == "timeout" ? 1 : 0;
  EXPECT_EQ(ended.size(), spans);
  EXPECT_EQ(by_limit, timed_out());
  EXPECT_EQ(recorder_.counters().dropped_spans(), 0U);
}

}  // namespace
}  // namespace midtrace
