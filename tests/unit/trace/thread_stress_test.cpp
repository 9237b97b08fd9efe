// Many threads at once: every span is exported or counted, whatever happens.
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <time.h>

#include <gtest/gtest.h>

#include <midtrace/propagation/propagator.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "support/allocations.h"
#include "support/waits.h"
#include "test_exporters.h"

namespace midtrace {
namespace {

using midtrace_test::CountingExporter;
using midtrace_test::GatedExporter;

Tracer tracer() { return Tracer::get("stress_test"); }

// Sanitizers make everything about ten times slower.
constexpr int scale(int count) { return test::allocations_are_counted ? count : count / 10; }

struct Traced {
  explicit Traced(std::shared_ptr<Exporter> exporter, BatchOptions batch = {}) : before(counters()) {
    SetupOptions options;
    options.exporters.push_back(std::move(exporter));
    options.sampler = always_on_sampler();
    options.batch = batch;
    options.read_environment = false;
    telemetry = setup(std::move(options));
  }
  std::uint64_t counted(Counter counter) const { return counters()[counter] - before[counter]; }
  std::uint64_t dropped() const { return counters().dropped_spans() - before.dropped_spans(); }

  Counters before;
  Telemetry telemetry;
};

TEST(Threads, that_are_more_than_there_are_queues_account_for_every_span) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 512});
  constexpr int threads = 300;
  constexpr std::uint64_t spans = 200;
  std::atomic<int> running{0};
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&running] {
      Span held = tracer().start("held");  // so that each has its queue, or shares one, before the first goes
      ++running;
      while (running.load() < threads)
        std::this_thread::yield();
      for (std::uint64_t span = 1; span < spans; ++span) {
        Span work = tracer().start("work");
        work.set("text", std::string(500, 'x'));
      }
    });
  }
  for (std::thread& thread : all)
    thread.join();
  EXPECT_TRUE(traced.telemetry.flush(std::chrono::seconds(30)));
  EXPECT_EQ(traced.counted(Counter::spans_started), threads * spans);
  EXPECT_EQ(traced.counted(Counter::spans_finished) + traced.dropped(), threads * spans);
  EXPECT_EQ(traced.counted(Counter::spans_exported), traced.counted(Counter::spans_finished));
  EXPECT_EQ(exporter->spans.load(), traced.counted(Counter::spans_finished));
}

TEST(Threads, that_trace_while_others_flush_lose_nothing_uncounted) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 256, .export_batch_size = 64});
  std::atomic<bool> stop{false};
  std::vector<std::thread> all;
  for (int i = 0; i < 16; ++i) {
    all.emplace_back([] {
      for (int span = 0; span < scale(20000); ++span) {
        Span outer = tracer().start("outer");
        const Scope scope = outer.activate();
        Span inner = tracer().start("inner");
        inner.set("number", span);
        if (span % 7 == 0) inner.set("text", std::string(900, 'x'));
        if (span % 11 == 0) inner.discard();
      }
    });
  }
  std::thread flushing([&] {
    while (!stop.load())
      traced.telemetry.flush();
  });
  for (std::thread& thread : all)
    thread.join();
  stop.store(true);
  flushing.join();
  EXPECT_TRUE(traced.telemetry.flush(std::chrono::seconds(30)));
  const auto rounds = static_cast<std::uint64_t>(scale(20000));
  const std::uint64_t discarded = 16 * ((rounds + 10) / 11);
  EXPECT_EQ(traced.counted(Counter::spans_started), 16 * 2 * rounds);
  EXPECT_EQ(traced.counted(Counter::spans_finished), exporter->spans.load());
  EXPECT_GE(traced.counted(Counter::spans_finished) + traced.dropped() + discarded, 16 * 2 * rounds);
  EXPECT_LE(traced.counted(Counter::spans_finished) + traced.dropped(), 16 * 2 * rounds);
}

