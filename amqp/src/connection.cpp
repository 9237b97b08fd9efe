#include <midtrace/amqp/connection.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "channel_call.h"
#include "error_names.h"
#include "frames.h"
#include "publish.h"
#include "receive.h"
#include "session.h"
#include "settle.h"
#include "spans.h"
#include "table.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {

namespace detail {

ClientProperties::ClientProperties(const Session* session, const amqp_table_t* properties) noexcept
    : used_(properties) {
  if (session == nullptr || !session->options().user.consumer_cancel_notify) return;
  const auto given = properties != nullptr ? entries_of(*properties) : std::span<const amqp_table_entry_t>();
  // An application that names its capabilities itself means what it says.
  if (std::any_of(given.begin(), given.end(),
                  [](const amqp_table_entry_t& entry) { return text_of(entry.key) == "capabilities"; }))
    return;
  try {
    entries_ = std::make_unique<amqp_table_entry_t[]>(given.size() + 1);
  } catch (...) {
    return;
  }
  std::copy(given.begin(), given.end(), entries_.get());
  capability_.key = amqp_cstring_bytes("consumer_cancel_notify");
  capability_.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  capability_.value.value.boolean = 1;
  capabilities_ = {1, &capability_};
  amqp_table_entry_t& added = entries_[given.size()];
  added.key = amqp_cstring_bytes("capabilities");
  added.value.kind = AMQP_FIELD_KIND_TABLE;
  added.value.value.table = capabilities_;
  table_ = {static_cast<int>(given.size()) + 1, entries_.get()};
  used_ = &table_;
}

ConnectionCall::ConnectionCall(Session* session, const char* method) noexcept : session_(session) {
  if (session != nullptr) span_ = start_channel_span(*session, method, {});
}

ConnectionCall::~ConnectionCall() {
  if (session_ != nullptr) finish_span(session_->endpoint(), span_, {Operation::channel, {}});
}

amqp_rpc_reply_t ConnectionCall::answered(amqp_rpc_reply_t reply) noexcept {
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) span_.set_error(error_name(reply));
  return reply;
}

amqp_rpc_reply_t ConnectionCall::logged_in(const char* vhost, amqp_rpc_reply_t reply) noexcept {
  if (vhost != nullptr && std::string_view(vhost) != "/") span_.set(semconv::midtrace_amqp_vhost, vhost);
  if (session_ != nullptr) {
    session_->has_kept_frame = false;  // of a connection before this one; the login has released its memory
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) session_->logged_in(vhost);
  }
  return answered(reply);
}

}  // namespace detail

using detail::ChannelCall;

Connection::Connection(amqp_connection_state_t state, Options options) noexcept : state_(state) {
  try {
    session_ = std::make_shared<detail::Session>(state, std::move(options));
  } catch (...) {
    count(Counter::dropped_no_record);
    report(Severity::warning, "amqp.connection",
           "A RabbitMQ connection is not traced, because there was no memory for its state.");
  }
}

Connection::~Connection() {
  if (session_ != nullptr) session_->end();
}

Connection& Connection::operator=(Connection&& other) noexcept {
  if (this != &other) {
    if (session_ != nullptr) session_->end();
    state_ = other.state_;
    session_ = std::move(other.session_);
  }
  return *this;
}

// --- Opening and closing.

int Connection::socket_open(amqp_socket_t* socket, const char* host, int port) noexcept {
  const int status = amqp_socket_open(socket, host, port);
  return session_ != nullptr ? session_->opened(host, port, status) : status;
}

int Connection::socket_open_noblock(amqp_socket_t* socket, const char* host, int port,
                                    const struct timeval* timeout) noexcept {
  const int status = amqp_socket_open_noblock(socket, host, port, timeout);
  return session_ != nullptr ? session_->opened(host, port, status) : status;
}

amqp_socket_t* Connection::ssl_socket_new(amqp_socket_t* (*make)(amqp_connection_state_t)) noexcept {
  if (session_ != nullptr) session_->set_tls();
  return make(state_);
}

amqp_rpc_reply_t Connection::connection_close(int code) noexcept {
  detail::ConnectionCall call(session_.get(), "connection.close");
  const amqp_rpc_reply_t reply = call.answered(amqp_connection_close(state_, code));
  if (session_ != nullptr) session_->close({});
  return reply;
}

