// What happens to a produced message: on_send starts its span and puts the context into its headers,
// on_acknowledgement ends the span.
//
// on_send runs on the application's thread, perhaps under the topic's lock, and calls nothing of librdkafka
// but message headers and the topic's name. on_acknowledgement runs on any of librdkafka's threads, or on the
// application's inside the produce call when that fails; it reads the message's public fields only. Nothing
// throws or blocks.
#pragma once

#include <librdkafka/rdkafka.h>

#include <span>
#include <string_view>

#include "client.h"
#include "thread_state.h"

#include "messaging/outgoing.h"


namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

using messaging::carries_spans;

void message_sent(Client& client, const rd_kafka_t* handle, rd_kafka_message_t* message) noexcept;

void message_acknowledged_slowly(Client& client, const rd_kafka_message_t* message) noexcept;

inline void message_acknowledged(Client& client, const rd_kafka_message_t* message) noexcept {
  // A delivered message that was not sampled needs nothing more than this.
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && !client.open_sends().maybe(message)) return;
  message_acknowledged_slowly(client, message);
}

// The client's last moment: whatever is still open will never be reported. True when there was any.
bool end_open_sends(Client& client) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
