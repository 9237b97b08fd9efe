// The application's span processors: what they see, what they may change, and that they harm nobody.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/processor.h>
#include <midtrace/trace/tracer.h>

#include "test_exporters.h"

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("processor_test"); }

// What each call does is the test's own.
struct Lambdas final : SpanProcessor {
  std::function<void(Span&, const Context&)> started = [](Span&, const Context&) {};
  std::function<void(FinishedSpan&)> ended = [](FinishedSpan&) {};
  std::function<void()> stopped = [] {};

  void on_start(Span& span, const Context& parent) override { started(span, parent); }
  void on_end(FinishedSpan& span) override { ended(span); }
  void shutdown(std::chrono::steady_clock::time_point) override { stopped(); }
};

TEST(Processor, mayAnnotateFromTheContextASpanStartsIn) {
  const auto tenant = std::make_shared<Lambdas>();
  tenant->started = [](Span& span, const Context& parent) {
    if (const auto member = parent.baggage.find("tenant")) span.set("tenant", member->value);
  };
  testing::Recorder recorder({.processors = {tenant}});
  {
    Context context;
    context.baggage = context.baggage.with("tenant", "a");
    const Scope scope(context);
    tracer().start("ambient").end();
    const Context given = Context();
    tracer().start("given", {.parent = &given}).end();
  }
  EXPECT_EQ(recorder.tree(), R"(
ambient INTERNAL
  tenant = a
given INTERNAL
)");
}

TEST(Processor, mayReplaceAddAndRenameWhatHasEnded) {
  const auto redact = std::make_shared<Lambdas>();
  redact->ended = [](FinishedSpan& span) {
    span.set("user.name", "?");
    span.set("added", std::string(1000, 'x'));
    span.set_name(std::string(span.view().name()) + "!");
  };
  testing::Recorder recorder({.processors = {redact}});
  {
    Span span = tracer().start("login");
    span.set("user.name", "ada");
    span.set("attempt", 1);
  }
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].name, "login!");
  EXPECT_EQ(spans[0].attribute("user.name"), "?");
  EXPECT_EQ(spans[0].attribute("attempt"), "1");
  EXPECT_EQ(spans[0].attribute("added"), std::string(1000, 'x'));
  EXPECT_EQ(spans[0].attributes.size(), 3U);
}

TEST(Processor, mayDropWhatHasEnded) {
  const auto filter = std::make_shared<Lambdas>();
  filter->ended = [](FinishedSpan& span) {
    if (span.view().name() == "ping") span.drop();
  };
  testing::Recorder recorder({.processors = {filter}});
  tracer().start("ping").end();
  tracer().start("order").end();
  EXPECT_EQ(recorder.tree(), R"(
order INTERNAL
)");
  EXPECT_EQ(recorder.counters()[Counter::dropped_by_processor], 1U);
  EXPECT_EQ(recorder.counters()[Counter::spans_exported], 1U);
}

TEST(Processor, mayDropAWholeBatchWithoutAnExport) {
  const auto filter = std::make_shared<Lambdas>();
  filter->ended = [](FinishedSpan& span) { span.drop(); };
  const auto exporter = std::make_shared<midtrace_test::CountingExporter>();
  testing::Recorder recorder({.more_exporters = {exporter}, .processors = {filter}});
  tracer().start("ping").end();
  EXPECT_TRUE(recorder.telemetry().flush());
  EXPECT_TRUE(exporter->sizes().empty());
}

// Records everything and samples nothing.
struct RecordOnly final : Sampler {
  SamplerNeeds needs() const noexcept override { return {}; }
  SamplingResult sample(const SamplingInput&) noexcept override {
    return {.decision = Decision::record_only};
  }
  std::string description() const override { return "RecordOnly"; }
};

TEST(Processor, seesSpansThatRecordWithoutBeingSampledThoughNobodyExportsThem) {
  std::vector<std::string> seen;
  const auto watcher = std::make_shared<Lambdas>();
  watcher->ended = [&seen](FinishedSpan& span) {
    EXPECT_FALSE(span.sampled());
    seen.emplace_back(span.view().name());
  };
  testing::Recorder recorder({.sampler = std::make_shared<RecordOnly>(), .processors = {watcher}});
  tracer().start("quiet").end();
  EXPECT_EQ(recorder.tree(), "\n");
  EXPECT_EQ(seen, std::vector<std::string>{"quiet"});
  EXPECT_EQ(recorder.counters()[Counter::spans_exported], 0U);
}

