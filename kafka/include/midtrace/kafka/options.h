// Options of an instrumented Kafka client. Every member has a default, so that designated initializers name
// only what differs: `instrument(conf, {.end_send_at = SendEnd::enqueue})`.
//
// They are copied into the configuration object that instrument() is given and shared by all clients made
// from it. What is left open is read from the environment by that call: MIDTRACE_KAFKA,
// OTEL_SEMCONV_STABILITY_OPT_IN.
//
// Hooks run on the thread that started or finished the span: the application's for sends, polls and process
// spans, librdkafka's own for delivery reports, midtrace's own for a process span that it ended. They must
// not call the Kafka client they are told about, and what they throw is swallowed and counted
// (Counter::hook_failures).
#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/messaging/relation.h>
#include <midtrace/propagation/incoming.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

// When a `send` span ends.
enum class SendEnd : std::uint8_t {
  delivery,  // at the delivery report: duration, partition, offset and error of the delivery
  enqueue,   // when the message was handed to the client; what happens to it later is not seen
};

// Zero-length `poll` spans of consumers that are not read through consume() or consume_batch().
enum class PollSpans : std::uint8_t {
  automatic,  // on
  on,
  off,
};

// `commit` spans.
enum class CommitSpans : std::uint8_t {
  automatic,  // of commit() and its like
  on,         // and one of zero length for each commit of others that librdkafka reports, automatic ones too
  off,
};

using messaging::ExistingContext;
using messaging::LinkOverflow;
using messaging::Relation;
using midtrace::IncomingContext;

enum class Operation : std::uint8_t {
  send,
  poll,
  process,
  create,
  commit,
  init_transactions,
  begin_transaction,
  send_offsets_to_transaction,
  commit_transaction,
  abort_transaction,
  rebalance,
};
inline constexpr std::size_t operation_count = 11;

// What a hook is told beside the span. The views are valid during the call.
struct Call {
  Operation operation;
  std::string_view topic;  // empty when the messages are of several topics
  // send and create: the one message; when a send finishes only its public fields may be read, and the send
  // of a whole batch (Options::batch_create_spans) has none. poll and process: those that were received;
  // empty when a process span finishes, because the application may have destroyed them. Others: none.
  std::span<const rd_kafka_message_t* const> messages;
};

using Hook = std::function<void(Span& span, const Call& call)>;

struct Options {
  // off: the calls are librdkafka's. propagate: contexts travel, no spans. Unset: MIDTRACE_KAFKA, else on.
  std::optional<ModuleMode> mode = std::nullopt;
  Relation relation = Relation::automatic;
  SendEnd end_send_at = SendEnd::delivery;
  // For produce_batch() of the wrapper: a `create` span for each message, whose context goes into it, and one
  // `send` span for the call with a link to each, which ends with the last delivery report of the messages
  // that are sampled and has the first error. Off: a `send` span for each message.
  bool batch_create_spans = false;
  ExistingContext existing_context = ExistingContext::automatic;
  // Of consumers: what becomes of the contexts in received messages. For topics that others may write to.
  IncomingContext incoming_context = IncomingContext::continue_trace;
  // Names of the baggage members that may be put into messages and taken from them. Unset: all; empty: none.
  // Baggage that the application put into headers itself stays.
  std::optional<std::vector<std::string>> baggage_keys = std::nullopt;
  // Topics by name or pattern (`*` stands for any bytes, `?` for one). Of these there are no spans;
  // contexts travel as with mode propagate, and of a batch the other messages are traced.
  std::vector<std::string> untraced_topics = {};
  // Likewise. To messages of these nothing is added, and what received ones carry is ignored. Brokers refuse
  // messages with headers for topics whose message.format.version is older than 0.11.
  std::vector<std::string> unpropagated_topics = {};
  PollSpans poll_spans = PollSpans::automatic;
  CommitSpans commit_spans = CommitSpans::automatic;
  // Also a `poll` span for a consume() or consume_batch() that returned no message.
  bool empty_polls = false;
  // messaging.kafka.message.key, where the key is UTF-8 without control characters and at most 1 KiB.
  bool capture_message_key = true;
  // messaging.message.body.size.
  bool capture_body_size = false;
  // Of consumers: midtrace.messaging.queue_time, the seconds from the message's timestamp to its receipt.
  bool capture_queue_time = true;
  // Of consume() and consume_batch(): midtrace.messaging.lag, how many messages the partition holds behind
  // the last one received, by the newest answer of the broker; nobody is asked.
  bool capture_lag = false;
  // messaging.header.<name> for the headers of one message whose names match one of these patterns (`*`, `?`)
  // and none of the excluded ones, where the value is UTF-8 without control characters. Empty: none. At most
  // 16 headers, of at most 256 bytes; never a trace context or baggage. Headers may hold secrets: name those
  // that do not.
  std::vector<std::string> captured_headers = {};
  std::vector<std::string> excluded_headers = {};
  // Names of baggage members that become current while a batch is processed, when all its messages agree on
  // the value. A single message's whole baggage always does.
  std::vector<std::string> batch_baggage = {};
  LinkOverflow link_overflow = LinkOverflow::drop;
  // `host` or `host:port` for server.address and server.port. Empty: the bootstrap server, when there is just
  // one.
  std::string server_address = {};
  // How long the destruction of a client may wait for the export of the spans that it ended. Zero: not at
  // all.
  std::chrono::milliseconds close_flush_timeout{500};
  // After this long without use, a ProcessSpan that was detached and not ended is given up: it ends as an
  // error with midtrace.process.ended_by `timeout`. Being current somewhere is use. Zero: never. The default
  // is that of max.poll.interval.ms, after which Kafka itself gives up a consumer that does not come back.
  std::chrono::milliseconds process_timeout{std::chrono::minutes(5)};
  // After a span of a sampled operation started, and before it ends.
  Hook on_start = {};
  Hook on_finish = {};
};

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
