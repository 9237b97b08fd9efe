// The collector: queues that are full, batches, schedules, flushes, and exporters that fail or never return.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

#include "test_exporters.h"

namespace midtrace {
namespace {

using midtrace_test::CountingExporter;
using midtrace_test::GatedExporter;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

Tracer tracer() { return Tracer::get("collector_test"); }

void make_spans(int count) {
  for (int i = 0; i < count; ++i)
    tracer().start("span").end();
}

template <class Condition>
bool eventually(Condition condition, seconds patience = seconds(20)) {
  const auto until = steady_clock::now() + patience;
  while (!condition()) {
    if (steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

struct Traced {
  template <class Sink>
  explicit Traced(std::shared_ptr<Sink> exporter, BatchOptions batch = {}) : before(counters()) {
    SetupOptions options;
    options.exporters.push_back(exporter);
    options.sampler = always_on_sampler();
    options.batch = batch;
    options.read_environment = false;
    telemetry = setup(std::move(options));
    EXPECT_TRUE(telemetry.ok()) << telemetry.error();
  }
  std::uint64_t counted(Counter counter) const { return counters()[counter] - before[counter]; }

  Counters before;
  Telemetry telemetry;
};

TEST(Queue, that_is_full_drops_spans_and_counts_them) {
  const auto gate = std::make_shared<GatedExporter>();
  Traced traced(gate, {.queue_size = 16, .export_batch_size = 1});
  make_spans(9);  // more than half
  ASSERT_TRUE(gate->wait_until_entered());
  ASSERT_TRUE(eventually([&] {
    make_spans(1);
    return traced.counted(Counter::dropped_queue_full) > 0;
  }));
  const std::uint64_t finished = traced.counted(Counter::spans_finished);
  const std::uint64_t dropped = traced.counted(Counter::dropped_queue_full);
  make_spans(100);
  EXPECT_EQ(traced.counted(Counter::dropped_queue_full), dropped + 100);
  EXPECT_EQ(traced.counted(Counter::spans_finished), finished);
  EXPECT_GE(finished, 16U);
  EXPECT_LE(finished, 18U);
  gate->open_gate();
  EXPECT_TRUE(traced.telemetry.flush());
  make_spans(5);
  EXPECT_TRUE(traced.telemetry.flush());
  EXPECT_EQ(gate->spans.load(), finished + 5);
  EXPECT_EQ(traced.counted(Counter::spans_exported), finished + 5);
}

TEST(Queue, holds_the_next_power_of_two) {
  const auto gate = std::make_shared<GatedExporter>();
  Traced traced(gate, {.queue_size = 100, .export_batch_size = 1, .schedule_delay = seconds(60)});
  make_spans(70);  // more than half of 128 wakes the collector
  ASSERT_TRUE(gate->wait_until_entered());
  make_spans(300);
  const std::uint64_t finished = traced.counted(Counter::spans_finished);
  EXPECT_GE(finished, 128U);
  EXPECT_LE(finished, 130U);
  gate->open_gate();
}

TEST(Queue, of_one_works) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 1, .export_batch_size = 1});
  for (int i = 0; i < 100; ++i) {
    make_spans(1);
    EXPECT_TRUE(traced.telemetry.flush());
  }
  EXPECT_EQ(exporter->spans.load(), 100U);
}

TEST(Batches, are_never_larger_than_asked_for_and_never_overlap) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 4096, .export_batch_size = 100});
  make_spans(1050);
  EXPECT_TRUE(traced.telemetry.flush());
  std::size_t sum = 0;
  for (const std::size_t size : exporter->sizes()) {
    EXPECT_LE(size, 100U);
    EXPECT_GT(size, 0U);
    sum += size;
  }
  EXPECT_EQ(sum, 1050U);
  EXPECT_EQ(exporter->sizes().size(), 11U);
  EXPECT_FALSE(exporter->overlapped.load());
}

TEST(Batches, go_out_by_themselves_after_the_schedule_delay) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.schedule_delay = milliseconds(50)});
  make_spans(3);
  EXPECT_EQ(exporter->spans.load(), 0U);
  EXPECT_TRUE(eventually([&] { return exporter->spans.load() == 3; }));
  make_spans(2);
  EXPECT_TRUE(eventually([&] { return exporter->spans.load() == 5; }));
}

TEST(Batches, go_out_before_the_schedule_delay_when_the_queue_is_half_full) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 64, .export_batch_size = 64, .schedule_delay = seconds(600)});
  EXPECT_TRUE(eventually([&] {
    make_spans(40);
    return exporter->spans.load() >= 700;
  }));
}

TEST(Batches, go_out_before_the_schedule_delay_when_they_are_full) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 2048, .export_batch_size = 10, .schedule_delay = seconds(3600)});
  make_spans(9);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(exporter->spans.load(), 0U);
  make_spans(1);
  EXPECT_TRUE(eventually([&] { return exporter->spans.load() == 10; }));
}

