#include <midtrace/kafka/producer.h>

#include <cerrno>
#include <cstdarg>
#include <span>
#include <utility>

#include "batch_send.h"
#include "client.h"
#include "send.h"
#include "send_spans.h"
#include "spans.h"

#include "messaging/thread_state.h"

#include <midtrace/propagation/propagator.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

namespace {

void record_refused(const Client& client, rd_kafka_resp_err_t error, const RefusedMessage& refused,
                    std::uint64_t start_tick) noexcept {
  const Context ambient = Context::current();
  if (!tracing(client, ambient)) return;
  const Topic& topic = client.topic(refused.topic, thread_state());
  if (topic.switches().untraced) return;
  rd_kafka_message_t message{};
  message.partition = refused.partition;
  message.payload = const_cast<void*>(refused.payload);
  message.len = refused.length;
  message.key = const_cast<void*>(refused.key);
  message.key_len = refused.key_length;
  message.offset = RD_KAFKA_OFFSET_INVALID;
  message.err = error;
  // A context that would have gone into the message, as with one that was taken.
  Context stored;
  Context parent = ambient;
  if (messaging::ThreadState* thread = messaging::existing_thread_state();
      thread != nullptr && !thread->creations.empty()) {
    stored = thread->stored_context();
  }
  if (stored.span.valid() && !ambient.span.valid()) parent.span = stored.span;
  const SendStart start{.topic = &topic,
                        .message = &message,
                        .parent = &parent,
                        .kind = SpanKind::client,
                        .linked = stored.span.valid() ? &stored.span : nullptr,
                        .start_tick = start_tick};
  std::unique_ptr<RareSendState> rare;
  PendingSpan pending = start_send(client, start, rare);
  const bool has_span = rare != nullptr && rare->has_span;
  if (!(has_span ? rare->started.recording() : pending.recording())) return;
  finish_send(client, {std::move(pending), start.topic, std::move(rare), start.kind}, &message, error);
}

std::string_view name_of(rd_kafka_topic_t* topic) noexcept {
  return topic != nullptr ? std::string_view(rd_kafka_topic_name(topic)) : std::string_view();
}

std::string_view name_of(const char* topic) noexcept {
  return topic != nullptr ? std::string_view(topic) : std::string_view();
}

// The errors after which librdkafka has not called on_send for a message of a batch that was sent in part.
bool refused_before_send(rd_kafka_resp_err_t error) noexcept {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR__QUEUE_FULL;
}

// Null where no `create` span's context could go into a message.
std::shared_ptr<BatchSend> begin_batch_send(const Client& client, std::string_view topic_name,
                                            const Context& ambient) noexcept {
  if (!tracing(client, ambient)) return nullptr;
  const Topic& topic = client.topic(topic_name, thread_state());
  if (topic.switches().any() || !carries_spans(propagator().fields())) return nullptr;
  try {
    return std::make_shared<BatchSend>(topic);
  } catch (...) {
    return nullptr;
  }
}

// The arguments of a produce_batch() call.
struct BatchCall {
  std::string_view topic;
  std::int32_t partition;
  bool chosen;  // by each message
  std::uint64_t start_tick;
};

// What librdkafka refused, or failed to send without ever reporting it.
void end_failed_sends(Client& client, const BatchSends& sends, std::span<const rd_kafka_message_t> messages,
                      const BatchCall& call) noexcept {
  // Which send belongs to which failed message follows from their order.
  std::uint32_t ordinal = 0;
  auto sampled = sends.sampled.begin();
  for (const rd_kafka_message_t& message : messages) {
    const bool failed = message.err != RD_KAFKA_RESP_ERR_NO_ERROR;
    const bool sent = sends.count > 0 && !refused_before_send(message.err);
    if (failed && sends.common != nullptr) sends.common->note(message.err);
    if (failed && !sent && sends.common == nullptr) {
      record_refused(client, message.err,
                     {call.topic, call.chosen ? message.partition : call.partition, message.payload,
                      message.len, message.key, message.key_len},
                     call.start_tick);
    }
    if (!sent) continue;
    while (sampled != sends.sampled.end() && sampled->ordinal < ordinal)
      ++sampled;
    if (failed && sampled != sends.sampled.end() && sampled->ordinal == ordinal) {
      OpenSend send;
      if (client.open_sends().take(sampled->message, send)) {
        finish_send(client, std::move(send), &message, message.err);
      }
    }
    ++ordinal;
  }
}

}  // namespace

