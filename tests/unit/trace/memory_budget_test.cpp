// One byte budget bounds what all spans hold; when it is used up spans are dropped and counted, and it comes
// back.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "test_exporters.h"

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("memory_budget_test"); }

// The pool keeps its memory, so each case starts with a process that has none: the test program itself,
// executed anew.
void in_a_new_process(void (*body)()) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        body();
        if (const auto* result = ::testing::UnitTest::GetInstance()->current_test_info()->result();
            result->Failed()) {
          for (int i = 0; i < result->total_part_count(); ++i) {
            std::fprintf(stderr, "%d: %s\n", result->GetTestPartResult(i).line_number(),
                         result->GetTestPartResult(i).message());
          }
          std::_Exit(1);
        }
        std::_Exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

// Open spans until one does not record any more.
std::vector<Span> use_up(std::size_t value_size = 0) {
  std::vector<Span> open;
  const std::string value(value_size, 'v');
  for (int i = 0; i < 200000; ++i) {
    Span span = tracer().start("open");
    if (!span.recording()) return open;
    if (value_size != 0) span.set("value", value);
    open.push_back(std::move(span));
  }
  ADD_FAILURE() << "the budget never ended";
  return open;
}

void that_is_used_up_drops_spans_and_comes_back_when_they_end() {
  testing::Recorder recorder({.batch = {.memory_bytes = 1024 * 1024}});
  std::vector<Span> open = use_up();
  EXPECT_GT(open.size(), 600U);
  EXPECT_LE(open.size(), 1024U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_no_record], 1U);
  for (int i = 0; i < 10; ++i) {
    Span span = tracer().start("too much");
    EXPECT_FALSE(span.recording());
    EXPECT_TRUE(span.context().valid());
    EXPECT_TRUE(span.context().sampled())
        << "the context that goes on the wire is not changed by our shortage";
  }
  EXPECT_EQ(recorder.counters()[Counter::dropped_no_record], 11U);
  open.clear();
  recorder.telemetry().flush();
  open = use_up();
  EXPECT_GT(open.size(), 600U);
  open.clear();
  recorder.telemetry().flush();
  const Counters counters = recorder.counters();
  EXPECT_EQ(counters[Counter::spans_sampled], counters[Counter::spans_exported] + counters.dropped_spans());
}
TEST(MemoryBudget, that_is_used_up_drops_spans_and_comes_back_when_they_end) {
  in_a_new_process(that_is_used_up_drops_spans_and_comes_back_when_they_end);
}

void covers_what_spans_hold_besides_their_records() {
  testing::Recorder recorder({.batch = {.memory_bytes = 2 * 1024 * 1024}});
  std::vector<Span> open = use_up(3000);
  EXPECT_LT(open.size(), 2 * 1024 * 1024 / 4000U);
  EXPECT_GT(open.size(), 200U);
  open.clear();
  recorder.telemetry().flush();
  EXPECT_EQ(recorder.counters()[Counter::truncated_values], 0U) << "records leave room for what they hold";
}
TEST(MemoryBudget, covers_what_spans_hold_besides_their_records) {
  in_a_new_process(covers_what_spans_hold_besides_their_records);
}

void gives_memory_that_one_thread_used_and_returned_to_another() {
  testing::Recorder recorder({.batch = {.queue_size = 16384, .memory_bytes = 4 * 1024 * 1024}});
  std::promise<void> used;
  std::promise<void> done;
  // This thread lives on, idle, after having used everything.
  std::thread first([&] {
    use_up().clear();
    recorder.telemetry().flush();
    used.set_value();
    done.get_future().wait();
  });
  used.get_future().wait();
  std::size_t recorded = 0;
  {
    std::vector<Span> open;
    for (int i = 0; i < 500; ++i) {
      open.push_back(tracer().start("second"));
      recorded += open.back().recording() ? 1 : 0;
    }
  }
  EXPECT_EQ(recorded, 500U);
  done.set_value();
  first.join();
}
TEST(MemoryBudget, gives_memory_that_one_thread_used_and_returned_to_another) {
  in_a_new_process(gives_memory_that_one_thread_used_and_returned_to_another);
}

