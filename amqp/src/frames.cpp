#include "frames.h"

#include <algorithm>
#include <mutex>
#include <string_view>

#include "publish.h"
#include "receive.h"
#include "table.h"

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

// The broker cancelled it: its queue is gone, or its node.
void forget_consumer(Session& session, Channel& channel, std::string_view tag) noexcept {
  const std::lock_guard guard(session.lock());
  std::erase_if(channel.consumers, [tag](const Consumer& consumer) { return consumer.tag == tag; });
}

void saw_method(Session& session, amqp_channel_t number, const amqp_method_t& method,
                std::uint64_t start_tick) noexcept {
  if (method.decoded == nullptr) return;
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD || method.id == AMQP_CONNECTION_CLOSE_METHOD)
    return session.learn(number, method);
  // A connection may have been consuming before it was traced.
  const bool delivers = method.id == AMQP_BASIC_DELIVER_METHOD;
  Channel* const channel = delivers ? session.channel(number) : session.existing_channel(number);
  if (channel == nullptr) return;
  switch (method.id) {
    case AMQP_BASIC_DELIVER_METHOD:
      return announce(session, *channel, *static_cast<const amqp_basic_deliver_t*>(method.decoded),
                      start_tick);
    case AMQP_BASIC_RETURN_METHOD:
      return returned(*channel, *static_cast<const amqp_basic_return_t*>(method.decoded));
    case AMQP_BASIC_ACK_METHOD: {
      const auto* ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
      confirmed(session, *channel, ack->delivery_tag, ack->multiple != 0, false);
      return;
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto* nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
      confirmed(session, *channel, nack->delivery_tag, nack->multiple != 0, true);
      return;
    }
    case AMQP_BASIC_CANCEL_METHOD:
      return forget_consumer(session, *channel,
                             text_of(static_cast<const amqp_basic_cancel_t*>(method.decoded)->consumer_tag));
    default:
      return;
  }
}

}  // namespace

void saw_frame(Session& session, const amqp_frame_t& frame, std::uint64_t start_tick) noexcept {
  if (frame.frame_type == AMQP_FRAME_METHOD)
    return saw_method(session, frame.channel, frame.payload.method, start_tick);
  if (frame.frame_type != AMQP_FRAME_HEADER) return;
  Channel* const channel = session.existing_channel(frame.channel);
  if (channel == nullptr || channel->announced.by == Announced::By::nothing) return;
  const auto* properties = static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded);
  if (channel->announced.by == Announced::By::returned) return returned_content(*channel, properties);
  message_received(session, *channel, properties, {}, frame.payload.properties.body_size);
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