int Connection::destroy_connection() noexcept {
  if (session_ != nullptr) session_->end();
  session_.reset();
  return amqp_destroy_connection(std::exchange(state_, nullptr));
}

amqp_channel_open_ok_t* Connection::channel_open(amqp_channel_t channel) noexcept {
  ChannelCall call(session_.get(), channel, "channel.open");
  if (session_ != nullptr) session_->close_channel(channel, detail::Settlement::channel_closed, {});
  amqp_channel_open_ok_t* opened = call.answered(amqp_channel_open(state_, channel));
  if (opened != nullptr && session_ != nullptr) session_->channel_opened(channel);
  return opened;
}

amqp_rpc_reply_t Connection::channel_close(amqp_channel_t channel, int code) noexcept {
  ChannelCall call(session_.get(), channel, "channel.close");
  const amqp_rpc_reply_t reply = call.answered(amqp_channel_close(state_, channel, code));
  if (session_ != nullptr) session_->close_channel(channel, detail::Settlement::channel_closed, {});
  return reply;
}

amqp_channel_open_ok_t* Connection::reopen_channel(amqp_channel_t channel) noexcept {
  amqp_channel_close_ok_t answer{};
  const int status = amqp_send_method(state_, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &answer);
  if (status == AMQP_STATUS_OK) return channel_open(channel);
  if (session_ != nullptr) session_->learn(status);
  return nullptr;
}

// --- Publishing.

int Connection::basic_publish(amqp_channel_t channel, amqp_bytes_t exchange, amqp_bytes_t routing_key,
                              amqp_boolean_t mandatory, amqp_boolean_t immediate,
                              const amqp_basic_properties_t* properties, amqp_bytes_t body) noexcept {
  if (session_ == nullptr) {
    return amqp_basic_publish(state_, channel, exchange, routing_key, mandatory, immediate, properties, body);
  }
  return detail::publish(*session_, {channel, exchange, routing_key, mandatory, immediate, properties, body});
}

amqp_confirm_select_ok_t* Connection::confirm_select(amqp_channel_t channel) noexcept {
  ChannelCall call(session_.get(), channel, "confirm.select");
  amqp_confirm_select_ok_t* selected = call.answered(amqp_confirm_select(state_, channel));
  if (selected != nullptr && session_ != nullptr) {
    // A second one changes nothing; the sequence numbers go on.
    if (detail::Channel* known = session_->channel(channel)) known->confirming = true;
  }
  return selected;
}

amqp_tx_select_ok_t* Connection::tx_select(amqp_channel_t channel) noexcept {
  ChannelCall call(session_.get(), channel, "tx.select");
  amqp_tx_select_ok_t* selected = call.answered(amqp_tx_select(state_, channel));
  if (selected != nullptr && session_ != nullptr) {
    if (detail::Channel* known = session_->channel(channel)) known->transaction = true;
  }
  return selected;
}

amqp_tx_commit_ok_t* Connection::tx_commit(amqp_channel_t channel) noexcept {
  ChannelCall call(session_.get(), channel, Operation::tx_commit);
  amqp_tx_commit_ok_t* done = call.answered(amqp_tx_commit(state_, channel));
  if (done != nullptr && session_ != nullptr) {
    if (detail::Channel* known = session_->existing_channel(channel))
      detail::settled_by_commit(*session_, *known);
  }
  return done;
}

amqp_tx_rollback_ok_t* Connection::tx_rollback(amqp_channel_t channel) noexcept {
  ChannelCall call(session_.get(), channel, Operation::tx_rollback);
  amqp_tx_rollback_ok_t* done = call.answered(amqp_tx_rollback(state_, channel));
  if (done != nullptr && session_ != nullptr) {
    if (detail::Channel* known = session_->existing_channel(channel))
      detail::unsettled_by_rollback(*session_, *known);
  }
  return done;
}

// --- Receiving.

namespace {

// 0 when nothing will need it: a span begins when the call does.
std::uint64_t tick_for(const std::shared_ptr<detail::Session>& session) noexcept {
  return session != nullptr && session->endpoint().tracing() ? current_tick() : 0;
}

void received(detail::Session& session, const amqp_envelope_t& envelope, std::uint64_t tick) noexcept {
  detail::Channel* const channel = session.channel(envelope.channel);
  if (channel == nullptr) return;
  amqp_basic_deliver_t method{};
  method.consumer_tag = envelope.consumer_tag;
  method.delivery_tag = envelope.delivery_tag;
  method.redelivered = envelope.redelivered;
  method.exchange = envelope.exchange;
  method.routing_key = envelope.routing_key;
  detail::announce(session, *channel, method, tick);
  detail::message_received(session, *channel, &envelope.message.properties, envelope.message.body,
                           envelope.message.body.len);
}

}  // namespace

