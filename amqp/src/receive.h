// The choke point of everything received: `receive` spans are made here, and nowhere else.
//
// A message arrives in two steps, its method and its content, by whichever calls; announce() keeps the first,
// message_received() makes the span of both and remembers the delivery until it is settled. On the
// connection's thread. Nothing throws. Source: conventions 2.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "channel.h"
#include "session.h"

#include <midtrace/amqp/library.h>
#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// What a message carries as the options let it in: its context and baggage, and the context's fingerprint in
// any case.
struct Carried {
  Context creation;
  std::uint64_t print = 0;
};
Carried take_in(const Endpoint& endpoint, const Destination& destination,
                const amqp_basic_properties_t* properties) noexcept;

// basic.deliver and basic.get-ok. The tick is when the call that waits for the message began.
void announce(Session& session, Channel& channel, const amqp_basic_deliver_t& method,
              std::uint64_t start_tick) noexcept;
void announce(Session& session, Channel& channel, const amqp_basic_get_ok_t& method, std::string_view queue,
              bool no_ack, std::uint64_t start_tick) noexcept;

// The content of what was announced. `body` is empty where it has not been read yet.
void message_received(Session& session, Channel& channel, const amqp_basic_properties_t* properties,
                      amqp_bytes_t body, std::uint64_t body_size) noexcept;

// A call that gave no message: with Options::empty_receives, or with an error.
void nothing_received(Session& session, std::string_view queue, std::uint64_t start_tick,
                      std::string_view error_type) noexcept;

// What describes a delivery beside its destination, on a span or a link.
struct Described {
  std::uint64_t delivery_tag = 0;
  std::uint64_t received = 0;  // in ticks; 0: not asked
  const amqp_basic_properties_t* properties = nullptr;
  std::int64_t body_size = -1;  // where it is captured
  bool redelivered = false;
};
void describe_delivery(const Described& delivery, Span& span) noexcept;
// Views of the properties; may throw for lack of memory.
void describe_delivery(const Described& delivery, std::vector<Attribute>& attributes);
// What only a span has: where it died first, captured headers, a routing key that its name has no room for.
void describe_history(const Endpoint& endpoint, const Destination& destination, std::string_view routing_key,
                      const Described& delivery, Span& span) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
