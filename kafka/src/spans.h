// The choke point: every span of this module starts and ends here, and nowhere else.
//
// Suppression, the mode, names, attributes, links, hooks, and the old attribute names of the `messaging/dup`
// opt-in are decided here. What is passed in as a message is read by its public fields only, except where a
// function says so. Nothing throws; any thread. Source: OpenTelemetry messaging conventions (spans, Kafka);
// conventions 2.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "client.h"
#include "open_sends.h"
#include "thread_state.h"
#include "topics.h"

#include <midtrace/context/context.h>
#include <midtrace/kafka/message.h>
#include <midtrace/kafka/options.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

PreparedSpan prepare_span(const Client& client, const Topic& topic, Operation operation);

// Whether spans are made for this client under this context.
bool tracing(const Client& client, const Context& ambient) noexcept;

// What of it may cross the client's boundary (Options::baggage_keys).
Baggage allowed_baggage(const Client& client, Baggage baggage) noexcept;

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

// A `poll` span around a call that returned these messages, of which errors and events are left out.
// `start_tick` 0 makes it of zero length. Uses the messages' topic handles.
void record_poll(const Client& client, std::span<const Delivery> deliveries, bool batch,
                 std::uint64_t start_tick, ThreadState* thread) noexcept;

struct StartedProcess {
  Span span;
  Context around;  // what is current around the span; the whole context when there is no span
  const Topic* topic = nullptr;
  bool current = false;  // whether anything is to be made current
};

// A `process` span. Uses the messages' topic handles.
StartedProcess start_process_span(const Client& client, std::span<const Delivery> deliveries, bool batch,
                                  ThreadState* thread) noexcept;
void finish_process_span(const Client& client, const Topic& topic, Span& span) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
