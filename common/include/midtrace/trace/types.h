// The small vocabulary of spans: kind, status, links, instrumentation scope, samplers' needs, limits.
//
// Plain values without behaviour. Source: OpenTelemetry Trace API; numbers as in OTLP (conventions 9.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <midtrace/context/span_context.h>
#include <midtrace/trace/attribute.h>

namespace midtrace {
inline namespace v1 {

enum class SpanKind : std::uint8_t { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 };

// Total order Ok > Error > Unset: after `ok` nothing changes it, and `unset` never replaces anything.
enum class StatusCode : std::uint8_t { unset = 0, ok = 1, error = 2 };

// A reference to another span. The attributes are copied when the span takes the link.
struct Link {
  SpanContext context;
  std::span<const Attribute> attributes = {};
};

// Who made a span. The views must have static storage duration.
struct InstrumentationScope {
  std::string_view name;
  std::string_view version = {};
  std::string_view schema_url = {};
};

// What a sampler looks at besides trace id, kind and parent.
struct SamplerNeeds {
  bool name = false;
  bool links = false;
  bool attributes = false;

  friend constexpr SamplerNeeds operator|(SamplerNeeds a, SamplerNeeds b) noexcept {
    return {a.name || b.name, a.links || b.links, a.attributes || b.attributes};
  }
};

// What one span may hold; what exceeds it is dropped and counted on the span. Source: conventions 8.
//
// Names of spans and events have no limit of their own. Only `span_bytes` bounds them: a longer name is cut
// at a character and counted in Counter::truncated_values, and a span whose name takes it all has little room
// for anything else. Keys end at 65535 bytes.
//
// When the memory of the span, or of the process, is used up, a new name, status description or string
// replaces an earlier one only when it is there whole, or when more of it could be kept than the earlier one
// has. So what was said once is never lost to a text of which nothing fits; that, too, counts as truncated.
struct SpanLimits {
  static constexpr std::uint32_t unlimited = 0xFFFFFFFFU;

  std::uint32_t attribute_count = 128;
  std::uint32_t attribute_value_length = unlimited;  // characters of a string, each array element separately
  std::uint32_t event_count = 128;
  std::uint32_t link_count = 128;
  std::uint32_t event_attribute_count = 128;
  std::uint32_t link_attribute_count = 128;
  // Links of the receive and process spans that modules start, so that a batch keeps them all. Equal to
  // link_count when the user set that one.
  std::uint32_t module_link_count = 1024;
  // Everything a span holds, in bytes; then values are cut and further items dropped.
  std::uint32_t span_bytes = 256U * 1024U;
};

}  // namespace v1
}  // namespace midtrace
