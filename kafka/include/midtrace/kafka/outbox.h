// CreationContext for Kafka: messages out of an outbox (midtrace/messaging/creation_context.h).
#pragma once

#include <midtrace/context/context.h>
#include <midtrace/messaging/creation_context.h>
#include <midtrace/propagation/context_text.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

using messaging::CreationContext;

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