std::shared_ptr<Client> find_producer(const rd_kafka_t* handle) noexcept {
  std::shared_ptr<Client> client = find_client(handle);
  if (client == nullptr && module_mode("KAFKA") != ModuleMode::off) {
    report(Severity::warning, "kafka.producer_not_instrumented",
           "A midtrace::kafka producer call was made for a client whose configuration is not instrumented, "
           "so its "
           "messages are not traced; call midtrace::kafka::instrument() on the configuration first.");
  }
  // Only the copy of midtrace that traces the client knows which of its messages have a span already.
  if (client != nullptr && client->traced_elsewhere()) return nullptr;
  if (client != nullptr) client->learn_name(handle);
  return client;
}

SendCall::SendCall(const std::shared_ptr<Client>& client) noexcept : client_(client.get()) {
  if (client_ == nullptr) return;
  if (const ThreadState* thread = existing_thread_state(); thread != nullptr) sends_before_ = thread->sends;
  tick_ = current_tick();
}

SendCall::~SendCall() {
  // The call is over, so no report can belong to its inside any more.
  if (ThreadState* thread = existing_thread_state(); thread != nullptr) thread->last.open = false;
}

void SendCall::failed(rd_kafka_resp_err_t error, const RefusedMessage& message) noexcept {
  if (client_ == nullptr) return;
  const ThreadState* thread = existing_thread_state();
  if (thread != nullptr && thread->sends != sends_before_) return;  // the interceptors saw it
  const int saved_errno = errno;
  record_refused(*client_, error, message, tick_);
  errno = saved_errno;
}

void SendCall::failed_arguments(int error, ...) noexcept {
  if (client_ == nullptr) return;
  RefusedMessage message;
  std::va_list arguments;
  va_start(arguments, error);
  bool readable = true;
  while (readable) {
    switch (static_cast<rd_kafka_vtype_t>(va_arg(arguments, int))) {
      case RD_KAFKA_VTYPE_TOPIC:
        message.topic = name_of(va_arg(arguments, const char*));
        break;
      case RD_KAFKA_VTYPE_RKT:
        message.topic = name_of(va_arg(arguments, rd_kafka_topic_t*));
        break;
      case RD_KAFKA_VTYPE_PARTITION:
        message.partition = va_arg(arguments, std::int32_t);
        break;
      case RD_KAFKA_VTYPE_VALUE:
        message.payload = va_arg(arguments, void*);
        message.length = va_arg(arguments, std::size_t);
        break;
      case RD_KAFKA_VTYPE_KEY:
        message.key = va_arg(arguments, void*);
        message.key_length = va_arg(arguments, std::size_t);
        break;
      case RD_KAFKA_VTYPE_OPAQUE:
        va_arg(arguments, void*);
        break;
      case RD_KAFKA_VTYPE_MSGFLAGS:
        va_arg(arguments, int);
        break;
      case RD_KAFKA_VTYPE_TIMESTAMP:
        va_arg(arguments, std::int64_t);
        break;
      case RD_KAFKA_VTYPE_HEADER:
        va_arg(arguments, const char*);
        va_arg(arguments, const void*);
        va_arg(arguments, ssize_t);
        break;
      case RD_KAFKA_VTYPE_HEADERS:
        va_arg(arguments, rd_kafka_headers_t*);
        break;
      default:  // the end, or what a later librdkafka may add
        readable = false;
        break;
    }
  }
  va_end(arguments);
  failed(static_cast<rd_kafka_resp_err_t>(error), message);
}

