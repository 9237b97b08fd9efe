// Tracing in memory for the length of a test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <midtrace/export/exporters.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace {

using midtrace::Counter;
using midtrace::Span;
using midtrace::Tracer;
using midtrace::testing::Recorder;
using midtrace::testing::RecorderOptions;

void work(const char* name = "work") { Span span = Tracer::get("shop").start(name); }

TEST(RecorderTest, TheSameCodeGivesTheSameTextEachTime) {
  const auto traced = [] {
    Recorder recorder;
    Span root = Tracer::get("shop").start("handle order", {.kind = midtrace::SpanKind::server});
    const midtrace::Scope scope = root.activate();
    work("charge");
    root.end();
    std::string ids;
    for (const auto& span : recorder.spans())
      ids += span.context.span_id.to_string() + " ";
    return recorder.tree() + ids;
  };
  const std::string first = traced();
  EXPECT_EQ(first, R"(
handle order SERVER
  charge INTERNAL
0000000000000002 0000000000000001 )");
  EXPECT_EQ(traced(), first);
}

TEST(RecorderTest, TreeSeesEverythingThatEndedOnAnyThread) {
  Recorder recorder;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 100; ++k)
        work();
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(recorder.spans().size(), 400U);
}

TEST(RecorderTest, ClearForgetsWhatEndedBefore) {
  Recorder recorder;
  work("before");
  recorder.clear();
  work("after");
  EXPECT_EQ(recorder.tree(), "\nafter INTERNAL\n");
}

TEST(RecorderTest, CountersBeginWithTheRecorder) {
  {
    Recorder earlier;
    work();
  }
  Recorder recorder;
  work();
  work();
  recorder.spans();
  EXPECT_EQ(recorder.counters()[Counter::spans_started], 2U);
  EXPECT_EQ(recorder.counters()[Counter::spans_exported], 2U);
  EXPECT_EQ(recorder.counters().dropped_spans(), 0U);
}

TEST(RecorderTest, EverythingIsSampledUnlessASamplerIsGiven) {
  const midtrace::Context unsampled_parent{.span = {.trace_id = {.high = 1, .low = 1},
                                                    .span_id = {.value = 1},
                                                    .flags = {},
                                                    .remote = true,
                                                    .trace_state = {}},
                                           .baggage = {}};
  {
    Recorder recorder;
    { Span span = Tracer::get("shop").start("work", {.parent = &unsampled_parent}); }
    EXPECT_EQ(recorder.spans().size(), 1U);
  }
  RecorderOptions options;
  options.sampler = midtrace::parent_based_sampler({});
  Recorder recorder(std::move(options));
  { Span span = Tracer::get("shop").start("work", {.parent = &unsampled_parent}); }
  EXPECT_EQ(recorder.spans().size(), 0U);
}

TEST(RecorderTest, TheEnvironmentHasNoSay) {
  setenv("OTEL_SDK_DISABLED", "true", 1);
  setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0", 1);
  Recorder recorder;
  {
    Span span = Tracer::get("shop").start("work");
    span.set("key", 1);
  }
  unsetenv("OTEL_SDK_DISABLED");
  unsetenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT");
  EXPECT_EQ(recorder.tree(), "\nwork INTERNAL\n  key = 1\n");
}

TEST(RecorderTest, RealTimeAndRandomIdsAreOptions) {
  RecorderOptions options;
  options.real_clock = true;
  options.random_ids = true;
  Recorder recorder(std::move(options));
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  work();
  const auto span = recorder.spans().at(0);
  EXPECT_GT(span.start_unix_nanos, std::chrono::nanoseconds(before - std::chrono::seconds(1)).count());
  EXPECT_NE(span.context.trace_id.high, 0U);
  EXPECT_TRUE(span.context.flags.random());
}

TEST(RecorderTest, SequentialTracesLackTheRandomFlag) {
  Recorder recorder;
  work();
  EXPECT_FALSE(recorder.spans().at(0).context.flags.random());
}

TEST(RecorderTest, ThePropagatorIsTheChosenOne) {
  RecorderOptions options;
  options.propagator = std::make_shared<midtrace::BaggagePropagator>();
  Recorder recorder(std::move(options));
  const auto fields = midtrace::propagator().fields();
  ASSERT_EQ(fields.size(), 1U);
  EXPECT_EQ(fields[0], "baggage");
}

TEST(RecorderTest, TwoAtATimeAreRefused) {
  Recorder recorder;
  EXPECT_THROW(Recorder second, std::logic_error);
  work();
  EXPECT_EQ(recorder.spans().size(), 1U) << "the first one goes on";
}

TEST(RecorderTest, AnExporterThatCannotOpenFailsTheTestWithItsReason) {
  RecorderOptions options;
  options.more_exporters.push_back(midtrace::otlp_file_exporter("/no-such-directory/spans.jsonl"));
  try {
    Recorder recorder(std::move(options));
    FAIL() << "it must throw";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("/no-such-directory/spans.jsonl"));
  }
  Recorder next;
  work();
  EXPECT_EQ(next.spans().size(), 1U);
}

TEST(RecorderTest, SpansThatEndAfterItAreHarmless) {
  Span late;
  {
    Recorder recorder;
    late = Tracer::get("shop").start("late");
  }
  late.end();
  Recorder recorder;
  EXPECT_EQ(recorder.spans().size(), 0U);
}

}  // namespace
