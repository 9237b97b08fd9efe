// What one propagator found, put together with what another one before it found for the same span.
#pragma once

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {

// For formats that carry ids and flags only: of a context with the same ids, the tracestate and the flags
// that these formats do not know are kept, and its decision where they have none.
inline void accept_ids(TraceId trace_id, SpanId span_id, TraceFlags flags, Context& into) noexcept {
  SpanContext& span = into.span;
  if (span.trace_id == trace_id && span.span_id == span_id) {
    constexpr std::uint8_t kept = TraceFlags::random_bit | TraceFlags::debug_bit;
    flags.bits =
        flags.deferred() ? span.flags.bits : static_cast<std::uint8_t>(flags.bits | (span.flags.bits & kept));
  } else {
    span.trace_state = TraceState();
  }
  span.trace_id = trace_id;
  span.span_id = span_id;
  span.flags = flags;
  span.remote = true;
}

}  // namespace v1
}  // namespace midtrace
