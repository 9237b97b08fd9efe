// Where a trace context in outgoing headers comes from, and what of it counts (D22).
//
// Nothing throws; on the thread of the ThreadState.
#pragma once

#include <cstdint>

#include "thread_state.h"

#include <midtrace/context/span_context.h>
#include <midtrace/messaging/relation.h>
#include <midtrace/propagation/incoming.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

enum class Found : std::uint8_t { nothing, application, received };

struct Origin {
  Found found;
  IncomingContext incoming = IncomingContext::continue_trace;  // what the receiver made of it
};

Origin origin_of(ExistingContext existing, const ThreadState& thread, const SpanContext& context) noexcept;

// What is left of a context in the headers that a consumer received and did not trust.
void distrust(IncomingContext incoming, SpanContext& context) noexcept;

inline bool says_something(const SpanContext& context) noexcept {
  return context.valid() || context.decision_only();
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