void gives_memory_of_threads_that_are_gone_to_others() {
  testing::Recorder recorder({.batch = {.queue_size = 16384, .memory_bytes = 4 * 1024 * 1024}});
  tracer().start("has a place of its own").end();
  // Two at a time, so that their stocks are in two places.
  std::promise<void> first_used;
  std::promise<void> second_used;
  std::thread first([&] {
    std::vector<Span> open;
    for (int i = 0; i < 1000; ++i)
      open.push_back(tracer().start("first"));
    open.clear();
    recorder.telemetry().flush();
    first_used.set_value();
    second_used.get_future().wait();
  });
  std::thread second([&] {
    first_used.get_future().wait();
    use_up().clear();
    recorder.telemetry().flush();
    second_used.set_value();
  });
  first.join();
  second.join();
  std::vector<Span> open;
  for (int i = 0; i < 2500; ++i)
    open.push_back(tracer().start("third"));
  for (const Span& span : open)
    ASSERT_TRUE(span.recording());
}
TEST(MemoryBudget, gives_memory_of_threads_that_are_gone_to_others) {
  in_a_new_process(gives_memory_of_threads_that_are_gone_to_others);
}

void that_is_smaller_than_before_finds_the_memory_of_threads_that_are_gone() {
  {
    testing::Recorder recorder({.batch = {.queue_size = 16384, .memory_bytes = 16 * 1024 * 1024}});
    std::thread([] {
      std::vector<Span> open;
      for (int i = 0; i < 6000; ++i)
        open.push_back(tracer().start("first"));
    }).join();
  }
  testing::Recorder recorder({.batch = {.memory_bytes = 4 * 1024 * 1024}});
  std::thread other([&] {
    const Span held = tracer().start("has a place of its own");
    std::vector<Span> open;
    std::thread([&open] {
      for (int i = 0; i < 1000; ++i)
        open.push_back(tracer().start("third"));
    }).join();
    for (const Span& span : open)
      ASSERT_TRUE(span.recording());
  });
  other.join();
}
TEST(MemoryBudget, that_is_smaller_than_before_finds_the_memory_of_threads_that_are_gone) {
  in_a_new_process(that_is_smaller_than_before_finds_the_memory_of_threads_that_are_gone);
}

void that_records_used_up_once_leaves_room_for_long_values_later() {
  testing::Recorder recorder({.batch = {.queue_size = 16384, .memory_bytes = 4 * 1024 * 1024}});
  use_up().clear();
  recorder.telemetry().flush();
  recorder.clear();
  const Counters before = recorder.counters();
  const std::string value(3000, 'v');
  for (int i = 0; i < 100; ++i) {
    Span span = tracer().start("long");
    span.set("value", value);
  }
  EXPECT_EQ(recorder.counters()[Counter::truncated_values], before[Counter::truncated_values]);
  EXPECT_EQ(recorder.spans().size(), 100U);
}
TEST(MemoryBudget, that_records_used_up_once_leaves_room_for_long_values_later) {
  in_a_new_process(that_records_used_up_once_leaves_room_for_long_values_later);
}

void that_long_values_used_up_once_leaves_room_for_records_of_another_thread() {
  testing::Recorder recorder({.batch = {.queue_size = 16384, .memory_bytes = 4 * 1024 * 1024}});
  {
    std::vector<Span> open;
    const std::string value(200000, 'v');
    for (int i = 0; i < 30; ++i) {
      open.push_back(tracer().start("heavy"));
      // Many small ones, so that they come from the pool.
      for (int j = 0; j < 60; ++j)
        open.back().set("v" + std::to_string(j), std::string_view(value).substr(0, 3900));
    }
  }
  recorder.telemetry().flush();
  std::thread([] {
    std::vector<Span> open;
    for (int i = 0; i < 1000; ++i)
      open.push_back(tracer().start("light"));
    for (const Span& span : open)
      EXPECT_TRUE(span.recording());
  }).join();
}
TEST(MemoryBudget, that_long_values_used_up_once_leaves_room_for_records_of_another_thread) {
  in_a_new_process(that_long_values_used_up_once_leaves_room_for_records_of_another_thread);
}

