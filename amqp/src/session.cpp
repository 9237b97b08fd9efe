#include "session.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <utility>

#include "error_names.h"
#include "publish.h"
#include "table.h"

#include "messaging/text.h"

#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

constexpr std::size_t max_temporary_queues = 4096;

struct Peer {
  std::string address;
  std::uint16_t port = 0;
};

// Of a connected TCP socket; empty for anything else.
Peer peer_of(amqp_connection_state_t state) {
  const int descriptor = state != nullptr ? amqp_get_sockfd(state) : -1;
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (descriptor < 0 || getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    if (inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size()) == nullptr) return {};
    return {text.data(), ntohs(v4.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size()) == nullptr) return {};
    return {text.data(), ntohs(v6.sin6_port)};
  }
  return {};
}

// What the client told the broker at login.
std::string connection_name(amqp_connection_state_t state) {
  const amqp_table_t* properties = state != nullptr ? amqp_get_client_properties(state) : nullptr;
  if (properties == nullptr) return {};
  for (const amqp_table_entry_t& entry : entries_of(*properties)) {
    if (text_of(entry.key) != "connection_name") continue;
    const std::optional<std::string_view> value = text_of(entry.value);
    if (value.has_value() && messaging::is_plain_text(*value)) return std::string(*value);
  }
  return {};
}

bool is_fatal(int status) noexcept {
  switch (status) {
    case AMQP_STATUS_OK:
    case AMQP_STATUS_TIMEOUT:  // nothing came in time
    case AMQP_STATUS_UNEXPECTED_STATE:
    case AMQP_STATUS_WRONG_METHOD:
    case AMQP_STATUS_INVALID_PARAMETER:
    case AMQP_STATUS_NO_MEMORY:
    // An argument that cannot be encoded, which is not sent then. (Or an answer that cannot be decoded; the
    // next call says that the connection is of no more use.)
    case AMQP_STATUS_TABLE_TOO_BIG:
    case AMQP_STATUS_BAD_AMQP_DATA:
      return false;
    default:
      return status < 0;
  }
}

}  // namespace

Session::Session(amqp_connection_state_t state, Options options)
    : state_(state),
      process_(getpid()),
      options_(std::make_shared<const ReadyOptions>(std::move(options))),
      tls_(options_->user.tls) {
  endpoint_ = std::make_shared<Endpoint>(options_, Facts{});
  logged_in(nullptr);
}

Session::~Session() {
  for (amqp_envelope_t& envelope : kept_envelopes)
    amqp_destroy_envelope(&envelope);
}

// The broker delivers them again under new tags, and an ack of the old ones would cost the new channel. What
// needs no ack is not delivered again.
void Session::drop_kept(amqp_channel_t number, const Channel& closed) noexcept {
  std::erase_if(kept_envelopes, [&](amqp_envelope_t& envelope) {
    if (envelope.channel != number) return false;
    const Consumer* consumer = closed.consumer(text_of(envelope.consumer_tag));
    if (consumer == nullptr || consumer->no_ack) return false;
    amqp_destroy_envelope(&envelope);
    return true;
  });
}

Channel* Session::channel(amqp_channel_t number) noexcept {
  if (Channel* known = existing_channel(number)) return known;
  try {
    auto added = std::make_unique<Channel>();
    Channel* const channel = added.get();
    const std::lock_guard guard(lock_);
    if (number >= channels_.size()) channels_.resize(number + std::size_t{1});
    channels_[number] = std::move(added);
    return channel;
  } catch (...) {
    return nullptr;
  }
}

bool Session::has_consumers() const noexcept {
  return std::any_of(channels_.begin(), channels_.end(), [](const std::unique_ptr<Channel>& channel) {
    return channel != nullptr && !channel->consumers.empty();
  });
}

void Session::add_consumer(amqp_channel_t number, std::string_view tag, std::string_view queue,
                           bool no_ack) noexcept {
  Channel* const of = channel(number);
  if (of == nullptr) return;
  try {
    Consumer added{std::string(tag), std::string(queue), no_ack};
    const std::lock_guard guard(lock_);
    std::erase_if(of->consumers, [tag](const Consumer& known) { return known.tag == tag; });
    if (of->consumers.size() >= Channel::max_consumers) of->consumers.erase(of->consumers.begin());
    of->consumers.push_back(std::move(added));
  } catch (...) {
    // Its deliveries have no queue in their names.
  }
}

// It stays known for a while. A consumer for each call on one channel must not displace those that live.
void Session::cancel_consumer(amqp_channel_t number, std::string_view tag) noexcept {
  Channel* const of = existing_channel(number);
  if (of == nullptr) return;
  const std::lock_guard guard(lock_);
  std::vector<Consumer>& consumers = of->consumers;
  const auto is_cancelled = [](const Consumer& known) { return known.cancelled; };
  for (Consumer& known : consumers)
    known.cancelled = known.cancelled || known.tag == tag;
  if (static_cast<std::size_t>(std::count_if(consumers.begin(), consumers.end(), is_cancelled)) >
      Channel::max_cancelled)
    consumers.erase(std::find_if(consumers.begin(), consumers.end(), is_cancelled));
}