TEST(Batches, of_an_idle_process_do_not_exist) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.schedule_delay = milliseconds(5)});
  std::this_thread::sleep_for(milliseconds(60));
  EXPECT_TRUE(traced.telemetry.flush());
  EXPECT_TRUE(exporter->sizes().empty());
}

TEST(Flush, exports_everything_that_ended_before_it_on_any_thread) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 8192, .schedule_delay = seconds(600)});
  for (std::uint64_t round = 1; round <= 20; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([] { make_spans(50); });
    for (std::thread& thread : threads)
      thread.join();
    make_spans(10);
    EXPECT_TRUE(traced.telemetry.flush());
    EXPECT_EQ(exporter->spans.load(), round * 210);
  }
  EXPECT_GE(exporter->flushes.load(), 20);
}

TEST(Flush, of_nothing_succeeds) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter);
  EXPECT_TRUE(traced.telemetry.flush());
  EXPECT_TRUE(traced.telemetry.flush(milliseconds(1000)));
}

TEST(Flush, from_four_threads_at_once_keeps_its_promise_to_each) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 65536, .schedule_delay = seconds(600)});
  std::atomic<std::uint64_t> ended{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        make_spans(20);
        const std::uint64_t before = ended.fetch_add(20) + 20;
        EXPECT_TRUE(traced.telemetry.flush());
        EXPECT_GE(exporter->spans.load(), before);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(exporter->spans.load(), 8000U);
}

TEST(Flush, returns_while_other_threads_go_on_making_spans) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&stop] {
      while (!stop.load())
        make_spans(10);
    });
  }
  for (int i = 0; i < 50; ++i)
    EXPECT_TRUE(traced.telemetry.flush(seconds(20)));
  stop.store(true);
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_TRUE(traced.telemetry.flush());
  EXPECT_EQ(traced.counted(Counter::spans_exported), traced.counted(Counter::spans_finished));
  EXPECT_EQ(exporter->spans.load(), traced.counted(Counter::spans_finished));
}

TEST(Flush, says_so_when_an_export_failed_and_recovers) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter);
  exporter->failing.store(true);
  make_spans(7);
  EXPECT_FALSE(traced.telemetry.flush());
  EXPECT_EQ(traced.counted(Counter::dropped_export_failed), 7U);
  EXPECT_EQ(traced.counted(Counter::spans_exported), 0U);
  exporter->failing.store(false);
  make_spans(5);
  EXPECT_TRUE(traced.telemetry.flush());
  EXPECT_EQ(traced.counted(Counter::spans_exported), 5U);
  EXPECT_EQ(counters().dropped_spans() - traced.before.dropped_spans(), 7U);
}

TEST(Flush, and_shutdown_take_any_timeout) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter);
  make_spans(1);
  EXPECT_TRUE(traced.telemetry.flush(milliseconds::max()));
  make_spans(1);
  traced.telemetry.flush(milliseconds(0));
  traced.telemetry.flush(milliseconds(-5));
  traced.telemetry.flush(milliseconds::min());
  EXPECT_TRUE(traced.telemetry.shutdown(milliseconds::max()));
  EXPECT_EQ(exporter->spans.load(), 2U);
}

TEST(Flush, and_shutdown_return_at_their_deadline_when_the_exporter_does_not) {
  const auto gate = std::make_shared<GatedExporter>();
  Traced traced(gate);
  make_spans(10);
  const auto beginning = steady_clock::now();
  EXPECT_FALSE(traced.telemetry.flush(milliseconds(100)));
  const auto flushed = steady_clock::now();
  EXPECT_FALSE(traced.telemetry.shutdown(milliseconds(100)));
  const auto shut_down = steady_clock::now();
  EXPECT_GE(flushed - beginning, milliseconds(100));
  EXPECT_LT(flushed - beginning, seconds(2));
  EXPECT_GE(shut_down - flushed, milliseconds(100));
  EXPECT_LT(shut_down - flushed, seconds(2));
  make_spans(1);
  EXPECT_EQ(traced.counted(Counter::spans_finished), 10U);
  gate->open_gate();
  EXPECT_TRUE(eventually([&] { return traced.counted(Counter::spans_exported) == 10; }));
}

TEST(Shutdown, exports_what_ended_before_it) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.schedule_delay = seconds(600)});
  make_spans(700);
  EXPECT_TRUE(traced.telemetry.shutdown());
  EXPECT_EQ(exporter->spans.load(), 700U);
  EXPECT_EQ(exporter->shutdowns.load(), 1);
  EXPECT_TRUE(traced.telemetry.shutdown());
  EXPECT_EQ(exporter->shutdowns.load(), 1);
}

