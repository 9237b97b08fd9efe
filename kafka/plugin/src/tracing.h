// Turns tracing on for a process that knows nothing of midtrace, once, when its first Kafka client is made.
//
// The configuration is that client's midtrace.* properties and the environment. In a process that set tracing
// up by itself, with its own copy of midtrace, that one is used. Tracing ends with the process, which
// flushes.
#pragma once

#include "properties.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace plugin {

// Any thread; nothing throws. Later calls with other properties warn once and change nothing.
void turn_tracing_on(const Properties& properties) noexcept;

}  // namespace plugin
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
