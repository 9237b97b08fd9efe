// What one propagator found, put together with what another one before it found for the same span.
#pragma once

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {

// The flags of a later format, with those that it cannot say from an earlier one. Force goes with a trace
// that is sampled: where the later one says that it is not, its word counts.
constexpr TraceFlags joined_flags(TraceFlags earlier, TraceFlags later, unsigned cannot_say) noexcept {
  if (!later.sampled()) cannot_say &= ~unsigned{TraceFlags::debug_bit};
  return {static_cast<std::uint8_t>(later.bits | (earlier.bits & cannot_say))};
}

// For formats that carry ids and flags only: of a context with the same ids, the tracestate and the flags
// that these formats do not know are kept, and its decision where they have none.
inline void accept_ids(TraceId trace_id, SpanId span_id, TraceFlags flags, Context& into) noexcept {
  SpanContext& span = into.span;
  if (span.trace_id == trace_id && span.span_id == span_id) {
    flags = flags.deferred()
                ? span.flags
                : joined_flags(span.flags, flags, TraceFlags::random_bit | TraceFlags::debug_bit);
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