TEST(Shutdown, says_so_when_an_export_failed) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter);
  exporter->failing.store(true);
  make_spans(7);
  EXPECT_FALSE(traced.telemetry.shutdown());
}

TEST(Shutdown, lets_go_of_the_exporter) {
  auto exporter = std::make_shared<CountingExporter>();
  const std::weak_ptr<CountingExporter> watched = exporter;
  Traced traced(exporter);
  exporter.reset();
  EXPECT_FALSE(watched.expired());
  EXPECT_TRUE(traced.telemetry.shutdown());
  EXPECT_TRUE(watched.expired());
}

TEST(Shutdown, leaves_no_span_unaccounted_that_ends_while_it_runs) {
  class SlowGoodbye final : public Exporter {
   public:
    ExportResult export_batch(const ExportBatch& batch) noexcept override {
      spans += batch.spans.size();
      return ExportResult::success;
    }
    void shutdown(steady_clock::time_point) noexcept override {
      std::this_thread::sleep_for(milliseconds(100));
    }
    std::atomic<std::uint64_t> spans{0};
  };
  const auto exporter = std::make_shared<SlowGoodbye>();
  Traced traced(exporter);
  std::vector<Span> open;
  for (int i = 0; i < 200; ++i)
    open.push_back(tracer().start("open"));
  std::thread ending([&open] {
    while (!open.empty()) {
      open.pop_back();
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_TRUE(traced.telemetry.shutdown());
  ending.join();
  EXPECT_EQ(traced.counted(Counter::spans_exported), exporter->spans.load());
  EXPECT_GT(traced.counted(Counter::dropped_after_shutdown), 0U);
  EXPECT_EQ(traced.counted(Counter::spans_exported) + traced.counted(Counter::dropped_after_shutdown), 200U);
}

TEST(Exporters, are_all_given_every_span) {
  const auto first = std::make_shared<CountingExporter>();
  const auto second = std::make_shared<CountingExporter>();
  SetupOptions options;
  options.exporters = {first, second};
  options.sampler = always_on_sampler();
  options.read_environment = false;
  const Counters before = counters();
  Telemetry telemetry = setup(std::move(options));
  first->failing.store(true);
  make_spans(3);
  EXPECT_FALSE(telemetry.flush());
  EXPECT_EQ(first->spans.load(), 3U);
  EXPECT_EQ(second->spans.load(), 3U);
  EXPECT_EQ(counters()[Counter::dropped_export_failed] - before[Counter::dropped_export_failed], 3U)
      << "a span counts as exported when every exporter took it";
}

TEST(Collector, does_not_trace_itself) {
  class Curious final : public Exporter {
   public:
    ExportResult export_batch(const ExportBatch&) noexcept override {
      suppressed = Context::current().suppressed;
      return ExportResult::success;
    }
    std::atomic<bool> suppressed{false};
  };
  const auto exporter = std::make_shared<Curious>();
  Traced traced(exporter);
  make_spans(1);
  EXPECT_TRUE(traced.telemetry.flush());
  EXPECT_TRUE(exporter->suppressed.load());
}

TEST(Collector, gets_no_signals) {
  class Masked final : public Exporter {
   public:
    ExportResult export_batch(const ExportBatch&) noexcept override {
      sigset_t mask;
      pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGUSR1) == 1 &&
                sigismember(&mask, SIGCHLD) == 1;
      return ExportResult::success;
    }
    std::atomic<bool> blocked{false};
  };
  const auto exporter = std::make_shared<Masked>();
  Traced traced(exporter);
  make_spans(1);
  EXPECT_TRUE(traced.telemetry.flush());
  EXPECT_TRUE(exporter->blocked.load());
  sigset_t own;
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  EXPECT_EQ(sigismember(&own, SIGTERM), 0) << "the caller's own mask is as before";
}

// Spans that a module ends when it is asked are in the flush that asked.
TEST(Chores, are_done_before_a_flush_and_at_each_look_at_the_queues) {
  static std::atomic<int> done{0};
  // More than a queue holds, a queue's worth at a time.
  static std::atomic<int> left{0};
  const auto chore = []() noexcept {
    ++done;
    if (left == 0) return false;
    make_spans(100);
    return (left -= 100) != 0;
  };
  auto exporter = std::make_shared<CountingExporter>();
  BatchOptions batch;
  batch.schedule_delay = milliseconds(5);
  batch.queue_size = 128;
  Traced traced(exporter, batch);
  EXPECT_TRUE(call_at_collection(chore));
  EXPECT_TRUE(call_at_collection(chore)) << "a second time is the first";
  EXPECT_TRUE(eventually([] { return done >= 2; }));
  left = 300;
  EXPECT_TRUE(traced.telemetry.flush());
  EXPECT_EQ(traced.counted(Counter::spans_exported), 300U);
}

}  // namespace
}  // namespace midtrace
