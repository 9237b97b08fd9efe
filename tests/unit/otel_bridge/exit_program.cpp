// Leaves by exit() with the bridge installed, a scope open and a span running; the provider must still be
// destroyed (it prints), and what statics do afterwards must do no harm.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include <midtrace/otel_bridge.h>
#include <midtrace/trace/tracer.h>

#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>

namespace {

namespace sdk = opentelemetry::sdk::trace;

struct Late {
  std::optional<midtrace::Span> running;
  ~Late() {
    running->set("late", true);
    running->end();
    const midtrace::Span after = midtrace::Tracer::get("library").start("after");
    std::printf("after: %s\n", after.recording() ? "recording" : "not recording");
  }
};
Late late;  // destroyed after opentelemetry-cpp's statics, which are made later

class Processor final : public sdk::SpanProcessor {
 public:
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  void OnStart(sdk::Recordable&, const opentelemetry::trace::SpanContext&) noexcept override {}
  void OnEnd(std::unique_ptr<sdk::Recordable>&&) noexcept override {}
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override {
    if (!std::exchange(shut_, true)) std::printf("provider shut down\n");
    return true;
  }

 private:
  bool shut_ = false;
};

}  // namespace

int main() {
  opentelemetry::trace::Provider::SetTracerProvider(
      midtrace::otel_bridge::TracerProviderPointer(new sdk::TracerProvider(std::make_unique<Processor>())));
  const auto bridge = midtrace::otel_bridge::install();
  late.running.emplace(midtrace::Tracer::get("library").start("running"));
  const midtrace::Scope scope = late.running->activate();
  std::exit(bridge.ok() ? 0 : 1);
}
