// What the frames that pass by say: deliveries, returned messages, confirms, closed channels.
//
// On the connection's thread, with frames as rabbitmq-c gives them. Nothing throws. Source: AMQP 0-9-1 and
// RabbitMQ's extensions.
#pragma once

#include <cstdint>

#include "session.h"

#include <midtrace/amqp/library.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// A frame that goes to the application. `start_tick`: when the call that waited for it began.
void saw_frame(Session& session, const amqp_frame_t& frame, std::uint64_t start_tick) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