amqp_rpc_reply_t Connection::consume_message(amqp_envelope_t* envelope, const struct timeval* timeout,
                                             int flags) noexcept {
  if (session_ == nullptr) return amqp_consume_message(state_, envelope, timeout, flags);
  detail::Session& session = *session_;
  const std::uint64_t tick = tick_for(session_);
  amqp_rpc_reply_t reply{};
  if (!session.kept_envelopes.empty()) {
    *envelope = session.kept_envelopes.front();
    session.kept_envelopes.pop_front();
    reply.reply_type = AMQP_RESPONSE_NORMAL;
    received(session, *envelope, tick);
    return reply;
  }
  if (session.has_kept_frame) {
    reply.reply_type = AMQP_RESPONSE_LIBRARY_EXCEPTION;
    reply.library_error = AMQP_STATUS_UNEXPECTED_STATE;
    return reply;
  }
  session.before_read();
  reply = amqp_consume_message(state_, envelope, timeout, flags);
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
    received(session, *envelope, tick);
  } else if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    if (reply.library_error == AMQP_STATUS_TIMEOUT) {
      detail::nothing_received(session, {}, tick, {});
    } else if (reply.library_error != AMQP_STATUS_UNEXPECTED_STATE) {
      detail::nothing_received(session, {}, tick, detail::status_name(reply.library_error));
      session.learn(reply.library_error);
    }
  } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
    // Of a channel or connection that closed between a delivery and its content. The channel stays in the
    // envelope.
    detail::nothing_received(session, {}, tick, detail::error_name(reply));
    session.learn(envelope->channel, reply);
  }
  return reply;
}

amqp_rpc_reply_t Connection::basic_get(amqp_channel_t channel, amqp_bytes_t queue,
                                       amqp_boolean_t no_ack) noexcept {
  const std::uint64_t tick = tick_for(session_);
  if (session_ != nullptr) session_->before_call();
  const amqp_rpc_reply_t reply = amqp_basic_get(state_, channel, queue, no_ack);
  if (session_ == nullptr) return reply;
  const std::string_view meant = session_->meant_queue(channel, detail::text_of(queue));
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
    detail::nothing_received(*session_, meant, tick, detail::error_name(reply));
    session_->learn(channel, reply);
  } else if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD) {
    detail::nothing_received(*session_, meant, tick, {});
  } else if (detail::Channel* known = session_->channel(channel);
             known != nullptr && reply.reply.decoded != nullptr) {
    detail::announce(*session_, *known, *static_cast<const amqp_basic_get_ok_t*>(reply.reply.decoded), meant,
                     no_ack != 0, tick);
  }
  return reply;
}

amqp_rpc_reply_t Connection::read_message(amqp_channel_t channel, amqp_message_t* message,
                                          int flags) noexcept {
  const amqp_rpc_reply_t reply = amqp_read_message(state_, channel, message, flags);
  if (session_ == nullptr) return reply;
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
    session_->learn(channel, reply);
    return reply;
  }
  detail::Channel* const known = session_->existing_channel(channel);
  if (known == nullptr) return reply;
  if (known->announced.by == detail::Announced::By::returned) {
    detail::returned_content(*known, &message->properties);
  } else {
    detail::message_received(*session_, *known, &message->properties, message->body, message->body.len);
  }
  return reply;
}

int Connection::simple_wait_frame(amqp_frame_t* frame) noexcept {
  return simple_wait_frame_noblock(frame, nullptr);
}

int Connection::simple_wait_frame_noblock(amqp_frame_t* frame, const struct timeval* timeout) noexcept {
  if (session_ == nullptr) return amqp_simple_wait_frame_noblock(state_, frame, timeout);
  detail::Session& session = *session_;
  // Deliveries that were put aside whole come first; they are consume_message()'s.
  if (!session.kept_envelopes.empty()) return AMQP_STATUS_UNEXPECTED_STATE;
  const std::uint64_t tick = tick_for(session_);
  int status = AMQP_STATUS_OK;
  if (session.has_kept_frame) {
    *frame = session.kept_frame;
    session.has_kept_frame = false;
    if (session.saw_kept_frame) return AMQP_STATUS_OK;
  } else {
    session.before_read();
    status = amqp_simple_wait_frame_noblock(state_, frame, timeout);
  }
  if (status == AMQP_STATUS_OK) {
    detail::saw_frame(session, *frame, tick);
  } else {
    session.learn(status);
  }
  return status;
}

