// LogIds: the ids of the current context as text, so that log lines find their trace.
//
//   const midtrace::LogIds ids = midtrace::current_log_ids();
//   log("trace_id={} span_id={} order settled", ids.trace_id(), ids.span_id());
//
// The three fields are those that OpenTelemetry names for log formats without a field of their own for them:
// `trace_id` (32 lower-case hexadecimal digits), `span_id` (16) and `trace_flags` (2, as in a traceparent).
// All are empty when no span is current. A value of 52 bytes; nothing is allocated, nothing throws, any
// thread. For spdlog see midtrace/context/spdlog.h. Source: OpenTelemetry, trace context in non-OTLP log
// formats.
#pragma once

#include <string_view>

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {

inline constexpr std::string_view log_trace_id = "trace_id";
inline constexpr std::string_view log_span_id = "span_id";
inline constexpr std::string_view log_trace_flags = "trace_flags";

class LogIds {
 public:
  LogIds() noexcept = default;
  explicit LogIds(const SpanContext& context) noexcept;

  bool empty() const noexcept { return !valid_; }
  std::string_view trace_id() const noexcept { return field(0, 32); }
  std::string_view span_id() const noexcept { return field(32, 16); }
  std::string_view trace_flags() const noexcept { return field(48, 2); }

 private:
  std::string_view field(unsigned begin, unsigned size) const noexcept {
    return valid_ ? std::string_view(text_ + begin, size) : std::string_view();
  }

  char text_[50] = {};
  bool valid_ = false;
};

LogIds current_log_ids() noexcept;

}  // namespace v1
}  // namespace midtrace
