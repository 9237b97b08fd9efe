#include "support/bridge_recorder.h"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <midtrace/trace/backend.h>

#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/samplers/always_on.h>
#include <opentelemetry/sdk/trace/samplers/parent.h>
#include <opentelemetry/sdk/trace/simple_processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>

namespace midtrace::test {

namespace {

namespace api = opentelemetry;
namespace sdk = opentelemetry::sdk;

std::string in_decimal(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

template <class Element>
std::string text_of(const Element& element) {
  if constexpr (std::is_same_v<Element, std::string>) {
    return element;
  } else if constexpr (std::is_same_v<Element, bool>) {
    return element ? "true" : "false";
  } else if constexpr (std::is_same_v<Element, double>) {
    return in_decimal(element);
  } else {
    return std::to_string(element);
  }
}

template <class Element>
testing::OwnedAttribute array(const std::string& key, const std::vector<Element>& values,
                              AttributeType type) {
  std::string text = "[";
  for (const Element& element : values)
    text.append(text.size() > 1 ? ", " : "").append(text_of<Element>(element));
  return {key, text + "]", type};
}

testing::OwnedAttribute owned(const std::string& key, const sdk::common::OwnedAttributeValue& value) {
  return api::nostd::visit(
      [&key](const auto& held) -> testing::OwnedAttribute {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, bool>) {
          return {key, held, AttributeType::boolean};
        } else if constexpr (std::is_integral_v<Held>) {
          return {key, static_cast<std::int64_t>(held), AttributeType::integer};
        } else if constexpr (std::is_same_v<Held, double>) {
          return {key, held, AttributeType::real};
        } else if constexpr (std::is_same_v<Held, std::string>) {
          return {key, held, AttributeType::string};
        } else if constexpr (std::is_same_v<Held, std::vector<std::string>>) {
          return array(key, held, AttributeType::string_array);
        } else if constexpr (std::is_same_v<Held, std::vector<bool>>) {
          return array(key, held, AttributeType::boolean_array);
        } else if constexpr (std::is_same_v<Held, std::vector<double>>) {
          return array(key, held, AttributeType::real_array);
        } else {
          return array(key, held, AttributeType::integer_array);
        }
      },
      value);
}

template <class Map>
std::vector<testing::OwnedAttribute> owned(const Map& attributes) {
  std::vector<testing::OwnedAttribute> result;
  for (const auto& [key, value] : attributes)
    result.push_back(owned(key, value));
  return result;
}

std::string hex(api::nostd::span<const std::uint8_t> bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes)
    text.append({digits[byte >> 4U], digits[byte & 15U]});
  return text;
}

SpanId owned(const api::trace::SpanId& id) {
  const auto bytes = id.Id();
  return SpanId::from_hex(hex({bytes.data(), bytes.size()})).value_or(SpanId{});
}

SpanContext owned(const api::trace::SpanContext& context) {
  SpanContext result;
  const auto bytes = context.trace_id().Id();
  result.trace_id = TraceId::from_hex(hex({bytes.data(), bytes.size()})).value_or(TraceId{});
  result.span_id = owned(context.span_id());
  result.flags.bits = context.trace_flags().flags();
  result.remote = context.IsRemote();
  result.trace_state = TraceState::parse(context.trace_state()->ToHeader());
  return result;
}

std::int64_t nanos(const api::common::SystemTimestamp& time) { return time.time_since_epoch().count(); }

testing::OwnedSpan owned(const sdk::trace::SpanData& span) {
  testing::OwnedSpan result{};
  result.name = std::string(span.GetName().data(), span.GetName().size());
  result.kind = static_cast<SpanKind>(static_cast<int>(span.GetSpanKind()) + 1);
  result.context = owned(span.GetSpanContext());
  result.parent_span_id = owned(span.GetParentSpanId());
  result.start_unix_nanos = nanos(span.GetStartTime());
  result.end_unix_nanos = result.start_unix_nanos + span.GetDuration().count();
  result.status = static_cast<StatusCode>(span.GetStatus());
  result.status_description = std::string(span.GetDescription().data(), span.GetDescription().size());
  result.scope_name = span.GetInstrumentationScope().GetName();
  result.scope_version = span.GetInstrumentationScope().GetVersion();
  result.scope_schema_url = span.GetInstrumentationScope().GetSchemaURL();
  result.attributes = owned(span.GetAttributes());
  for (const auto& event : span.GetEvents())
    result.events.push_back({event.GetName(), nanos(event.GetTimestamp()), owned(event.GetAttributes())});
  for (const auto& link : span.GetLinks())
    result.links.push_back({owned(link.GetSpanContext()), owned(link.GetAttributes())});
  return result;
}

// What midtrace's own sampler does with roots and the bridge leaves to the application's: one with a single
// link is sampled as that is.
class LinkedRootSampler final : public sdk::trace::Sampler {
 public:
  sdk::trace::SamplingResult ShouldSample(
      const api::trace::SpanContext&, api::trace::TraceId, api::nostd::string_view, api::trace::SpanKind,
      const api::common::KeyValueIterable&,
      const api::trace::SpanContextKeyValueIterable& links) noexcept override {
    bool sampled = links.size() != 1;
    links.ForEachKeyValue(
        [&sampled](const api::trace::SpanContext& linked, const api::common::KeyValueIterable&) noexcept {
          sampled = sampled || linked.IsSampled();
          return true;
        });
    return {sampled ? sdk::trace::Decision::RECORD_AND_SAMPLE : sdk::trace::Decision::DROP, nullptr, {}};
  }
  api::nostd::string_view GetDescription() const noexcept override { return "LinkedRoot"; }
};

std::unique_ptr<sdk::trace::Sampler> sampler_for(const testing::RecorderOptions& options) {
  if (options.sampler == nullptr) return std::make_unique<sdk::trace::AlwaysOnSampler>();
  return std::make_unique<sdk::trace::ParentBasedSampler>(std::make_shared<LinkedRootSampler>());
}

}  // namespace

