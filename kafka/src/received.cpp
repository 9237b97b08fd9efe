#include "received.h"

#include <utility>

#include "client.h"
#include "describe.h"
#include "headers.h"
#include "messaging/baggage_rules.h"
#include "messaging/received.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

Delivery take_in(const Client& client, const rd_kafka_message_t* message) noexcept {
  Delivery delivery{message, carried_context(message)};
  IncomingContext incoming = client.options().user.incoming_context;
  if (client.has_topic_rules()) {
    const TopicSwitches switches = client.topic(topic_name(*message), thread_state()).switches();
    delivery.traced = !switches.untraced;
    if (switches.unpropagated) incoming = IncomingContext::ignore;
  }
  Context& creation = delivery.creation;
  delivery.print = messaging::fingerprint(creation.span, incoming);
  messaging::let_in(incoming, creation);
  creation.baggage =
      messaging::allowed_baggage(client.options().user.baggage_keys, std::move(creation.baggage));
  return delivery;
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
