// IncomingContext: what a module does with the trace contexts that it receives.
//
// Each module has it as an option, because it is the place that knows whom it hears from: a topic or queue
// that anybody may write to is a trust boundary. It is about traces alone; baggage has an allow-list of its
// own beside it. Source: W3C Trace Context, sections 2.4 and 5 (restarting a trace); OpenTelemetry messaging
// conventions (links).
#pragma once

#include <cstdint>

namespace midtrace {
inline namespace v1 {

enum class IncomingContext : std::uint8_t {
  // The sender is trusted: its trace goes on here, and its sampling decision is followed.
  continue_trace,
  // A trace of our own, sampled by our own decision, with a link to the sender's.
  restart,
  // As if there were none, baggage included.
  ignore,
};

}  // namespace v1
}  // namespace midtrace
