// Connection: rabbitmq-c's calls on one connection, traced.
//
// It borrows an amqp_connection_state_t, which must outlive it. The members are rabbitmq-c's functions
// without `amqp_` and without the connection, with their other parameters, return values and
// amqp_get_rpc_reply(). Names, queues and confirms are learned from the calls, so make it right after
// amqp_new_connection() and call everything through it; get() is for what it does not have, and what is done
// there is not seen. One Connection for each connection.
//
// What goes out: basic_publish() copies the properties and the header entries shallowly; the caller's are
// never changed. When the header frame would not fit into the connection's frame size, the message goes
// without a context (Counter::injection_skipped).
//
// Threads: as rabbitmq-c asks, one thread at a time uses a connection and its Connection. Only process()
// may be called on other threads meanwhile. Nothing throws. Destroying it ends what is open.
//
// Source: AMQP 0-9-1; RabbitMQ's extensions (confirms, nack, consumer cancel notify); conventions 2.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>

#include <midtrace/amqp/library.h>
#include <midtrace/amqp/options.h>

struct timeval;

namespace midtrace {
inline namespace v1 {
namespace amqp {

namespace detail {

class Session;
struct Access;

// Client properties for a login: the application's, and a connection.consumer_cancel_notify capability where
// Options asks for it. Valid while it lives.
class ClientProperties {
 public:
  ClientProperties(const Session* session, const amqp_table_t* properties) noexcept;
  const amqp_table_t* get() const noexcept { return used_; }

 private:
  const amqp_table_t* used_;
  amqp_table_t table_{};
  amqp_table_t capabilities_{};
  amqp_table_entry_t capability_{};
  std::unique_ptr<amqp_table_entry_t[]> entries_;
};

// Brackets a login or another call on the connection with its span.
class ConnectionCall {
 public:
  ConnectionCall(Session* session, const char* method) noexcept;
  ~ConnectionCall();
  ConnectionCall(const ConnectionCall&) = delete;
  ConnectionCall& operator=(const ConnectionCall&) = delete;
  amqp_rpc_reply_t answered(amqp_rpc_reply_t reply) noexcept;
  amqp_rpc_reply_t logged_in(const char* vhost, amqp_rpc_reply_t reply) noexcept;

 private:
  Session* session_;
  Span span_;
};

}  // namespace detail

// What wait_for_confirms() found.
struct Confirms {
  // AMQP_STATUS_OK: everything published on the channel is confirmed. AMQP_STATUS_TIMEOUT: not in time.
  // AMQP_STATUS_UNEXPECTED_STATE: the channel has no confirms (of which this Connection knows), or a frame
  // that is the application's came first, which the next simple_wait_frame() gives, or 65 536 deliveries wait
  // for consume_message(). AMQP_STATUS_NO_MEMORY: more messages were outstanding than are counted (four
  // million), and of the oldest it is not known how they were confirmed. Else the status of the call that
  // failed.
  int status = AMQP_STATUS_OK;
  std::uint64_t acked = 0;     // messages confirmed during the call
  std::uint64_t nacked = 0;    // refused
  std::uint64_t returned = 0;  // unroutable; they are acked as well
};

// Gets a message that the broker returned; both are valid during the call.
using ReturnedMessage = std::function<void(const amqp_basic_return_t& method, const amqp_message_t& message)>;

class Connection {
 public:
  explicit Connection(amqp_connection_state_t state, Options options = {}) noexcept;
  ~Connection();
  Connection(Connection&&) noexcept = default;
  Connection& operator=(Connection&& other) noexcept;

  amqp_connection_state_t get() const noexcept { return state_; }

  // --- Opening and closing.

  // The socket may be null, as rabbitmq-c gives it; host and port become server.address and server.port.
  int socket_open(amqp_socket_t* socket, const char* host, int port) noexcept;
  int socket_open_noblock(amqp_socket_t* socket, const char* host, int port,
                          const struct timeval* timeout) noexcept;
  // Takes what amqp_ssl_socket_new does: amqp.ssl_socket_new(amqp_ssl_socket_new). (rabbitmq-c may be built
  // without TLS, so it is not called from here.)
  amqp_socket_t* ssl_socket_new(amqp_socket_t* (*make)(amqp_connection_state_t)) noexcept;
  template <class... Credentials>
  amqp_rpc_reply_t login(const char* vhost, int channel_max, int frame_max, int heartbeat,
                         amqp_sasl_method_enum method, Credentials... credentials) noexcept {
    return login_with_properties(vhost, channel_max, frame_max, heartbeat, nullptr, method, credentials...);
  }
  template <class... Credentials>
  amqp_rpc_reply_t login_with_properties(const char* vhost, int channel_max, int frame_max, int heartbeat,
                                         const amqp_table_t* properties, amqp_sasl_method_enum method,
                                         Credentials... credentials) noexcept {
    detail::ConnectionCall call(session_.get(), "connection.open");
    const detail::ClientProperties with(session_.get(), properties);
    return call.logged_in(
        vhost, amqp_login_with_properties(state_, vhost, channel_max, frame_max, heartbeat,
                                          with.get() != nullptr ? with.get() : &amqp_empty_table, method,
                                          credentials...));
  }
  amqp_rpc_reply_t connection_close(int code) noexcept;
  int destroy_connection() noexcept;
  amqp_channel_open_ok_t* channel_open(amqp_channel_t channel) noexcept;
  amqp_rpc_reply_t channel_close(amqp_channel_t channel, int code) noexcept;
  // For a channel that the broker closed (404, 406, ...): answers its channel.close, without which the broker
  // would close the connection, and opens the channel again. Confirm mode and consumers have to be set up
  // anew.
  amqp_channel_open_ok_t* reopen_channel(amqp_channel_t channel) noexcept;

  // --- Publishing.

  int basic_publish(amqp_channel_t channel, amqp_bytes_t exchange, amqp_bytes_t routing_key,
                    amqp_boolean_t mandatory, amqp_boolean_t immediate,
                    const amqp_basic_properties_t* properties, amqp_bytes_t body) noexcept;
  amqp_confirm_select_ok_t* confirm_select(amqp_channel_t channel) noexcept;
  // Reads frames until everything published on the channel is confirmed. A null timeout waits without end.
  // Deliveries that come meanwhile are kept for consume_message(); until it has given them all,
  // simple_wait_frame() returns AMQP_STATUS_UNEXPECTED_STATE.
  Confirms wait_for_confirms(amqp_channel_t channel, const struct timeval* timeout,
                             const ReturnedMessage& returned = {}) noexcept;
  // Published messages that the broker has not confirmed, as far as this Connection has read. Once the
  // channel or the connection is lost it never will; the number stays until the channel is opened again.
  std::uint64_t unconfirmed(amqp_channel_t channel) const noexcept;
  amqp_tx_select_ok_t* tx_select(amqp_channel_t channel) noexcept;
  amqp_tx_commit_ok_t* tx_commit(amqp_channel_t channel) noexcept;
  amqp_tx_rollback_ok_t* tx_rollback(amqp_channel_t channel) noexcept;

  // --- Receiving.

  amqp_rpc_reply_t consume_message(amqp_envelope_t* envelope, const struct timeval* timeout,
                                   int flags) noexcept;
  amqp_rpc_reply_t basic_get(amqp_channel_t channel, amqp_bytes_t queue, amqp_boolean_t no_ack) noexcept;
  amqp_rpc_reply_t read_message(amqp_channel_t channel, amqp_message_t* message, int flags) noexcept;
  int simple_wait_frame(amqp_frame_t* frame) noexcept;
  int simple_wait_frame_noblock(amqp_frame_t* frame, const struct timeval* timeout) noexcept;
  amqp_basic_consume_ok_t* basic_consume(amqp_channel_t channel, amqp_bytes_t queue,
                                         amqp_bytes_t consumer_tag, amqp_boolean_t no_local,
                                         amqp_boolean_t no_ack, amqp_boolean_t exclusive,
                                         amqp_table_t arguments) noexcept;
  amqp_basic_cancel_ok_t* basic_cancel(amqp_channel_t channel, amqp_bytes_t consumer_tag) noexcept;

  // --- Settling.

  int basic_ack(amqp_channel_t channel, std::uint64_t delivery_tag, amqp_boolean_t multiple) noexcept;
  int basic_nack(amqp_channel_t channel, std::uint64_t delivery_tag, amqp_boolean_t multiple,
                 amqp_boolean_t requeue) noexcept;
  int basic_reject(amqp_channel_t channel, std::uint64_t delivery_tag, amqp_boolean_t requeue) noexcept;
  amqp_basic_recover_ok_t* basic_recover(amqp_channel_t channel, amqp_boolean_t requeue) noexcept;

  // --- Everything else that a channel does. Spans by Options::channel_spans.

  amqp_exchange_declare_ok_t* exchange_declare(amqp_channel_t channel, amqp_bytes_t exchange,
                                               amqp_bytes_t type, amqp_boolean_t passive,
                                               amqp_boolean_t durable, amqp_boolean_t auto_delete,
                                               amqp_boolean_t internal, amqp_table_t arguments) noexcept;
  amqp_exchange_delete_ok_t* exchange_delete(amqp_channel_t channel, amqp_bytes_t exchange,
                                             amqp_boolean_t if_unused) noexcept;
  amqp_exchange_bind_ok_t* exchange_bind(amqp_channel_t channel, amqp_bytes_t destination,
                                         amqp_bytes_t source, amqp_bytes_t routing_key,
                                         amqp_table_t arguments) noexcept;
  amqp_exchange_unbind_ok_t* exchange_unbind(amqp_channel_t channel, amqp_bytes_t destination,
                                             amqp_bytes_t source, amqp_bytes_t routing_key,
                                             amqp_table_t arguments) noexcept;
  amqp_queue_declare_ok_t* queue_declare(amqp_channel_t channel, amqp_bytes_t queue, amqp_boolean_t passive,
                                         amqp_boolean_t durable, amqp_boolean_t exclusive,
                                         amqp_boolean_t auto_delete, amqp_table_t arguments) noexcept;
  amqp_queue_bind_ok_t* queue_bind(amqp_channel_t channel, amqp_bytes_t queue, amqp_bytes_t exchange,
                                   amqp_bytes_t routing_key, amqp_table_t arguments) noexcept;
  amqp_queue_unbind_ok_t* queue_unbind(amqp_channel_t channel, amqp_bytes_t queue, amqp_bytes_t exchange,
                                       amqp_bytes_t routing_key, amqp_table_t arguments) noexcept;
  amqp_queue_purge_ok_t* queue_purge(amqp_channel_t channel, amqp_bytes_t queue) noexcept;
  amqp_queue_delete_ok_t* queue_delete(amqp_channel_t channel, amqp_bytes_t queue, amqp_boolean_t if_unused,
                                       amqp_boolean_t if_empty) noexcept;
  amqp_basic_qos_ok_t* basic_qos(amqp_channel_t channel, std::uint32_t prefetch_size,
                                 std::uint16_t prefetch_count, amqp_boolean_t global) noexcept;
  amqp_channel_flow_ok_t* channel_flow(amqp_channel_t channel, amqp_boolean_t active) noexcept;
  amqp_rpc_reply_t get_rpc_reply() const noexcept { return amqp_get_rpc_reply(state_); }
  // They keep what wait_for_confirms() has put aside.
  void maybe_release_buffers() noexcept;
  void maybe_release_buffers_on_channel(amqp_channel_t channel) noexcept;

 private:
  friend detail::Access;
  amqp_connection_state_t state_;
  std::shared_ptr<detail::Session> session_;  // null only for lack of memory
};

}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
