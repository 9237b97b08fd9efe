// CreationContext: messages carry a context that was stored earlier, as those do that come out of an outbox.
//
//   const midtrace::amqp::CreationContext stored(midtrace::context_from_text(row.context));  // the relay
//   amqp.basic_publish(channel, exchange, routing_key, false, false, &properties, order);
//
// What this thread publishes while it lives carries exactly that context, and its `publish` spans are of kind
// CLIENT and link to it. It is messaging::CreationContext, which says the rest. Source: conventions 2.3.
#pragma once

#include <midtrace/messaging/creation_context.h>
#include <midtrace/propagation/context_text.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {

using messaging::CreationContext;

}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
