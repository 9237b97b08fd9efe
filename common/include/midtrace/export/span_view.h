// SpanView: how an exporter or a processor reads a finished span.
//
// A view on a record that lives until export_batch returns; every string is a view on it. Reading allocates
// nothing. Only the collector thread may use it. Source: OTLP trace.proto, Span (conventions 9.3).
#pragma once

#include <cstdint>
#include <string_view>

#include <midtrace/context/function_ref.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

struct SpanRecord;
struct AttributeStorage;

// The attributes of a span, an event or a link.
class AttributesView {
 public:
  AttributesView(const AttributeStorage* first, std::uint32_t size, std::uint32_t dropped) noexcept
      : first_(first), size_(size), dropped_(dropped) {}
  std::uint32_t size() const noexcept { return size_; }
  std::uint32_t dropped() const noexcept { return dropped_; }
  void for_each(FunctionRef<void(std::string_view key, const AttributeValue& value)> visit) const;

 private:
  const AttributeStorage* first_;
  std::uint32_t size_;
  std::uint32_t dropped_;
};

struct EventView {
  std::string_view name;
  std::int64_t unix_nanos;
  AttributesView attributes;
};

struct LinkView {
  const SpanContext& context;
  AttributesView attributes;
};

class SpanView {
 public:
  SpanView(const SpanRecord& record, std::int64_t start_unix_nanos, std::int64_t end_unix_nanos) noexcept
      : record_(&record), start_unix_nanos_(start_unix_nanos), end_unix_nanos_(end_unix_nanos) {}

  std::string_view name() const noexcept;
  SpanKind kind() const noexcept;
  const SpanContext& context() const noexcept;
  SpanId parent_span_id() const noexcept;  // invalid for a root
  bool parent_remote() const noexcept;
  std::int64_t start_unix_nanos() const noexcept { return start_unix_nanos_; }
  std::int64_t end_unix_nanos() const noexcept { return end_unix_nanos_; }
  StatusCode status() const noexcept;
  std::string_view status_description() const noexcept;
  const InstrumentationScope& scope() const noexcept;
  AttributesView attributes() const noexcept;
  std::uint32_t event_count() const noexcept;
  std::uint32_t dropped_events() const noexcept;
  void for_each_event(FunctionRef<void(const EventView&)> visit) const;
  std::uint32_t link_count() const noexcept;
  std::uint32_t dropped_links() const noexcept;
  void for_each_link(FunctionRef<void(const LinkView&)> visit) const;

  // OTLP's `flags`: the W3C flags in the low byte, 0x100 "remoteness known", 0x200 "remote".
  static std::uint32_t otlp_flags(TraceFlags flags, bool remote) noexcept {
    return (flags.bits & TraceFlags::wire_bits) | 0x100U | (remote ? 0x200U : 0U);
  }

 private:
  const SpanRecord* record_;
  std::int64_t start_unix_nanos_;
  std::int64_t end_unix_nanos_;
};

}  // namespace v1
}  // namespace midtrace
