// What all spans of this module go through: the mode and suppression, names, the attributes that are the same
// for every span of one operation on one topic, hooks, and the old attribute names of the `messaging/dup`
// opt-in.
//
// With send_spans.h, receive_spans.h and TransactionCall it is the choke point: spans start and end there,
// and nowhere else. Nothing throws except prepare_span(), for lack of memory; any thread. Source:
// OpenTelemetry messaging conventions (spans, Kafka); conventions 2.
#pragma once

#include "client.h"
#include "topics.h"

#include <midtrace/context/context.h>
#include <midtrace/kafka/options.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

PreparedSpan prepare_span(const Client& client, const Topic& topic, Operation operation);

// Whether spans are made for this client under this context.
bool tracing(const Client& client, const Context& ambient) noexcept;

// Calls a hook that is set; what it throws is swallowed and counted.
void run_hook(const Hook& hook, Span& span, const Call& call) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
