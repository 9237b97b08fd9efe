// Installing the bridge, and taking it away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <midtrace/setup.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/backend.h>
#include <midtrace/trace/tracer.h>

#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/noop.h>

#include "support/bridge_recorder.h"

namespace midtrace::test {
namespace {

namespace api = opentelemetry;

Tracer tracer() { return Tracer::get("library"); }

TEST(BridgeInstall, happensOnce) {
  BridgeRecorder recorder;
  ASSERT_TRUE(recorder.bridge().ok());
  {
    const otel_bridge::Bridge second = otel_bridge::install();
    EXPECT_FALSE(second.ok());
  }
  tracer().start("still bridged").end();
  EXPECT_EQ(recorder.spans().size(), 1U);
}

TEST(BridgeInstall, mayHappenAgainAfterwards) {
  for (int i = 0; i < 2; ++i) {
    BridgeRecorder recorder;
    ASSERT_TRUE(recorder.bridge().ok());
    tracer().start("span").end();
    EXPECT_EQ(recorder.spans().size(), 1U);
  }
}

TEST(BridgeInstall, takesTheGlobalProviderUnlessItGetsOne) {
  BridgeRecorder recorder;
  recorder.bridge().uninstall();
  api::trace::Provider::SetTracerProvider(recorder.provider());
  otel_bridge::Bridge bridge = otel_bridge::install();
  otel_bridge::Bridge moved = std::move(bridge);
  EXPECT_FALSE(bridge.ok());  // NOLINT(bugprone-use-after-move): this is what the test is about
  EXPECT_TRUE(moved.ok());
  tracer().start("span").end();
  api::trace::Provider::SetTracerProvider({});
  EXPECT_EQ(recorder.spans().size(), 1U);
}

TEST(BridgeInstall, endsWithTheHandle) {
  BridgeRecorder recorder;
  Span running = tracer().start("running");
  std::optional<Scope> scope(std::in_place, Context{running.context(), {}, false});
  recorder.bridge().uninstall();
  recorder.bridge().uninstall();
  EXPECT_FALSE(Context::current().span.valid()) << "midtrace's own contexts again";
  EXPECT_FALSE(tracer().start("after").recording());
  running.end();  // ends where it started
  scope.reset();
  EXPECT_TRUE(api::context::RuntimeContext::GetCurrent() == api::context::Context());
  EXPECT_EQ(recorder.tree(), R"(
running INTERNAL
)");
}

TEST(BridgeInstall, isWhatDescribeTellsOf) {
  const std::string before = describe();
  {
    BridgeRecorder recorder;
    EXPECT_THAT(describe(), ::testing::StartsWith("tracing = on  ("));
    EXPECT_THAT(describe(), ::testing::HasSubstr("bridge to another SDK"));
    recorder.bridge().uninstall();
    EXPECT_EQ(describe(), before);
  }
}

TEST(BridgeInstall, withANoopProviderForwardsContexts) {
  const otel_bridge::Bridge bridge =
      otel_bridge::install(otel_bridge::TracerProviderPointer(new api::trace::NoopTracerProvider));
  ASSERT_TRUE(bridge.ok());
  EXPECT_FALSE(tracer().start("root").context().valid());
  Context received;
  received.span = {{1, 2}, {3}, {1}, true, {}};
  const Span child = tracer().start("child", {.parent = &received});
  EXPECT_FALSE(child.recording());
  EXPECT_EQ(child.context(), received.span);
  const Scope scope(received);
  EXPECT_EQ(tracer().start("child").context().span_id, received.span.span_id);
  EXPECT_TRUE(active_backend().flush(std::chrono::milliseconds(1)));
}

TEST(BridgeInstall, activatesSpansOfOtherBackendsAsContexts) {
  testing::Recorder native;
  Span before = tracer().start("before");
  BridgeRecorder recorder;
  const Scope scope = before.activate();
  EXPECT_EQ(Context::current().span, before.context());
  const Span child = tracer().start("child");
  EXPECT_EQ(child.context().trace_id, before.context().trace_id);
}

TEST(BridgeInstall, flushesTheProvider) {
  struct Seen {
    std::atomic<int> flushes{0};
    std::atomic<std::int64_t> timeout{0};
  };
  class Processor final : public api::sdk::trace::SpanProcessor {
   public:
    explicit Processor(Seen* seen) : seen_(seen) {}
    std::unique_ptr<api::sdk::trace::Recordable> MakeRecordable() noexcept override {
      return std::make_unique<api::sdk::trace::SpanData>();
    }
    void OnStart(api::sdk::trace::Recordable&, const api::trace::SpanContext&) noexcept override {}
    void OnEnd(std::unique_ptr<api::sdk::trace::Recordable>&&) noexcept override {}
    bool ForceFlush(std::chrono::microseconds timeout) noexcept override {
      ++seen_->flushes;
      seen_->timeout = timeout.count();
      return true;
    }
    bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

   private:
    Seen* seen_;
  };
  Seen seen;
  const otel_bridge::TracerProviderPointer provider(
      new api::sdk::trace::TracerProvider(std::make_unique<Processor>(&seen)));
  const otel_bridge::Bridge bridge = otel_bridge::install(provider);
  EXPECT_TRUE(active_backend().flush(std::chrono::milliseconds(1500)));
  EXPECT_EQ(seen.flushes, 1);
  EXPECT_EQ(seen.timeout, 1500000);
  EXPECT_TRUE(active_backend().flush(std::chrono::milliseconds::max()));
  EXPECT_EQ(seen.flushes, 2);
}

TEST(BridgeInstall, mayHappenWhileOtherThreadsTrace) {
  std::atomic<bool> stop{false};
  std::atomic<int> spans{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const Span outer = tracer().start("outer");
        const Scope scope = outer.activate();
        Span inner = tracer().start("inner");
        inner.set("n", 1);
        ++spans;
      }
    });
  }
  // Providers are kept to the end: ThreadSanitizer does not see the SDK's own reference counting.
  std::vector<std::unique_ptr<BridgeRecorder>> recorders;
  for (int i = 0; i < 20; ++i) {
    recorders.push_back(std::make_unique<BridgeRecorder>());
    EXPECT_TRUE(recorders.back()->bridge().ok());
    const int before = spans;
    while (spans < before + 30)
      std::this_thread::yield();
    recorders.back()->bridge().uninstall();
  }
  stop = true;
  for (std::thread& thread : threads)
    thread.join();
  for (const auto& recorder : recorders)
    EXPECT_GE(recorder->spans().size(), 30U);
}

}  // namespace
}  // namespace midtrace::test