void that_runs_short_wakes_the_collector() {
  const auto exporter = std::make_shared<midtrace_test::CountingExporter>();
  SetupOptions options;
  options.exporters.push_back(exporter);
  options.sampler = always_on_sampler();
  options.batch = {.queue_size = 65536, .schedule_delay = std::chrono::hours(1), .memory_bytes = 1024 * 1024};
  options.read_environment = false;
  Telemetry telemetry = setup(std::move(options));
  // Far fewer than half a queue, so that only the shortage of memory can be a reason to export.
  for (int i = 0; i < 2000 && exporter->spans.load() == 0; ++i) {
    tracer().start("span").end();
    if (i > 500) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_GT(exporter->spans.load(), 0U);
}
TEST(MemoryBudget, that_runs_short_wakes_the_collector) {
  in_a_new_process(that_runs_short_wakes_the_collector);
}

// How often the collector thread went to sleep.
std::uint64_t sleeps_of_the_collector() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name != "midtrace") continue;
    std::ifstream status(task.path() / "status");
    const std::string_view wanted = "voluntary_ctxt_switches:";
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(wanted)) return std::stoull(line.substr(wanted.size()));
    }
  }
  ADD_FAILURE() << "there is no collector thread";
  return 0;
}

void that_is_used_up_does_not_wake_the_collector_for_every_span() {
  const auto exporter = std::make_shared<midtrace_test::CountingExporter>();
  SetupOptions options;
  options.exporters.push_back(exporter);
  options.sampler = always_on_sampler();
  options.batch = {.queue_size = 65536, .schedule_delay = std::chrono::hours(1), .memory_bytes = 1024 * 1024};
  options.read_environment = false;
  Telemetry telemetry = setup(std::move(options));
  EXPECT_TRUE(telemetry.flush());  // the thread is there and has its name
  std::vector<Span> open = use_up();

  const std::uint64_t before = sleeps_of_the_collector();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000000; ++i)
    tracer().start("dropped").end();
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  EXPECT_LT(sleeps_of_the_collector() - before, 50 + static_cast<std::uint64_t>(milliseconds))
      << "there was nothing to collect, and one look every few milliseconds finds out";

  // After all these looks in vain it still notices that there is something, far below half a queue.
  EXPECT_GT(open.size(), 512U);
  open.clear();
  for (int i = 0; i < 10000 && exporter->spans.load() == 0; ++i) {
    tracer().start("span").end();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_GT(exporter->spans.load(), 0U);
}
TEST(MemoryBudget, that_is_used_up_does_not_wake_the_collector_for_every_span) {
  in_a_new_process(that_is_used_up_does_not_wake_the_collector_for_every_span);
}

void of_a_few_bytes_drops_everything_and_harms_nobody() {
  testing::Recorder recorder({.batch = {.memory_bytes = 1}});
  for (int i = 0; i < 10; ++i) {
    Span span = tracer().start("poor");
    span.set("a", 1);
    const Scope scope = span.activate();
    EXPECT_TRUE(Context::current().span.valid());
  }
  EXPECT_EQ(recorder.counters()[Counter::spans_started], 10U);
  EXPECT_EQ(recorder.counters()[Counter::dropped_no_record], 10U);
}
TEST(MemoryBudget, of_a_few_bytes_drops_everything_and_harms_nobody) {
  in_a_new_process(of_a_few_bytes_drops_everything_and_harms_nobody);
}

}  // namespace
}  // namespace midtrace
