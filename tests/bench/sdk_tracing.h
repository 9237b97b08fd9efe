// Tracing by opentelemetry-cpp alone: its SDK with its batch processor, its default recordable (SpanData),
// and an exporter that throws everything away; and the cases' span, made on its API.
//
// Only where the build found opentelemetry-cpp. Threads: those of the SDK.
#pragma once

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/samplers/always_off_factory.h>
#include <opentelemetry/sdk/trace/samplers/always_on_factory.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/tracer.h>

#include <atomic>
#include <memory>
#include <string>

#include "workload.h"

namespace midtrace::bench {

namespace api = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;
namespace sdk = opentelemetry::sdk;

class DiscardingSdkExporter final : public sdk::trace::SpanExporter {
 public:
  explicit DiscardingSdkExporter(std::shared_ptr<std::atomic<std::uint64_t>> exported)
      : exported_(std::move(exported)) {}
  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::trace::SpanData>();
  }
  sdk::common::ExportResult Export(
      const nostd::span<std::unique_ptr<sdk::trace::Recordable>>& spans) noexcept override {
    exported_->fetch_add(spans.size());
    return sdk::common::ExportResult::kSuccess;
  }
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  std::shared_ptr<std::atomic<std::uint64_t>> exported_;
};

// A provider with one tracer.
class SdkTracing {
 public:
  explicit SdkTracing(std::unique_ptr<sdk::trace::Sampler> sampler, std::size_t queue_size = 2048)
      : exported_(std::make_shared<std::atomic<std::uint64_t>>(0)),
        provider_(sdk::trace::TracerProviderFactory::Create(
            sdk::trace::BatchSpanProcessorFactory::Create(std::make_unique<DiscardingSdkExporter>(exported_),
                                                          with_queue(queue_size)),
            sdk::resource::Resource::Create({}), std::move(sampler))),
        tracer_(provider_->GetTracer("bench")) {}

  api::Tracer& tracer() { return *tracer_; }
  nostd::shared_ptr<api::TracerProvider> provider() const {
    return nostd::shared_ptr<api::TracerProvider>(std::shared_ptr<api::TracerProvider>(provider_));
  }
  void flush() { provider_->ForceFlush(std::chrono::seconds(30)); }
  std::uint64_t exported() const { return exported_->load(); }

 private:
  static sdk::trace::BatchSpanProcessorOptions with_queue(std::size_t size) {
    sdk::trace::BatchSpanProcessorOptions options;
    options.max_queue_size = size;
    return options;
  }

  std::shared_ptr<std::atomic<std::uint64_t>> exported_;
  std::shared_ptr<sdk::trace::TracerProvider> provider_;
  nostd::shared_ptr<api::Tracer> tracer_;
};

inline nostd::string_view text(const std::string& value) { return {value.data(), value.size()}; }

inline nostd::shared_ptr<api::Span> start_with_sdk(api::Tracer& tracer, const SpanValues& values) {
  api::StartSpanOptions options;
  options.kind = api::SpanKind::kProducer;
  auto span = tracer.StartSpan(text(values.name), options);
  span->SetAttribute("messaging.system", text(values.system));
  span->SetAttribute("messaging.destination.name", text(values.destination));
  span->SetAttribute("messaging.destination.partition.id", text(values.partition));
  span->SetAttribute("messaging.client.id", text(values.client));
  span->SetAttribute("messaging.message.body.size", values.body_size);
  span->SetAttribute("messaging.message.envelope.size", values.envelope_size);
  span->SetAttribute("messaging.kafka.offset", values.offset);
  span->SetAttribute("messaging.batch.message_count", values.batch_size);
  return span;
}

inline void trace_one_span_with_sdk(api::Tracer& tracer, const SpanValues& values) {
  start_with_sdk(tracer, values)->End();
}

}  // namespace midtrace::bench