const Destination& Session::published_to(amqp_bytes_t exchange, amqp_bytes_t routing_key) noexcept {
  Route route{text_of(exchange), text_of(routing_key)};
  if (last_published_ != nullptr && last_published_->route().exchange == route.exchange &&
      last_published_->route().routing_key == route.routing_key) {
    return *last_published_;
  }
  route.temporary = route.exchange.empty() && is_temporary(route.routing_key);
  last_published_ = &endpoint_->destination(route);
  return *last_published_;
}

const Destination& Session::delivered_by(amqp_bytes_t exchange, amqp_bytes_t routing_key,
                                         std::string_view queue) noexcept {
  if (last_delivered_ != nullptr) {
    const Route& last = last_delivered_->route();
    if (!last_delivered_->summarized() && last.queue == queue && last.routing_key == text_of(routing_key) &&
        last.exchange == text_of(exchange)) {
      return *last_delivered_;
    }
  }
  last_delivered_ = &delivered_by(*endpoint_, exchange, routing_key, queue);
  return *last_delivered_;
}

const Destination& Session::delivered_by(Endpoint& endpoint, amqp_bytes_t exchange, amqp_bytes_t routing_key,
                                         std::string_view queue) noexcept {
  return endpoint.destination({text_of(exchange), text_of(routing_key), queue, true, is_temporary(queue)});
}

bool Session::is_temporary(std::string_view queue) noexcept {
  if (queue.empty() || !any_temporary_.load(std::memory_order_relaxed)) return false;
  try {
    const std::string name(queue);
    const std::lock_guard guard(lock_);
    return temporary_queues_.contains(name) || older_temporary_queues_.contains(name);
  } catch (...) {
    return false;
  }
}

void Session::set_temporary(std::string_view queue) noexcept {
  try {
    std::string name(queue);
    const std::lock_guard guard(lock_);
    // The older half makes way: those that come and go are many.
    if (temporary_queues_.size() >= max_temporary_queues / 2) {
      older_temporary_queues_.swap(temporary_queues_);
      temporary_queues_.clear();
    }
    temporary_queues_.insert(std::move(name));
    any_temporary_.store(true, std::memory_order_relaxed);
    last_published_ = nullptr;
    last_delivered_ = nullptr;
  } catch (...) {
  }
}

void Session::set_declared(amqp_channel_t number, std::string_view queue) noexcept {
  Channel* const on = channel(number);
  if (on == nullptr) return;
  try {
    on->declared = queue;
  } catch (...) {
    on->declared.clear();
  }
}

std::string_view Session::meant_queue(amqp_channel_t number, std::string_view queue) const noexcept {
  if (!queue.empty()) return queue;
  const Channel* const on = existing_channel(number);
  return on != nullptr ? std::string_view(on->declared) : queue;
}

int Session::opened(const char* host, int port, int status) noexcept {
  try {
    opened_host_ = host != nullptr ? host : "";
    opened_port_ = port;
  } catch (...) {
    opened_host_.clear();
  }
  if (status == AMQP_STATUS_OK) logged_in(nullptr);  // so that the login's own span names the broker
  return status;
}

void Session::set_tls() noexcept { tls_ = true; }

void Session::logged_in(const char* vhost) noexcept {
  try {
    Facts facts;
    Peer peer = peer_of(state_);
    facts.peer_address = std::move(peer.address);
    facts.peer_port = peer.port;
    if (!options_->server.host.empty()) {
      facts.server_host = options_->server.host;
      facts.server_port = options_->server.port;
    } else if (!opened_host_.empty()) {
      facts.server_host = opened_host_;
      if (opened_port_ > 0 && opened_port_ <= std::numeric_limits<std::uint16_t>::max())
        facts.server_port = static_cast<std::uint16_t>(opened_port_);
    } else {
      facts.server_host = facts.peer_address;
      facts.server_port = facts.peer_port;
    }
    facts.vhost = vhost != nullptr ? vhost : endpoint_->facts().vhost;
    facts.connection_name = connection_name(state_);
    facts.tls = tls_;
    renew_endpoint(std::move(facts));
  } catch (...) {
    // The spans say less.
  }
}

void Session::renew_endpoint(Facts facts) noexcept {
  try {
    auto renewed = std::make_shared<Endpoint>(options_, std::move(facts));
    close("AMQP_STATUS_CONNECTION_CLOSED");  // of a connection before this one
    const std::lock_guard guard(lock_);
    endpoint_.swap(renewed);
    last_published_ = nullptr;
    last_delivered_ = nullptr;
  } catch (...) {
  }
}

