// The choke point of everything sent: `send` spans start and end here, and nowhere else.
//
// What is passed in as a message is read by its public fields only. Nothing throws; any thread. Source:
// conventions 2.3.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>

#include "client.h"
#include "open_sends.h"
#include "topics.h"

#include <midtrace/context/context.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

struct SendStart {
  const Topic* topic;
  const rd_kafka_message_t* message;
  const Context* parent;
  SpanKind kind;
  const SpanContext* linked = nullptr;  // the context that the headers hold already
  std::uint64_t start_tick = 0;
};

// Starts a `send` span. Rare cases leave something in `rare`, which stays null otherwise.
PendingSpan start_send(const Client& client, const SendStart& start,
                       std::unique_ptr<RareSendState>& rare) noexcept;
// Ends it with the error and what is known of the message: null when nothing is.
void finish_send(const Client& client, OpenSend&& send, const rd_kafka_message_t* message,
                 rd_kafka_resp_err_t error) noexcept;
// No report came, and none will.
void abandon_send(const Client& client, OpenSend&& send) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
