// setup(): on, off, twice, again, and what spans do before and after it.
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/export/exporters.h>
#include <midtrace/setup.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/logger.h>
#include <midtrace/trace/tracer.h>

#include "test_exporters.h"

namespace midtrace {
namespace {

using midtrace_test::CountingExporter;
using std::chrono::milliseconds;

Tracer tracer() { return Tracer::get("setup_test"); }

class MemoryLogger final : public Logger {
 public:
  void log(Severity severity, std::string_view message) noexcept override {
    const std::lock_guard guard(mutex_);
    lines_.push_back((severity == Severity::error ? "error: " : "") + std::string(message));
  }
  std::vector<std::string> lines() const {
    const std::lock_guard guard(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

SetupOptions with_exporter(std::shared_ptr<Exporter> exporter) {
  SetupOptions options;
  options.exporters.push_back(std::move(exporter));
  options.sampler = always_on_sampler();
  options.read_environment = false;
  return options;
}

TEST(Setup, turns_tracing_on_until_the_handle_goes) {
  const auto exporter = std::make_shared<CountingExporter>();
  EXPECT_FALSE(tracer().start("before").recording());
  {
    const Telemetry telemetry = setup(with_exporter(exporter));
    EXPECT_TRUE(telemetry.ok());
    EXPECT_EQ(telemetry.error(), "");
    EXPECT_TRUE(tracer().start("during").recording());
  }
  EXPECT_FALSE(tracer().start("after").recording());
  EXPECT_EQ(exporter->spans.load(), 1U);
  EXPECT_EQ(exporter->shutdowns.load(), 1);
}

TEST(Setup, says_once_that_it_was_called_twice_and_keeps_the_first) {
  const auto first = std::make_shared<CountingExporter>();
  const auto second = std::make_shared<CountingExporter>();
  const auto logger = std::make_shared<MemoryLogger>();
  SetupOptions options = with_exporter(first);
  options.logger = logger;
  Telemetry telemetry = setup(std::move(options));
  {
    Telemetry again = setup(with_exporter(second));
    EXPECT_TRUE(again.ok());
    tracer().start("span").end();
    EXPECT_TRUE(again.flush()) << "it is a handle to the first set-up";
    EXPECT_EQ(first->spans.load(), 1U);
  }
  tracer().start("span").end();
  EXPECT_TRUE(telemetry.flush()) << "the second handle did not end the first set-up";
  EXPECT_EQ(first->spans.load(), 2U);
  EXPECT_EQ(second->spans.load(), 0U);
  ASSERT_EQ(logger->lines().size(), 1U);
  EXPECT_NE(logger->lines()[0].find("setup() was called again"), std::string::npos);
}

TEST(Setup, works_again_after_shutdown_with_other_options) {
  for (int round = 0; round < 20; ++round) {
    const auto exporter = std::make_shared<CountingExporter>();
    SetupOptions options = with_exporter(exporter);
    options.batch = BatchOptions{.queue_size = round % 2 == 0 ? 64U : 4096U, .export_batch_size = 7};
    Telemetry telemetry = setup(std::move(options));
    for (int i = 0; i < 30; ++i)
      tracer().start("span").end();
    EXPECT_TRUE(telemetry.shutdown());
    EXPECT_EQ(exporter->spans.load(), 30U);
    for (const std::size_t size : exporter->sizes())
      EXPECT_LE(size, 7U);
  }
}

TEST(Setup, moves_with_its_handle) {
  const auto exporter = std::make_shared<CountingExporter>();
  Telemetry outer;
  EXPECT_TRUE(outer.shutdown()) << "an empty handle has nothing to do";
  {
    Telemetry inner = setup(with_exporter(exporter));
    outer = std::move(inner);
  }
  EXPECT_TRUE(tracer().start("span").recording());
  EXPECT_TRUE(outer.shutdown());
  EXPECT_EQ(exporter->spans.load(), 1U);
}

TEST(Setup, without_exporters_records_nothing_and_is_no_error) {
  SetupOptions options;
  options.read_environment = false;
  options.exporters.push_back(nullptr);
  Telemetry telemetry = setup(std::move(options));
  EXPECT_TRUE(telemetry.ok()) << telemetry.error();
  EXPECT_FALSE(tracer().start("span").recording());
  EXPECT_TRUE(telemetry.flush());
  EXPECT_TRUE(telemetry.shutdown());
}

TEST(Setup, that_cannot_write_its_file_says_why_once_and_harms_nobody) {
  const auto logger = std::make_shared<MemoryLogger>();
  SetupOptions options = with_exporter(otlp_file_exporter("/nonexistent/directory/traces.jsonl"));
  options.logger = logger;
  Telemetry telemetry = setup(std::move(options));
  EXPECT_FALSE(telemetry.ok());
  EXPECT_NE(telemetry.error().find("/nonexistent/directory/traces.jsonl"), std::string::npos)
      << telemetry.error();
  EXPECT_NE(telemetry.error().find("No such file or directory"), std::string::npos) << telemetry.error();
  ASSERT_EQ(logger->lines().size(), 1U);
  EXPECT_EQ(logger->lines()[0], "error: " + telemetry.error());
  EXPECT_FALSE(tracer().start("span").recording());
  // And the next attempt works.
  const auto exporter = std::make_shared<CountingExporter>();
  Telemetry better = setup(with_exporter(exporter));
  EXPECT_TRUE(better.ok());
  tracer().start("span").end();
  EXPECT_TRUE(better.shutdown());
  EXPECT_EQ(exporter->spans.load(), 1U);
}

TEST(Shutdown, on_two_threads_at_once_is_done_by_the_handle_that_set_tracing_up) {
  for (int round = 0; round < 20; ++round) {
    const auto exporter = std::make_shared<CountingExporter>();
    Telemetry owner = setup(with_exporter(exporter));
    Telemetry other = setup(with_exporter(std::make_shared<CountingExporter>()));
    for (int i = 0; i < 100; ++i)
      tracer().start("span").end();
    std::atomic<int> complete{0};
    std::atomic<int> ready{0};
    const auto stop = [&](Telemetry& handle) {
      ready.fetch_add(1);
      while (ready.load() < 2)
        std::this_thread::yield();
      if (handle.shutdown()) complete.fetch_add(1);
    };
    std::thread elsewhere([&] { stop(other); });
    stop(owner);
    elsewhere.join();
    EXPECT_EQ(complete.load(), 2);
    EXPECT_EQ(exporter->shutdowns.load(), 1);
    EXPECT_EQ(exporter->spans.load(), 100U);
    EXPECT_FALSE(tracer().start("after").recording());
  }
}

TEST(Shutdown, while_other_threads_flush_loses_nothing_and_leaves_none_of_them_waiting) {
  for (int round = 0; round < 20; ++round) {
    const auto exporter = std::make_shared<CountingExporter>();
    Telemetry owner = setup(with_exporter(exporter));
    Telemetry other = setup(with_exporter(exporter));
    std::atomic<bool> over{false};
    std::atomic<int> flushes{0};
    std::vector<std::thread> flushing;
    for (int i = 0; i < 3; ++i) {
      flushing.emplace_back([&] {
        while (!over.load()) {
          other.flush(std::chrono::seconds(20));
          flushes.fetch_add(1);
        }
      });
    }
    for (int i = 0; i < 100; ++i)
      tracer().start("span").end();
    while (flushes.load() < 6)
      std::this_thread::yield();
    EXPECT_TRUE(owner.shutdown(std::chrono::seconds(20)));
    over.store(true);
    for (std::thread& thread : flushing)
      thread.join();
    EXPECT_EQ(exporter->spans.load(), 100U);
    EXPECT_EQ(exporter->shutdowns.load(), 1);
    EXPECT_TRUE(other.flush()) << "nothing is left to wait for";
  }
}

TEST(Shutdown, ends_the_wait_of_a_flush_when_its_own_time_is_over) {
  const auto gate = std::make_shared<midtrace_test::GatedExporter>();
  Telemetry owner = setup(with_exporter(gate));
  Telemetry other = setup(with_exporter(gate));
  tracer().start("stuck").end();
  std::atomic<bool> complete{true};
  std::thread flushing([&] { complete.store(other.flush(std::chrono::seconds(60))); });
  ASSERT_TRUE(gate->wait_until_entered());
  EXPECT_FALSE(owner.shutdown(milliseconds(50)));
  gate->open_gate();
  flushing.join();
  EXPECT_EQ(gate->spans.load(), 1U) << "what was under way is finished";
}

TEST(Spans, that_end_after_shutdown_are_counted_drops) {
  const auto exporter = std::make_shared<CountingExporter>();
  Telemetry telemetry = setup(with_exporter(exporter));
  const Counters before = counters();
  Span late = tracer().start("late");
  Span later = tracer().start("later");
  PendingSpan pending = tracer().start_pending("pending");
  EXPECT_TRUE(telemetry.shutdown());
  late.end();
  EXPECT_TRUE(tracer().resume(std::move(pending), "pending").context().valid());
  {
    Telemetry next = setup(with_exporter(exporter));
    later.set("still", "works");
  }
  EXPECT_EQ(counters()[Counter::dropped_after_shutdown] - before[Counter::dropped_after_shutdown], 2U);
  later.end();
  EXPECT_EQ(counters()[Counter::dropped_after_shutdown] - before[Counter::dropped_after_shutdown], 3U);
  EXPECT_EQ(exporter->spans.load(), 0U);
}

TEST(Spans, may_run_across_a_shutdown_and_the_next_setup) {
  const auto first = std::make_shared<CountingExporter>();
  const auto second = std::make_shared<CountingExporter>();
  Telemetry telemetry = setup(with_exporter(first));
  Span span = tracer().start("across");
  telemetry = Telemetry();
  EXPECT_EQ(first->shutdowns.load(), 1);
  telemetry = setup(with_exporter(second));
  span.set("value", "x");
  span.end();
  EXPECT_TRUE(telemetry.flush());
  EXPECT_EQ(second->spans.load(), 1U);
}

TEST(Setup, may_be_repeated_while_other_threads_trace) {
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> made{0};
  const Counters before = counters();
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        Span span = tracer().start("span");
        span.set("text", std::string(700, 'x'));
        const Scope scope = span.activate();
        Span child = tracer().start("child");
        made.fetch_add((span.recording() ? 1U : 0U) + (child.recording() ? 1U : 0U));
      }
    });
  }
  std::uint64_t exported = 0;
  for (int round = 0; round < 60; ++round) {
    const auto exporter = std::make_shared<CountingExporter>();
    SetupOptions options = with_exporter(exporter);
    // Other sizes each time, so that queues are made anew under the threads' hands.
    options.batch = BatchOptions{.queue_size = 16U << (round % 5), .export_batch_size = 10};
    Telemetry telemetry = setup(std::move(options));
    ASSERT_TRUE(telemetry.ok()) << telemetry.error();
    std::this_thread::sleep_for(milliseconds(3));
    if (round % 3 == 0) telemetry.flush();
    telemetry.shutdown();
    exported += exporter->spans.load();
  }
  stop.store(true);
  for (std::thread& thread : threads)
    thread.join();
  const Counters after = counters();
  const auto since = [&](Counter counter) { return after[counter] - before[counter]; };
  EXPECT_GT(exported, 0U);
  EXPECT_EQ(since(Counter::spans_exported), exported);
  EXPECT_EQ(since(Counter::spans_sampled), made.load() + since(Counter::dropped_no_record));
  // What was pushed in the very moment of a shutdown waits for the next set-up to be counted.
  const auto exporter = std::make_shared<CountingExporter>();
  { const Telemetry telemetry = setup(with_exporter(exporter)); }
  EXPECT_EQ(counters()[Counter::spans_exported] + counters().dropped_spans() -
                before[Counter::spans_exported] - before.dropped_spans(),
            since(Counter::spans_sampled));
}

TEST(Reports, come_once_a_minute_for_each_cause) {
  const auto logger = std::make_shared<MemoryLogger>();
  SetupOptions options = with_exporter(std::make_shared<CountingExporter>());
  options.logger = logger;
  const Telemetry telemetry = setup(std::move(options));
  for (int round = 0; round < 5; ++round) {
    for (int cause = 0; cause < 150; ++cause) {
      report(Severity::warning, "reports_test.cause" + std::to_string(cause),
             "cause " + std::to_string(cause));
    }
  }
  const auto lines = logger->lines();
  std::vector<std::string> distinct = lines;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  EXPECT_EQ(lines.size(), distinct.size()) << "something was reported twice within a minute";
  EXPECT_GE(distinct.size(), 140U);
}

}  // namespace
}  // namespace midtrace
