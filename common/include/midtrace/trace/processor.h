// The SpanProcessor seam: sees spans when they start and when they have ended, and may change them.
//
//   struct Redact final : midtrace::SpanProcessor {
//     void on_end(midtrace::FinishedSpan& span) override { span.set("user.name", "?"); }
//   };
//   auto telemetry = midtrace::setup({.processors = {std::make_shared<Redact>()}});
//
// on_start runs on the thread that starts the span, for spans that record; it must be short and must not
// block. For an asynchronous operation it runs where that completes, because there is no record before, with
// an empty parent. on_end runs on the collector thread, before the exporters see the span, also for spans
// that record without being sampled, which are not exported. Processors run in the order they were given.
// What they throw is swallowed and counted (`hook_failures`). A processor lives as long as the process. For
// batching see BatchOptions in midtrace/setup.h. Source: OpenTelemetry Trace SDK, Span Processor.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include <midtrace/context/context.h>
#include <midtrace/export/span_view.h>
#include <midtrace/trace/attribute.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {

// A span that has ended and was not exported yet. Valid during on_end only.
class FinishedSpan {
 public:
  FinishedSpan(SpanRecord& record, std::int64_t start_unix_nanos, std::int64_t end_unix_nanos) noexcept
      : record_(&record), start_unix_nanos_(start_unix_nanos), end_unix_nanos_(end_unix_nanos) {}

  SpanView view() const noexcept { return {*record_, start_unix_nanos_, end_unix_nanos_}; }
  bool sampled() const noexcept { return view().context().sampled(); }

  // Adds the attribute or replaces its value; copied, within the span's limits.
  void set(const AnyKey& key, const AttributeValue& value) noexcept;
  void set_name(std::string_view name) noexcept;
  // The span will not be exported (counted as `dropped_by_processor`).
  void drop() noexcept { dropped_ = true; }
  bool dropped() const noexcept { return dropped_; }

 private:
  SpanRecord* record_;
  std::int64_t start_unix_nanos_;
  std::int64_t end_unix_nanos_;
  bool dropped_ = false;
};

class SpanProcessor {
 public:
  virtual ~SpanProcessor() = default;
  // `parent` is the context the span started in: its baggage may say, for example, whose request this is.
  virtual void on_start(Span& /*span*/, const Context& /*parent*/) {}
  virtual void on_end(FinishedSpan& /*span*/) {}
  // On the collector thread, when set-up ends; returns at about the deadline.
  virtual void shutdown(std::chrono::steady_clock::time_point /*deadline*/) {}
};

}  // namespace v1
}  // namespace midtrace
