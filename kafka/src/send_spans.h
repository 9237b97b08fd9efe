// The choke point of everything sent: `send` spans start and end here, and nowhere else.
//
// What is passed in as a message is read by its public fields only. Nothing throws; any thread. Source:
// conventions 2.3.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

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

// With Options::batch_create_spans:
struct CreatedContext {
  SpanContext span;  // invalid when there was no memory
  bool recorded = false;
};
// Records the `create` span of a message, which is as long as no time passes, because librdkafka keeps the
// message from then on.
CreatedContext record_create(const Client& client, const Topic& topic, const rd_kafka_message_t* message,
                             const Context& parent) noexcept;
// What the `send` span of a whole batch begins with.
struct BatchSendStart {
  std::size_t messages;
  std::int32_t partition;  // of all of them, or RD_KAFKA_PARTITION_UA
  std::span<const Link> created;
  std::uint64_t start_tick;
};
Span start_batch_send(const Client& client, const Topic& topic, const Context& parent,
                      const BatchSendStart& start) noexcept;
void finish_batch_send(const Client& client, const Topic& topic, Span& span,
                       rd_kafka_resp_err_t error) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
