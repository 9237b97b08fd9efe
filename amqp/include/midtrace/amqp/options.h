// Options of a traced RabbitMQ connection. Every member has a default, so that designated initializers name
// only what differs: `Connection amqp(state, {.end_publish_at = PublishEnd::call})`.
//
// They are copied when the Connection is made. What is left open is read from the environment then:
// MIDTRACE_AMQP, OTEL_SEMCONV_STABILITY_OPT_IN.
//
// Patterns are names in which `*` stands for any bytes and `?` for one. Hooks run on the thread that started
// or finished the span: the connection's own, that of the work for process spans, midtrace's own for a
// process span that it ended. They must not call the connection they are told about, and what they throw is
// swallowed and counted (Counter::hook_failures).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/amqp/library.h>
#include <midtrace/messaging/relation.h>
#include <midtrace/propagation/incoming.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {

using messaging::ExistingContext;
using messaging::Relation;
using midtrace::IncomingContext;

// When a `publish` span on a channel with publisher confirms ends.
enum class PublishEnd : std::uint8_t {
  confirm,  // at the broker's ack or nack
  call,     // when basic_publish() returns; what the broker makes of the message is not seen
};

enum class Operation : std::uint8_t {
  publish,
  receive,
  process,
  ack,
  nack,
  reject,
  tx_commit,
  tx_rollback,
  channel,  // what Options::channel_spans adds
};
inline constexpr std::size_t operation_count = 9;

// What a hook is told beside the span. The views are valid during the call.
struct Call {
  Operation operation;
  std::string_view destination;  // messaging.destination.name; empty when there is none in common
  // publish, receive, process: of the one message. Null for batches, for a process span or a confirmed
  // publish that finishes (the application may have freed them), and for all other operations.
  const amqp_basic_properties_t* properties = nullptr;
  amqp_bytes_t body = {};  // publish, and receive where rabbitmq-c reads whole messages; else empty
};

using Hook = std::function<void(Span& span, const Call& call)>;

struct Options {
  // off: the calls are rabbitmq-c's, and wait_for_confirms() works all the same. propagate: contexts travel,
  // no spans. Unset: MIDTRACE_AMQP, else on.
  std::optional<ModuleMode> mode = std::nullopt;
  Relation relation = Relation::automatic;
  PublishEnd end_publish_at = PublishEnd::confirm;
  // What becomes of a context that outgoing headers already hold.
  ExistingContext existing_context = ExistingContext::automatic;
  // What becomes of the contexts in received messages. For queues that others may write to.
  IncomingContext incoming_context = IncomingContext::continue_trace;
  // Names of the baggage members that may be put into messages and taken from them. Unset: all; empty: none.
  std::optional<std::vector<std::string>> baggage_keys = std::nullopt;
  // Exchanges and queues by name or pattern. Of their messages there are no spans; contexts travel as with
  // mode propagate. The default exchange has an empty name: what is published to it is meant by its queue.
  std::vector<std::string> untraced_exchanges = {};
  std::vector<std::string> untraced_queues = {};
  // Likewise: nothing is added to their messages, and what received ones carry is ignored.
  std::vector<std::string> unpropagated_exchanges = {};
  std::vector<std::string> unpropagated_queues = {};
  bool receive_spans = true;
  bool settle_spans = true;
  // Also a `receive` span for a consume_message() or basic_get() that returned no message.
  bool empty_receives = false;
  // CLIENT spans for declare, bind, qos, purge, delete, open, close and their like, named as the protocol
  // does (`queue.declare orders`).
  bool channel_spans = false;
  // messaging.message.body.size.
  bool capture_body_size = false;
  // midtrace.messaging.queue_time: from the message's timestamp, which has whole seconds, to its receipt.
  bool capture_queue_time = true;
  // messaging.header.<name> for the headers of one message whose names match one of these patterns and none
  // of the excluded ones, where the value is text without control characters. Empty: none. At most 16
  // headers, of at most 256 bytes; never a trace context or baggage. Headers may hold secrets: name those
  // that do not.
  std::vector<std::string> captured_headers = {};
  std::vector<std::string> excluded_headers = {};
  // Names of baggage members that become current while a batch is processed, when all its messages agree on
  // the value. A single message's whole baggage always does.
  std::vector<std::string> batch_baggage = {};
  // `host` or `host:port` for server.address and server.port. Empty: what socket_open() was given, else the
  // peer's address.
  std::string server_address = {};
  // Whether the connection is encrypted, where the Connection cannot see it: it knows of its own
  // ssl_socket_new().
  bool tls = false;
  // Lets login() ask the broker to tell when it cancels a consumer (its queue was deleted), which rabbitmq-c
  // does not by itself. The application then sees `basic.cancel` frames. Not where it names `capabilities` of
  // its own in the properties of login_with_properties().
  bool consumer_cancel_notify = false;
  // A delivery whose process span is open and not in use for so long is taken for forgotten: the span ends as
  // an error with midtrace.process.ended_by `timeout`. The message itself stays unsettled. Zero: never.
  std::chrono::milliseconds settle_timeout{std::chrono::seconds(60)};
  // After a span of a sampled operation started, and before it ends.
  Hook on_start = {};
  Hook on_finish = {};
};

}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