void Session::end_publishes(Channel& channel, std::string_view error) noexcept {
  OpenPublish open;
  while (channel.publishes.take_oldest(std::numeric_limits<std::uint64_t>::max(), open)) {
    count(Counter::operations_lost);
    finish_publish(*endpoint_, std::move(open), error);
  }
}

void Session::end_works(Channel& channel, Settlement how, std::string_view error) noexcept {
  for (;;) {
    Unacked entry;
    {
      const std::lock_guard guard(lock_);
      if (!channel.unacked.take_oldest(std::numeric_limits<std::uint64_t>::max(), entry)) return;
    }
    if (entry.work != nullptr) entry.work->settle(how, error);
  }
}

void Session::close_channel(amqp_channel_t number, Settlement how, std::string_view error) noexcept {
  Channel* const closed = existing_channel(number);
  if (closed == nullptr) return;
  end_publishes(*closed, error.empty() ? std::string_view("channel_closed") : error);
  end_works(*closed, how, error);
  drop_kept(number, *closed);
  closed->confirming = false;
  closed->transaction = false;
  // What is outstanding stays so, for the application to ask; opening the channel forgets it.
  {
    const std::lock_guard guard(lock_);
    closed->consumers.clear();
    closed->last_no_ack = nullptr;
  }
  closed->announced = Announced();
  closed->last_returned = 0;
  closed->declared.clear();
}

void Session::channel_opened(amqp_channel_t number) noexcept {
  Channel* const opened = channel(number);
  if (opened == nullptr) return;
  // Opening it again answers a kept frame that said it was closed.
  if (has_kept_frame && saw_kept_frame && kept_frame.channel == number) has_kept_frame = false;
  if (opened->outstanding.count() > 0) opened->predecessor = std::move(opened->outstanding);
  opened->outstanding = Outstanding();
  if (amqp_frames_enqueued(state_) == 0) opened->predecessor = Outstanding();
  if (opened->predecessor.count() > 0) frames_before_open_ = true;
}

// Where something was published already, a call may put its confirms behind the old ones, and they could not
// be told apart any more: then they are all taken for its own, because waiting for one that was mistaken
// would not end.
void Session::forget_predecessors(bool only_of_publishing) noexcept {
  bool remembered = false;
  for (const std::unique_ptr<Channel>& each : channels_) {
    if (each == nullptr) continue;
    if (!only_of_publishing || each->outstanding.count() > 0) each->predecessor = Outstanding();
    remembered = remembered || each->predecessor.count() > 0;
  }
  frames_before_open_ = remembered;
}

// That a channel or the connection is closed is learned at once: the application may know it from the status
// and never read the frame.
void Session::keep(const amqp_frame_t& frame) noexcept {
  kept_frame = frame;
  has_kept_frame = true;
  saw_kept_frame =
      frame.frame_type == AMQP_FRAME_METHOD && (frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD ||
                                                frame.payload.method.id == AMQP_CONNECTION_CLOSE_METHOD);
  if (saw_kept_frame) learn(frame.channel, frame.payload.method);
}

void Session::recover(amqp_channel_t number) noexcept {
  if (Channel* known = existing_channel(number)) end_works(*known, Settlement::recover, {});
}

void Session::failed_to_send(int status) noexcept {
  if (is_fatal(status) && lost_.empty()) lost_ = status_name(status);
}

void Session::end() noexcept {
  if (getpid() == process_) close({});
}

void Session::close(std::string_view error) noexcept {
  if (error.empty()) error = lost_;
  lost_ = {};
  for (std::size_t number = 0; number < channels_.size(); ++number) {
    if (channels_[number] == nullptr) continue;
    end_publishes(*channels_[number], error.empty() ? std::string_view("connection_closed") : error);
    close_channel(static_cast<amqp_channel_t>(number), Settlement::connection_closed, error);
  }
}

void Session::learn(int status) noexcept {
  if (is_fatal(status)) close(status_name(status));
}

void Session::learn(amqp_channel_t number, const amqp_method_t& method) noexcept {
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* closed = static_cast<const amqp_channel_close_t*>(method.decoded);
    close_channel(number, Settlement::channel_closed,
                  closed != nullptr ? reply_code_name(closed->reply_code) : std::string_view());
  } else if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* closed = static_cast<const amqp_connection_close_t*>(method.decoded);
    close(closed != nullptr ? reply_code_name(closed->reply_code) : std::string_view());
  }
}

void Session::learn(amqp_channel_t number, const amqp_rpc_reply_t& reply) noexcept {
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    // rabbitmq-c gives the connection up when an answer does not come in time.
    if (reply.library_error == AMQP_STATUS_TIMEOUT) return close(status_name(reply.library_error));
    learn(reply.library_error);
  } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
    learn(number, reply.reply);
  }
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