amqp_basic_consume_ok_t* Connection::basic_consume(amqp_channel_t channel, amqp_bytes_t queue,
                                                   amqp_bytes_t consumer_tag, amqp_boolean_t no_local,
                                                   amqp_boolean_t no_ack, amqp_boolean_t exclusive,
                                                   amqp_table_t arguments) noexcept {
  ChannelCall call(session_.get(), channel, "basic.consume", queue);
  amqp_basic_consume_ok_t* consuming = call.answered(
      amqp_basic_consume(state_, channel, queue, consumer_tag, no_local, no_ack, exclusive, arguments));
  if (consuming != nullptr && session_ != nullptr) {
    session_->add_consumer(channel, detail::text_of(consuming->consumer_tag),
                           session_->meant_queue(channel, detail::text_of(queue)), no_ack != 0);
  }
  return consuming;
}

amqp_basic_cancel_ok_t* Connection::basic_cancel(amqp_channel_t channel, amqp_bytes_t consumer_tag) noexcept {
  ChannelCall call(session_.get(), channel, "basic.cancel");
  amqp_basic_cancel_ok_t* cancelled = call.answered(amqp_basic_cancel(state_, channel, consumer_tag));
  if (cancelled != nullptr && session_ != nullptr)
    session_->cancel_consumer(channel, detail::text_of(consumer_tag));
  return cancelled;
}

// --- Settling.

int Connection::basic_ack(amqp_channel_t channel, std::uint64_t delivery_tag,
                          amqp_boolean_t multiple) noexcept {
  if (session_ == nullptr) return amqp_basic_ack(state_, channel, delivery_tag, multiple);
  return detail::settle(*session_, {Operation::ack, channel, delivery_tag, multiple != 0, false});
}

int Connection::basic_nack(amqp_channel_t channel, std::uint64_t delivery_tag, amqp_boolean_t multiple,
                           amqp_boolean_t requeue) noexcept {
  if (session_ == nullptr) return amqp_basic_nack(state_, channel, delivery_tag, multiple, requeue);
  return detail::settle(*session_, {Operation::nack, channel, delivery_tag, multiple != 0, requeue != 0});
}

int Connection::basic_reject(amqp_channel_t channel, std::uint64_t delivery_tag,
                             amqp_boolean_t requeue) noexcept {
  if (session_ == nullptr) return amqp_basic_reject(state_, channel, delivery_tag, requeue);
  return detail::settle(*session_, {Operation::reject, channel, delivery_tag, false, requeue != 0});
}

amqp_basic_recover_ok_t* Connection::basic_recover(amqp_channel_t channel, amqp_boolean_t requeue) noexcept {
  ChannelCall call(session_.get(), channel, "basic.recover");
  amqp_basic_recover_ok_t* recovered = call.answered(amqp_basic_recover(state_, channel, requeue));
  if (recovered != nullptr && session_ != nullptr) session_->recover(channel);
  return recovered;
}

// --- Everything else that a channel does.

amqp_exchange_declare_ok_t* Connection::exchange_declare(amqp_channel_t channel, amqp_bytes_t exchange,
                                                         amqp_bytes_t type, amqp_boolean_t passive,
                                                         amqp_boolean_t durable, amqp_boolean_t auto_delete,
                                                         amqp_boolean_t internal,
                                                         amqp_table_t arguments) noexcept {
  ChannelCall call(session_.get(), channel, "exchange.declare", exchange);
  return call.answered(amqp_exchange_declare(state_, channel, exchange, type, passive, durable, auto_delete,
                                             internal, arguments));
}

amqp_exchange_delete_ok_t* Connection::exchange_delete(amqp_channel_t channel, amqp_bytes_t exchange,
                                                       amqp_boolean_t if_unused) noexcept {
  ChannelCall call(session_.get(), channel, "exchange.delete", exchange);
  return call.answered(amqp_exchange_delete(state_, channel, exchange, if_unused));
}

