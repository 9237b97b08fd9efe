#include <midtrace/trace/counters.h>

#include <atomic>

#include <midtrace/trace/backend.h>

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::string_view names[] = {
    "spans_started",
    "spans_sampled",
    "spans_finished",
    "spans_exported",
    "dropped_queue_full",
    "dropped_no_record",
    "dropped_export_failed",
    "dropped_after_shutdown",
    "dropped_by_fork",
    "dropped_by_processor",
    "truncated_values",
    "dropped_attributes",
    "dropped_events",
    "dropped_links",
    "extract_malformed_traceparent",
    "extract_duplicate_traceparent",
    "extract_malformed_tracestate",
    "extract_malformed_b3",
    "extract_malformed_jaeger",
    "extract_malformed_baggage",
    "baggage_members_dropped",
    "injection_skipped",
    "scopes_ended_out_of_order",
    "scopes_ended_elsewhere",
    "scopes_too_deep",
    "hook_failures",
    "operations_lost",
    "invalid_configuration",
    "export_retries",
    "export_lost_connection",
    "export_lost_timeout",
    "export_lost_tls",
    "export_lost_refused",
    "export_lost_size",
    "spans_rejected",
    "export_lost_internal",
    "invalid_utf8",
    "baggage_metadata_dropped",
    "operations_timed_out",
    "statistics_dropped",
};
constexpr std::size_t size = static_cast<std::size_t>(Counter::count_);
static_assert(sizeof(names) / sizeof(names[0]) == size);

constinit std::atomic<std::uint64_t> shared[size]{};

}  // namespace

std::string_view counter_name(Counter counter) noexcept {
  const auto index = static_cast<std::size_t>(counter);
  return index < size ? names[index] : std::string_view("unknown");
}

std::uint64_t Counters::dropped_spans() const noexcept {
  return (*this)[Counter::dropped_queue_full] + (*this)[Counter::dropped_no_record] +
         (*this)[Counter::dropped_export_failed] + (*this)[Counter::dropped_after_shutdown] +
         (*this)[Counter::dropped_by_fork] + (*this)[Counter::dropped_by_processor];
}

Counters counters() noexcept {
  Counters result = active_backend().counters();
  for (std::size_t i = 0; i < size; ++i)
    result.values[i] += shared[i].load(std::memory_order_relaxed);
  return result;
}

void count(Counter counter, std::uint64_t amount) noexcept {
  const auto index = static_cast<std::size_t>(counter);
  if (index < size) shared[index].fetch_add(amount, std::memory_order_relaxed);
}

}  // namespace v1
}  // namespace midtrace
