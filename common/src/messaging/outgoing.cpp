#include "outgoing.h"

namespace midtrace {
inline namespace v1 {
namespace messaging {

Origin origin_of(ExistingContext existing, const ThreadState& thread, const SpanContext& context) noexcept {
  if (!context.valid()) {
    // A denial without ids is respected, wherever it comes from; any other decision makes way for ids.
    const bool denied = context.decision_only() && !context.sampled() && existing != ExistingContext::replace;
    return {denied ? Found::application : Found::nothing};
  }
  if (existing == ExistingContext::keep) return {Found::application};
  // The strictest first: what one consumer did not trust is not trusted because another one does.
  for (const IncomingContext incoming :
       {IncomingContext::ignore, IncomingContext::restart, IncomingContext::continue_trace}) {
    if (thread.was_received(fingerprint(context, incoming))) return {Found::received, incoming};
  }
  return {existing == ExistingContext::replace ? Found::received : Found::application};
}

void distrust(IncomingContext incoming, SpanContext& context) noexcept {
  if (incoming == IncomingContext::restart) context.flags.bits |= TraceFlags::deferred_bit;
  if (incoming == IncomingContext::ignore) context = SpanContext();
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