amqp_exchange_bind_ok_t* Connection::exchange_bind(amqp_channel_t channel, amqp_bytes_t destination,
                                                   amqp_bytes_t source, amqp_bytes_t routing_key,
                                                   amqp_table_t arguments) noexcept {
  ChannelCall call(session_.get(), channel, "exchange.bind", destination);
  return call.answered(amqp_exchange_bind(state_, channel, destination, source, routing_key, arguments));
}

amqp_exchange_unbind_ok_t* Connection::exchange_unbind(amqp_channel_t channel, amqp_bytes_t destination,
                                                       amqp_bytes_t source, amqp_bytes_t routing_key,
                                                       amqp_table_t arguments) noexcept {
  ChannelCall call(session_.get(), channel, "exchange.unbind", destination);
  return call.answered(amqp_exchange_unbind(state_, channel, destination, source, routing_key, arguments));
}

amqp_queue_declare_ok_t* Connection::queue_declare(amqp_channel_t channel, amqp_bytes_t queue,
                                                   amqp_boolean_t passive, amqp_boolean_t durable,
                                                   amqp_boolean_t exclusive, amqp_boolean_t auto_delete,
                                                   amqp_table_t arguments) noexcept {
  ChannelCall call(session_.get(), channel, "queue.declare", queue);
  amqp_queue_declare_ok_t* declared = call.answered(
      amqp_queue_declare(state_, channel, queue, passive, durable, exclusive, auto_delete, arguments));
  if (declared != nullptr && session_ != nullptr) {
    session_->set_declared(channel, detail::text_of(declared->queue));
    if (exclusive != 0 || auto_delete != 0) session_->set_temporary(detail::text_of(declared->queue));
  }
  return declared;
}

amqp_queue_bind_ok_t* Connection::queue_bind(amqp_channel_t channel, amqp_bytes_t queue,
                                             amqp_bytes_t exchange, amqp_bytes_t routing_key,
                                             amqp_table_t arguments) noexcept {
  ChannelCall call(session_.get(), channel, "queue.bind", queue);
  return call.answered(amqp_queue_bind(state_, channel, queue, exchange, routing_key, arguments));
}

amqp_queue_unbind_ok_t* Connection::queue_unbind(amqp_channel_t channel, amqp_bytes_t queue,
                                                 amqp_bytes_t exchange, amqp_bytes_t routing_key,
                                                 amqp_table_t arguments) noexcept {
  ChannelCall call(session_.get(), channel, "queue.unbind", queue);
  return call.answered(amqp_queue_unbind(state_, channel, queue, exchange, routing_key, arguments));
}

amqp_queue_purge_ok_t* Connection::queue_purge(amqp_channel_t channel, amqp_bytes_t queue) noexcept {
  ChannelCall call(session_.get(), channel, "queue.purge", queue);
  return call.answered(amqp_queue_purge(state_, channel, queue));
}

amqp_queue_delete_ok_t* Connection::queue_delete(amqp_channel_t channel, amqp_bytes_t queue,
                                                 amqp_boolean_t if_unused, amqp_boolean_t if_empty) noexcept {
  ChannelCall call(session_.get(), channel, "queue.delete", queue);
  return call.answered(amqp_queue_delete(state_, channel, queue, if_unused, if_empty));
}

amqp_basic_qos_ok_t* Connection::basic_qos(amqp_channel_t channel, std::uint32_t prefetch_size,
                                           std::uint16_t prefetch_count, amqp_boolean_t global) noexcept {
  ChannelCall call(session_.get(), channel, "basic.qos");
  return call.answered(amqp_basic_qos(state_, channel, prefetch_size, prefetch_count, global));
}

amqp_channel_flow_ok_t* Connection::channel_flow(amqp_channel_t channel, amqp_boolean_t active) noexcept {
  ChannelCall call(session_.get(), channel, "channel.flow");
  return call.answered(amqp_channel_flow(state_, channel, active));
}

void Connection::maybe_release_buffers() noexcept {
  if (session_ == nullptr || !session_->has_kept_frame) amqp_maybe_release_buffers(state_);
}

void Connection::maybe_release_buffers_on_channel(amqp_channel_t channel) noexcept {
  if (session_ == nullptr || !session_->has_kept_frame || session_->kept_frame.channel != channel)
    amqp_maybe_release_buffers_on_channel(state_, channel);
}

}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
