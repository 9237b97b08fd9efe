// Session: the tracing state of one connection behind its Connection.
//
// It belongs to the connection's thread, except what its lock guards, because process() looks it up on any
// thread: the endpoint, the table of channels with their unacked deliveries and consumers, and the temporary
// queues. Nothing throws.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "channel.h"
#include "endpoint.h"
#include "outgoing_headers.h"
#include "settle_links.h"

#include "messaging/field_buffer.h"
#include "trace/spin_lock.h"

#include <midtrace/amqp/connection.h>
#include <midtrace/amqp/library.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

class Session {
 public:
  Session(amqp_connection_state_t state, Options options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  amqp_connection_state_t state() const noexcept { return state_; }
  const ReadyOptions& options() const noexcept { return *options_; }
  // The calls are rabbitmq-c's; only confirms are counted, because wait_for_confirms() is not its own.
  bool off() const noexcept { return options_->mode == ModuleMode::off; }
  // On the connection's thread.
  Endpoint& endpoint() const noexcept { return *endpoint_; }
  const std::shared_ptr<Endpoint>& shared_endpoint() const noexcept { return endpoint_; }
  SpinLock& lock() noexcept { return lock_; }

  // Null when there is no memory for it.
  Channel* channel(amqp_channel_t number) noexcept;
  Channel* existing_channel(amqp_channel_t number) const noexcept {
    return number < channels_.size() ? channels_[number].get() : nullptr;
  }

  // Whether deliveries may come, as far as known.
  bool has_consumers() const noexcept;
  void add_consumer(amqp_channel_t channel, std::string_view tag, std::string_view queue,
                    bool no_ack) noexcept;
  void cancel_consumer(amqp_channel_t channel, std::string_view tag) noexcept;

  // The destination of a publish; the last one is remembered.
  const Destination& published_to(amqp_bytes_t exchange, amqp_bytes_t routing_key) noexcept;
  // The destination of a delivery; the last one is remembered.
  const Destination& delivered_by(amqp_bytes_t exchange, amqp_bytes_t routing_key,
                                  std::string_view queue) noexcept;
  // The same on any thread, for an endpoint that the caller holds.
  const Destination& delivered_by(Endpoint& endpoint, amqp_bytes_t exchange, amqp_bytes_t routing_key,
                                  std::string_view queue) noexcept;
  void set_temporary(std::string_view queue) noexcept;
  // An empty name means the queue that was declared last on the channel. Valid until another one is.
  void set_declared(amqp_channel_t channel, std::string_view queue) noexcept;
  std::string_view meant_queue(amqp_channel_t channel, std::string_view queue) const noexcept;

  // What is known of the peer before and after the login. `status` is what opening the socket gave.
  int opened(const char* host, int port, int status) noexcept;
  void set_tls() noexcept;
  void logged_in(const char* vhost) noexcept;

  // Ends what is open on a channel, or on all of them: spans of publishes and works with this error, which
  // has static storage and ends in a NUL, or, where it is empty, with what the settlement implies.
  void close_channel(amqp_channel_t number, Settlement how, std::string_view error) noexcept;
  void close(std::string_view error) noexcept;
  // The Connection goes. Not in the child of a fork: what is open is the parent's, and a thread that is not
  // there any more may hold the lock.
  void end() noexcept;
  // A publish found the connection lost. What is open stays so, because confirms that came before can still
  // be read; but nothing else will be the reason for its end.
  void failed_to_send(int status) noexcept;
  // The channel is open, perhaps for the second time.
  void channel_opened(amqp_channel_t number) noexcept;
  // The broker delivers what is unsettled on the channel again, under new tags.
  void recover(amqp_channel_t number) noexcept;

  // What an answer says of the state of things: a channel or the connection may be gone.
  void learn(amqp_channel_t channel, const amqp_rpc_reply_t& reply) noexcept;
  // The same of a call that gives a status alone.
  void learn(int status) noexcept;
  void learn(amqp_channel_t channel, const amqp_method_t& method) noexcept;

  // Frames that rabbitmq-c came across while it waited for an answer are read later. Confirms among them may
  // be those of a channel that was closed and opened again since, which has begun to count anew. To be called
  // before a frame is read, and before a call that may put others behind them.
  void before_read() noexcept {
    if (frames_before_open_ && amqp_frames_enqueued(state_) == 0) forget_predecessors(false);
  }
  void before_call() noexcept {
    if (frames_before_open_) forget_predecessors(true);
  }

  // Reused by every publish.
  messaging::FieldBuffer fields;
  OutgoingHeaders headers;
  // Reused by every settlement.
  SettleLinks settle_links;
  // Deliveries that wait_for_confirms() came across, for consume_message().
  std::deque<amqp_envelope_t> kept_envelopes;
  // A frame that it could not deal with, for simple_wait_frame().
  amqp_frame_t kept_frame{};
  bool has_kept_frame = false;
  bool saw_kept_frame = false;  // what it says is known here already
  void keep(const amqp_frame_t& frame) noexcept;

 private:
  bool is_temporary(std::string_view queue) noexcept;
  void renew_endpoint(Facts facts) noexcept;
  void drop_kept(amqp_channel_t number, const Channel& closed) noexcept;
  void forget_predecessors(bool only_of_publishing) noexcept;
  void end_publishes(Channel& channel, std::string_view error) noexcept;
  void end_works(Channel& channel, Settlement how, std::string_view error) noexcept;

  const amqp_connection_state_t state_;
  const pid_t process_;
  const std::shared_ptr<const ReadyOptions> options_;
  SpinLock lock_;
  std::shared_ptr<Endpoint> endpoint_;                // written under the lock
  std::vector<std::unique_ptr<Channel>> channels_;    // by number; changed under the lock
  const Destination* last_published_ = nullptr;       // of the endpoint
  const Destination* last_delivered_ = nullptr;       // likewise
  std::unordered_set<std::string> temporary_queues_;  // bounded, both; under the lock
  std::unordered_set<std::string> older_temporary_queues_;
  std::atomic<bool> any_temporary_{false};
  std::string_view lost_;  // why the connection is lost, once a publish has seen it; static storage
  std::string opened_host_;
  int opened_port_ = 0;
  bool tls_ = false;
  bool frames_before_open_ = false;  // rabbitmq-c may hold frames from before a channel was opened
};

// The way into a Connection.
struct Access {
  static const std::shared_ptr<Session>& session(const Connection& connection) noexcept {
    return connection.session_;
  }
};

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