void SendCall::failed_array(rd_kafka_resp_err_t error, const rd_kafka_vu_t* arguments,
                            std::size_t count) noexcept {
  RefusedMessage message;
  for (std::size_t index = 0; index < count; ++index) {
    const rd_kafka_vu_t& argument = arguments[index];
    switch (argument.vtype) {
      case RD_KAFKA_VTYPE_TOPIC:
        message.topic = name_of(argument.u.cstr);
        break;
      case RD_KAFKA_VTYPE_RKT:
        message.topic = name_of(argument.u.rkt);
        break;
      case RD_KAFKA_VTYPE_PARTITION:
        message.partition = argument.u.i32;
        break;
      case RD_KAFKA_VTYPE_VALUE:
        message.payload = argument.u.mem.ptr;
        message.length = argument.u.mem.size;
        break;
      case RD_KAFKA_VTYPE_KEY:
        message.key = argument.u.mem.ptr;
        message.key_length = argument.u.mem.size;
        break;
      default:
        break;
    }
  }
  failed(error, message);
}

}  // namespace detail

int Producer::produce(rd_kafka_topic_t* topic, std::int32_t partition, int msgflags, void* payload,
                      std::size_t length, const void* key, std::size_t key_length,
                      void* msg_opaque) const noexcept {
  detail::SendCall call(client_);
  const int result =
      rd_kafka_produce(topic, partition, msgflags, payload, length, key, key_length, msg_opaque);
  if (result != 0) {
    call.failed(rd_kafka_last_error(), {detail::name_of(topic), partition, payload, length, key, key_length});
  }
  return result;
}

rd_kafka_error_t* Producer::produceva(const rd_kafka_vu_t* arguments, std::size_t count) const noexcept {
  detail::SendCall call(client_);
  rd_kafka_error_t* error = rd_kafka_produceva(handle_, arguments, count);
  if (error != nullptr) call.failed_array(rd_kafka_error_code(error), arguments, count);
  return error;
}

int Producer::produce_batch(rd_kafka_topic_t* topic, std::int32_t partition, int msgflags,
                            rd_kafka_message_t* messages, int count) const noexcept {
  detail::ThreadState* thread = client_ != nullptr ? detail::thread_state() : nullptr;
  if (thread == nullptr || thread->batch != nullptr || count <= 0) {
    return rd_kafka_produce_batch(topic, partition, msgflags, messages, count);
  }
  const std::uint64_t start_tick = current_tick();
  detail::BatchSends sends;
  sends.client = client_->id();
  Context ambient;
  if (client_->options().user.batch_create_spans) {
    ambient = Context::current();
    sends.common = detail::begin_batch_send(*client_, detail::name_of(topic), ambient);
  }
  thread->batch = &sends;
  const int good = rd_kafka_produce_batch(topic, partition, msgflags, messages, count);
  thread->batch = nullptr;
  thread->last.open = false;
  const std::span<const rd_kafka_message_t> all(messages, static_cast<std::size_t>(count));
  const bool chosen = (msgflags & RD_KAFKA_MSG_F_PARTITION) != 0;
  if (good != count) {
    detail::end_failed_sends(*client_, sends, all, {detail::name_of(topic), partition, chosen, start_tick});
  }
  if (sends.common != nullptr) {
    sends.common->set_span(detail::start_batch_send(
        *client_, sends.common->topic(), ambient,
        {all.size(), chosen ? RD_KAFKA_PARTITION_UA : partition, sends.created, start_tick}));
    sends.common->done(*client_, RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  return good;
}

int Producer::poll(int timeout_ms) const noexcept {
  if (client_ != nullptr) client_->learn_cluster_id(handle_);
  return rd_kafka_poll(handle_, timeout_ms);
}

rd_kafka_resp_err_t Producer::flush(int timeout_ms) const noexcept {
  if (client_ != nullptr) client_->learn_cluster_id(handle_);
  return rd_kafka_flush(handle_, timeout_ms);
}

rd_kafka_resp_err_t Producer::purge(int purge_flags) const noexcept {
  return rd_kafka_purge(handle_, purge_flags);
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
