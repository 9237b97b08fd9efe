// Counters: what tracing did and what it could not do, for the whole process.
//
// Counting is one relaxed add on memory of the calling thread where it is frequent, on shared memory where it
// is rare. A snapshot is not atomic over all fields, but every field only grows. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace midtrace {
inline namespace v1 {

// The order is part of what two copies in one process tell each other: new ones go to the end.
enum class Counter : std::uint8_t {
  spans_started,           // every span, sampled or not
  spans_sampled,           // those that record
  spans_finished,          // handed to the collector
  spans_exported,          // accepted by every exporter
  dropped_queue_full,      // the thread's ring had no room
  dropped_no_record,       // the byte budget for records was used up
  dropped_export_failed,   // an exporter gave up
  dropped_after_shutdown,  // finished when nobody collects any more
  dropped_by_fork,         // started before a fork and finished in the child
  dropped_by_processor,    // a SpanProcessor wanted it
  truncated_values,        // a string was cut
  dropped_attributes,      // over a limit
  dropped_events,
  dropped_links,
  extract_malformed_traceparent,
  extract_duplicate_traceparent,
  extract_malformed_tracestate,
  extract_malformed_b3,
  extract_malformed_jaeger,
  extract_malformed_baggage,
  baggage_members_dropped,  // over a limit, on inject or extract
  injection_skipped,        // a module sent the message without context, because it did not fit
  scopes_ended_out_of_order,
  scopes_ended_elsewhere,  // on another thread
  scopes_too_deep,
  hook_failures,    // a user's hook or sampler threw
  operations_lost,  // an asynchronous operation was overtaken or never completed
  invalid_configuration,
  // Of an exporter that sends over a network. Spans in batches that it gave up count as dropped_export_failed
  // too, here by the reason.
  export_retries,          // requests that were sent again
  export_lost_connection,  // there was none, or it broke before the whole answer came
  export_lost_timeout,     // no answer in time
  export_lost_tls,         // the handshake failed, or a certificate was not accepted
  export_lost_refused,     // an answer that is not 2xx, at once or to the last attempt
  export_lost_size,        // a request or an answer over the limit
  spans_rejected,          // the receiver accepted the batch, but not these; spans_exported has them too
  export_lost_internal,    // no memory to send them, or libcurl cannot do what is asked
  // Of whatever writes text that must be UTF-8. Each writing counts: a span that goes to two exporters,
  // twice.
  invalid_utf8,              // a string had bytes that are not UTF-8; U+FFFD was written in their place
  baggage_metadata_dropped,  // not valid in a header: the member was sent without it
  operations_timed_out,      // nobody ended it, so a time limit of the module did
  statistics_dropped,        // of a client library: they could not be read, or were too long
  count_                     // how many there are; not a counter
};

// The counter's name as it is printed, e.g. `dropped_queue_full`.
std::string_view counter_name(Counter counter) noexcept;

struct Counters {
  std::array<std::uint64_t, static_cast<std::size_t>(Counter::count_)> values{};

  std::uint64_t operator[](Counter counter) const noexcept {
    return values[static_cast<std::size_t>(counter)];
  }
  // Spans that recorded and will not be exported, for whatever reason.
  std::uint64_t dropped_spans() const noexcept;
};

// The process's counters, from the active backend and the modules.
Counters counters() noexcept;

// Adds to a counter that is not on a hot path. Modules and propagators use it.
void count(Counter counter, std::uint64_t amount = 1) noexcept;

}  // namespace v1
}  // namespace midtrace
