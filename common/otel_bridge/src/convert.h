// Values of midtrace as values of opentelemetry-cpp's API and back: ids, contexts, baggage, attributes,
// links.
//
// The iterables are views, good for one call into the API. Any thread. Functions that are not noexcept may
// throw std::bad_alloc.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <midtrace/context/context.h>
#include <midtrace/export/span_view.h>
#include <midtrace/trace/types.h>

#include <opentelemetry/baggage/baggage.h>
#include <opentelemetry/common/attribute_value.h>
#include <opentelemetry/common/key_value_iterable.h>
#include <opentelemetry/nostd/function_ref.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/nostd/string_view.h>
#include <opentelemetry/trace/span_context.h>
#include <opentelemetry/trace/span_context_kv_iterable.h>
#include <opentelemetry/trace/span_metadata.h>

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

namespace api = opentelemetry;

// Never a null pointer, which some versions of the SDK refuse.
inline api::nostd::string_view to_api(std::string_view text) noexcept {
  return text.data() != nullptr ? api::nostd::string_view(text.data(), text.size())
                                : api::nostd::string_view("");
}
inline std::string_view from_api(api::nostd::string_view text) noexcept { return {text.data(), text.size()}; }

api::trace::SpanKind to_api(SpanKind kind) noexcept;
// Of the flags, those of a traceparent, both ways; the others mean something to midtrace alone.
api::trace::SpanContext to_api(const SpanContext& context) noexcept;
SpanContext from_api(const api::trace::SpanContext& context) noexcept;

// Metadata is a part of the value there, `value;metadata`, and its propagator writes what is behind the first
// ';' as it is. So ';' and '%' are percent-encoded in a value that has a ';', and metadata that is no list of
// properties stays here. On the way back only such a list is metadata; nothing is decoded, because the value
// may be the application's own. Instead, `ours` says what midtrace gave: an entry that is unchanged is that.
api::nostd::shared_ptr<api::baggage::Baggage> to_api(const Baggage& baggage);
Baggage from_api(const api::baggage::Baggage& baggage, const Baggage& ours = {}) noexcept;

using StringArray = std::vector<api::nostd::string_view>;
// `strings` holds the views of an array of strings and must outlive the result.
api::common::AttributeValue to_api(const AttributeValue& value, StringArray& strings);

using AttributeCallback =
    api::nostd::function_ref<bool(api::nostd::string_view, api::common::AttributeValue)>;

class GivenAttributes final : public api::common::KeyValueIterable {
 public:
  explicit GivenAttributes(std::span<const Attribute> attributes) noexcept : attributes_(attributes) {}
  bool ForEachKeyValue(AttributeCallback callback) const noexcept override;
  std::size_t size() const noexcept override { return attributes_.size(); }

 private:
  std::span<const Attribute> attributes_;
};

class RecordedAttributes final : public api::common::KeyValueIterable {
 public:
  explicit RecordedAttributes(const AttributesView& attributes) noexcept : attributes_(attributes) {}
  bool ForEachKeyValue(AttributeCallback callback) const noexcept override;
  std::size_t size() const noexcept override { return attributes_.size(); }

 private:
  AttributesView attributes_;
};

class GivenLinks final : public api::trace::SpanContextKeyValueIterable {
 public:
  explicit GivenLinks(std::span<const Link> links) noexcept;
  bool ForEachKeyValue(
      api::nostd::function_ref<bool(api::trace::SpanContext, const api::common::KeyValueIterable&)> callback)
      const noexcept override;
  // Without those that say nothing: neither a context, nor a tracestate, nor attributes. A record leaves
  // them out too.
  std::size_t size() const noexcept override { return size_; }

 private:
  std::span<const Link> links_;
  std::size_t size_;
};

// Tells an attribute from another one, or from the same one with another value.
std::uint64_t fingerprint(std::string_view key, const AttributeValue& value) noexcept;

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
