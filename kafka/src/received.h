// A message that came from librdkafka, as spans and forwarding know it.
#pragma once

#include <librdkafka/rdkafka.h>

#include <midtrace/kafka/message.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

class Client;

// A message as the client's options let it in: its context and baggage, and its fingerprint in any case.
// Reads the headers.
Delivery take_in(const Client& client, const rd_kafka_message_t* message) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
