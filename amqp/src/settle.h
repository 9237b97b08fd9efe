// The choke point of settlements: `ack`, `nack` and `reject` spans start and end here, and nowhere else.
//
// One span for each call, with one link for each message that it covers and that carried a context. It is a
// child of the current span or, without one, of the process span that all of them belong to. A settlement
// that could be sent ends the process spans; in a transaction only its commit does. On the connection's
// thread. Nothing throws. Source: conventions 2.4; RabbitMQ, Consumer Acknowledgements.
#pragma once

#include <cstdint>
#include <string_view>

#include "channel.h"
#include "session.h"

#include <midtrace/amqp/library.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

struct Settle {
  Operation operation;  // ack, nack, reject
  amqp_channel_t channel;
  std::uint64_t delivery_tag;
  bool multiple;
  bool requeue;
};

// What amqp_basic_ack() and its like return.
int settle(Session& session, const Settle& settle) noexcept;

// The transaction of a channel: what was settled in it is so, or is not.
void settled_by_commit(Session& session, Channel& channel) noexcept;
void unsettled_by_rollback(Session& session, Channel& channel) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
