// The choke point of everything published: `publish` spans start and end here, and nowhere else.
//
// A span ends when the call returns or, on a channel with publisher confirms, when the broker has confirmed
// the message; a returned message is joined to its publish by the context that it carries, else by its route,
// in order. On the connection's thread, except finish_publish(). Nothing throws. Source: conventions 2.3;
// RabbitMQ, Publisher Confirms.
#pragma once

#include <cstdint>
#include <string_view>

#include "channel.h"
#include "session.h"

#include <midtrace/amqp/connection.h>
#include <midtrace/amqp/library.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// The arguments of one basic_publish().
struct Publish {
  amqp_channel_t channel;
  amqp_bytes_t exchange;
  amqp_bytes_t routing_key;
  amqp_boolean_t mandatory;
  amqp_boolean_t immediate;
  const amqp_basic_properties_t* properties;
  amqp_bytes_t body;
};

// What amqp_basic_publish() returns.
int publish(Session& session, const Publish& publish) noexcept;

// Ends the span of a publish that waited; without an error type it succeeded.
void finish_publish(Endpoint& endpoint, OpenPublish&& publish, std::string_view error_type) noexcept;

// The broker's basic.ack or basic.nack. How many messages it confirms.
std::uint64_t confirmed(Session& session, Channel& channel, std::uint64_t tag, bool multiple,
                        bool refused) noexcept;
// Its basic.return, and the content that follows.
void returned(Channel& channel, const amqp_basic_return_t& method) noexcept;
void returned_content(Channel& channel, const amqp_basic_properties_t* properties) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
