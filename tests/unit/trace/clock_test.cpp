// Times: ticks that are read cheaply and turned into Unix time afterwards.
#include <time.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("clock_test"); }

std::int64_t clock_nanos(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

TEST(Ticks, convert_to_the_time_of_day_within_a_millisecond) {
  testing::Recorder recorder({.real_clock = true});
  // The machine may take the processor away between the two readings, but not every time.
  std::int64_t least = 1000000000;
  for (int i = 0; i < 50; ++i) {
    const std::int64_t before = clock_nanos(CLOCK_REALTIME);
    const std::uint64_t tick = current_tick();
    const std::int64_t after = clock_nanos(CLOCK_REALTIME);
    const std::int64_t converted = tick_to_unix_nanos(tick);
    least = std::min(least, std::max(before - converted, converted - after));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_LT(least, 1000000);
}

TEST(Ticks, never_are_zero_and_grow_on_one_thread) {
  testing::Recorder recorder({.real_clock = true});
  std::uint64_t last = 0;
  for (int i = 0; i < 100000; ++i) {
    const std::uint64_t now = current_tick();
    ASSERT_NE(now, 0U);
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Ticks, of_the_past_convert_as_well_as_those_of_now) {
  testing::Recorder recorder({.real_clock = true});
  const std::int64_t before = clock_nanos(CLOCK_REALTIME);
  const std::uint64_t tick = current_tick();
  const std::int64_t after = clock_nanos(CLOCK_REALTIME);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const std::int64_t converted = tick_to_unix_nanos(tick);
  EXPECT_GT(converted, before - 1000000);
  EXPECT_LT(converted, after + 1000000);
}

TEST(Durations, agree_with_the_monotonic_clock_within_one_percent) {
  testing::Recorder recorder({.real_clock = true});
  std::int64_t inner = 0;
  std::int64_t outer = 0;
  const std::int64_t begin = clock_nanos(CLOCK_MONOTONIC);
  {
    Span span = tracer().start("sleep");
    const std::int64_t inner_begin = clock_nanos(CLOCK_MONOTONIC);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    inner = clock_nanos(CLOCK_MONOTONIC) - inner_begin;
  }
  outer = clock_nanos(CLOCK_MONOTONIC) - begin;
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  const std::int64_t duration = spans[0].end_unix_nanos - spans[0].start_unix_nanos;
  EXPECT_GE(duration, inner - inner / 100);
  EXPECT_LE(duration, outer + outer / 100);
}

TEST(Times, of_a_child_lie_within_those_of_its_parent) {
  testing::Recorder recorder({.real_clock = true});
  for (int i = 0; i < 500; ++i) {
    Span parent = tracer().start("parent");
    const Scope scope = parent.activate();
    Span child = tracer().start("child");
    child.add_event("event");
    child.end();
  }
  std::map<SpanId, testing::OwnedSpan> by_id;
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1000U);
  for (const testing::OwnedSpan& span : spans)
    by_id.emplace(span.context.span_id, span);
  for (const testing::OwnedSpan& span : spans) {
    EXPECT_LE(span.start_unix_nanos, span.end_unix_nanos);
    if (span.name != "child") continue;
    const testing::OwnedSpan& parent = by_id.at(span.parent_span_id);
    EXPECT_LE(parent.start_unix_nanos, span.start_unix_nanos);
    EXPECT_GE(parent.end_unix_nanos, span.end_unix_nanos);
    EXPECT_GE(span.events.at(0).unix_nanos, span.start_unix_nanos);
    EXPECT_LE(span.events.at(0).unix_nanos, span.end_unix_nanos);
  }
}

TEST(Times, of_a_child_that_was_exported_long_before_its_parent_agree_to_a_tenth_of_a_millisecond) {
  testing::Recorder recorder({.real_clock = true});
  {
    Span parent = tracer().start("parent");
    const Scope scope = parent.activate();
    tracer().start("child").end();
    recorder.telemetry().flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    tracer().start("in between").end();
    recorder.telemetry().flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::map<std::string, testing::OwnedSpan> spans;
  for (const testing::OwnedSpan& span : recorder.spans())
    spans[span.name] = span;
  ASSERT_EQ(spans.size(), 3U);
  // The clock of the day may be slewed in between; a step would be the machine's, not ours.
  EXPECT_LE(spans["parent"].start_unix_nanos, spans["child"].start_unix_nanos + 100000);
  EXPECT_GE(spans["parent"].end_unix_nanos, spans["in between"].end_unix_nanos - 100000);
}

}  // namespace
}  // namespace midtrace
