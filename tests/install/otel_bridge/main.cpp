// A program that has opentelemetry-cpp and midtrace::otel_bridge: midtrace's span ends up in its provider.
#include <cstdio>
#include <memory>
#include <string>

#include <midtrace/otel_bridge.h>
#include <midtrace/trace/tracer.h>

#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>

namespace {

namespace sdk = opentelemetry::sdk::trace;

std::string ended;

class Processor final : public sdk::SpanProcessor {
 public:
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  void OnStart(sdk::Recordable&, const opentelemetry::trace::SpanContext&) noexcept override {}
  void OnEnd(std::unique_ptr<sdk::Recordable>&& span) noexcept override {
    const auto name = static_cast<const sdk::SpanData&>(*span).GetName();
    ended.assign(name.data(), name.size());
  }
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }
};

}  // namespace

int main() {
  auto bridge = midtrace::otel_bridge::install(
      midtrace::otel_bridge::TracerProviderPointer(new sdk::TracerProvider(std::make_unique<Processor>())));
  if (!bridge.ok()) return 1;
  midtrace::Tracer::get("consumer").start("bridged").end();
  if (ended != "bridged") {
    std::fprintf(stderr, "the provider saw \"%s\"\n", ended.c_str());
    return 1;
  }
  return 0;
}