TEST(Processor, runsInOrderAndBeforeTheExporters) {
  const auto first = std::make_shared<Lambdas>();
  const auto second = std::make_shared<Lambdas>();
  first->ended = [](FinishedSpan& span) { span.set("order", "first"); };
  second->ended = [](FinishedSpan& span) { span.set("order", "second"); };
  testing::Recorder recorder({.processors = {first, nullptr, second}});
  tracer().start("span").end();
  EXPECT_EQ(recorder.tree(), R"(
span INTERNAL
  order = second
)");
}

TEST(Processor, thatThrowsLosesNothing) {
  const auto bad = std::make_shared<Lambdas>();
  bad->started = [](Span&, const Context&) { throw std::runtime_error("start"); };
  bad->ended = [](FinishedSpan&) { throw 42; };
  bad->stopped = [] { throw std::runtime_error("shutdown"); };
  {
    testing::Recorder recorder({.processors = {bad}});
    tracer().start("span").end();
    EXPECT_EQ(recorder.tree(), R"(
span INTERNAL
)");
    EXPECT_EQ(recorder.counters()[Counter::hook_failures], 2U);
  }
}

TEST(Processor, isToldOnceWhenSetUpEnds) {
  int stopped = 0;
  const auto counting = std::make_shared<Lambdas>();
  counting->stopped = [&stopped] { ++stopped; };
  {
    testing::Recorder recorder({.processors = {counting}});
    EXPECT_EQ(stopped, 0);
  }
  EXPECT_EQ(stopped, 1);
}

TEST(Processor, thatFlushesOrShutsDownDoesNotWaitForItself) {
  const auto impatient = std::make_shared<Lambdas>();
  testing::Recorder recorder({.processors = {impatient}});
  const auto begin = std::chrono::steady_clock::now();
  bool flushed = true;
  impatient->ended = [&](FinishedSpan&) { flushed = recorder.telemetry().flush(std::chrono::hours(1)); };
  tracer().start("span").end();
  EXPECT_TRUE(recorder.telemetry().flush());
  EXPECT_FALSE(flushed);
  bool complete = true;
  impatient->ended = [&](FinishedSpan&) { complete = recorder.telemetry().shutdown(std::chrono::hours(1)); };
  tracer().start("span").end();
  recorder.telemetry().flush(std::chrono::seconds(20));
  EXPECT_FALSE(complete);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::minutes(1));
}

// Threads trace on while set-up ends and begins anew with the same processor, which throws now and then.
TEST(Processor, underLoadSeesEverySpanThatIsExportedThroughShutdownAndNewSetUp) {
  const auto watcher = std::make_shared<Lambdas>();
  std::atomic<std::uint64_t> seen{0};
  std::atomic<std::uint64_t> started{0};
  watcher->started = [&](Span& span, const Context&) {
    span.set("number", static_cast<std::int64_t>(started.fetch_add(1)));
  };
  watcher->ended = [&](FinishedSpan&) {
    if (seen.fetch_add(1) % 100 == 0) throw std::runtime_error("now and then");
  };
  const auto exporter = std::make_shared<midtrace_test::CountingExporter>();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&stop] {
      while (!stop.load()) {
        Span span = tracer().start("work");
        const Scope scope = span.activate();
        tracer().start("below").end();
      }
    });
  }
  for (int round = 0; round < 10; ++round) {
    SetupOptions options;
    options.exporters.push_back(exporter);
    options.processors.push_back(watcher);
    options.sampler = always_on_sampler();
    options.batch = BatchOptions{.queue_size = 256, .each_at_once = round % 2 == 0};
    options.read_environment = false;
    Telemetry telemetry = setup(std::move(options));
    ASSERT_TRUE(telemetry.ok()) << telemetry.error();
    const std::uint64_t before = exporter->spans.load();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (exporter->spans.load() < before + 100 && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    EXPECT_GE(exporter->spans.load(), before + 100);
    EXPECT_TRUE(telemetry.shutdown(std::chrono::seconds(20)));
  }
  stop = true;
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(seen.load(), exporter->spans.load());
}

TEST(SimpleProcessing, exportsEachSpanByItselfAsItEnds) {
  const auto exporter = std::make_shared<midtrace_test::CountingExporter>();
  SetupOptions options;
  options.exporters.push_back(exporter);
  options.sampler = always_on_sampler();
  options.batch = BatchOptions{.schedule_delay = std::chrono::hours(1), .each_at_once = true};
  options.read_environment = false;
  Telemetry telemetry = setup(std::move(options));
  for (std::uint64_t i = 1; i <= 20; ++i) {
    tracer().start("span").end();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (exporter->spans.load() < i && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    ASSERT_EQ(exporter->spans.load(), i) << "without a flush, and long before the schedule";
  }
  EXPECT_EQ(exporter->sizes(), std::vector<std::size_t>(20, 1));
}

}  // namespace
}  // namespace midtrace