TEST(Threads, may_hand_spans_to_each_other) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter, {.queue_size = 65536});
  std::mutex mutex;
  std::deque<Span> handed;
  std::atomic<bool> done{false};
  std::uint64_t not_recording = 0;
  const int count = scale(100000);
  std::vector<std::thread> enders;
  for (int i = 0; i < 3; ++i) {
    enders.emplace_back([&] {
      for (;;) {
        Span span;
        {
          const std::lock_guard guard(mutex);
          if (handed.empty() && done.load()) return;
          if (!handed.empty()) {
            span = std::move(handed.front());
            handed.pop_front();
          }
        }
        span.set("ended.elsewhere", std::string(500, 'x'));
      }
    });
  }
  for (int i = 0; i < count; ++i) {
    Span span = tracer().start("handed over");
    span.set("text", std::string(500, 'y'));
    const std::lock_guard guard(mutex);
    not_recording += span.recording() ? 0 : 1;
    handed.push_back(std::move(span));
  }
  done.store(true);
  for (std::thread& thread : enders)
    thread.join();
  EXPECT_TRUE(traced.telemetry.flush(std::chrono::seconds(30)));
  EXPECT_EQ(traced.counted(Counter::spans_exported) + traced.dropped(), static_cast<std::uint64_t>(count));
  EXPECT_EQ(traced.counted(Counter::dropped_no_record), not_recording);
}

TEST(Threads, that_come_and_go_account_for_every_span) {
  const auto exporter = std::make_shared<CountingExporter>();
  Traced traced(exporter);
  const int rounds = scale(2000);
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::thread> few;
    for (int i = 0; i < 5; ++i) {
      few.emplace_back([] {
        Span span = tracer().start("short");
        const Scope scope = span.activate();
        tracer().start("child").end();
      });
    }
    for (std::thread& thread : few)
      thread.join();
  }
  EXPECT_TRUE(traced.telemetry.flush(std::chrono::seconds(30)));
  EXPECT_EQ(traced.counted(Counter::spans_exported) + traced.dropped(),
            static_cast<std::uint64_t>(rounds) * 10);
}

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Whatever an application's thread does: a span, its context onto a carrier and off it again.
double cost_of(int spans) {
  const TraceContextPropagator propagator;
  MapCarrier::Map fields;
  MapCarrier carrier(fields);
  const double before = thread_cpu_seconds();
  for (int i = 0; i < spans; ++i) {
    Span span = tracer().start("span");
    const Scope scope = span.activate();
    span.set("number", i);
    span.set("text", "some text");
    if (i % 16 != 0) continue;
    propagator.inject(Context::current(), carrier);
    Context extracted;
    propagator.extract(carrier, extracted);
  }
  return thread_cpu_seconds() - before;
}

TEST(Exporter, that_never_returns_does_not_slow_the_application_down) {
  const int spans = scale(1000000);
  double normal = 0;
  {
    Traced traced(std::make_shared<CountingExporter>());
    cost_of(spans / 10);
    normal = cost_of(spans);
  }
  const auto gate = std::make_shared<GatedExporter>();
  Traced traced(gate);
  const long waits = test::waits_of_this_thread();
  const double stuck = cost_of(spans);
  // One wait for each batch of 512 spans would be more.
  EXPECT_LT(test::waits_of_this_thread() - waits, spans / 1000);
  EXPECT_EQ(gate->spans.load(), 0U);
  EXPECT_GT(traced.dropped(), 0U);
  EXPECT_LT(stuck, 3 * normal + 0.05);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_FALSE(traced.telemetry.shutdown(std::chrono::milliseconds(200)));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  // What the exporter held is exported late, but counted.
  gate->open_gate();
  while (traced.counted(Counter::spans_exported) == 0)
    std::this_thread::yield();
  EXPECT_EQ(traced.counted(Counter::spans_exported), gate->spans.load());
}

}  // namespace
}  // namespace midtrace