class BridgeRecorder::Exporter final : public sdk::trace::SpanExporter {
 public:
  Exporter(std::shared_ptr<std::vector<testing::OwnedSpan>> spans, std::shared_ptr<std::mutex> mutex)
      : spans_(std::move(spans)), mutex_(std::move(mutex)) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::trace::SpanData>();
  }
  sdk::common::ExportResult Export(
      const api::nostd::span<std::unique_ptr<sdk::trace::Recordable>>& recordables) noexcept override {
    std::lock_guard guard(*mutex_);
    for (const auto& recordable : recordables)
      spans_->push_back(owned(static_cast<const sdk::trace::SpanData&>(*recordable)));
    return sdk::common::ExportResult::kSuccess;
  }
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  std::shared_ptr<std::vector<testing::OwnedSpan>> spans_;
  std::shared_ptr<std::mutex> mutex_;
};

BridgeRecorder::BridgeRecorder(const testing::RecorderOptions& options)
    : BridgeRecorder(sampler_for(options)) {}

BridgeRecorder::BridgeRecorder(std::unique_ptr<sdk::trace::Sampler> sampler)
    : spans_(std::make_shared<std::vector<testing::OwnedSpan>>()),
      mutex_(std::make_shared<std::mutex>()),
      provider_(new sdk::trace::TracerProvider(
          std::make_unique<sdk::trace::SimpleSpanProcessor>(std::make_unique<Exporter>(spans_, mutex_)),
          sdk::resource::Resource::Create({}), std::move(sampler))),
      bridge_(otel_bridge::install(provider_)),
      at_start_(midtrace::counters()) {}

BridgeRecorder::~BridgeRecorder() = default;

std::vector<testing::OwnedSpan> BridgeRecorder::spans() {
  active_backend().flush(std::chrono::seconds(10));
  std::lock_guard guard(*mutex_);
  return *spans_;
}

std::string BridgeRecorder::tree(const testing::TreeOptions& options) {
  std::vector<testing::OwnedSpan> spans = this->spans();
  for (testing::OwnedSpan& span : spans) {
    span.start_unix_nanos = 0;
    span.end_unix_nanos = 0;
  }
  return testing::span_tree(spans, options);
}

Counters BridgeRecorder::counters() const {
  Counters now = midtrace::counters();
  for (std::size_t i = 0; i < now.values.size(); ++i)
    now.values[i] -= at_start_.values[i];
  return now;
}

api::nostd::shared_ptr<api::trace::Tracer> BridgeRecorder::tracer() const {
  return provider_->GetTracer("application");
}

}  // namespace midtrace::test
