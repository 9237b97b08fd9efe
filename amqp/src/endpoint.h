// Endpoint: what the spans of one connection have in common: the broker's address, the virtual host, the
// connection's name, and the destinations that messages go through, interned with the span names and
// attributes that are the same for every message.
//
// A login makes a new one, because it may change the facts; whoever holds a span of the old one keeps that.
// Facts are fixed once made; destinations are only added, their lookup takes no lock. Any thread. Source:
// conventions 2.5 and 2.7.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ready_options.h"

#include "messaging/detached_span.h"

#include <midtrace/amqp/options.h>
#include <midtrace/trace/attribute.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// Empty and 0: unknown.
struct Facts {
  std::string server_host;
  std::uint16_t server_port = 0;
  std::string peer_address;
  std::uint16_t peer_port = 0;
  std::string vhost;
  std::string connection_name;
  bool tls = false;
};

// What all spans of one operation on one destination have in common.
struct PreparedSpan {
  std::string name;
  std::vector<Attribute> attributes;  // views on the destination's and the endpoint's strings
};

// How a message goes through the broker.
struct Route {
  std::string_view exchange = {};
  std::string_view routing_key = {};
  std::string_view queue = {};  // of a delivery, when it is known
  bool delivery = false;
  bool temporary = false;  // the queue was declared exclusive or to be deleted automatically

  friend bool operator==(const Route&, const Route&) noexcept = default;
};

// What is not done for a route.
struct RouteSwitches {
  bool untraced = false;
  bool unpropagated = false;

  friend bool operator==(const RouteSwitches&, const RouteSwitches&) noexcept = default;
};

class Destination {
 public:
  Destination(const Route& route, RouteSwitches switches, bool summarized);
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  // messaging.destination.name; empty for "several, or unknown".
  const std::string& name() const noexcept { return name_; }
  // As it may go on a span: without a reply token.
  std::string_view routing_key() const noexcept { return shown_routing_key_; }
  // A name that no human chose, or that goes away by itself: not for span names.
  bool anonymous() const noexcept { return anonymous_; }
  bool temporary() const noexcept { return route_.temporary; }
  bool untraced() const noexcept { return switches_.untraced; }
  bool unpropagated() const noexcept { return switches_.unpropagated; }
  // The routing key is left out, because there were too many different ones.
  bool summarized() const noexcept { return summarized_; }
  const Route& route() const noexcept { return route_; }

 private:
  friend class Endpoint;
  std::string exchange_;
  std::string routing_key_;
  std::string queue_;
  Route route_;  // views on these
  std::string name_;
  std::string_view shown_routing_key_;
  bool anonymous_ = false;
  RouteSwitches switches_;
  bool summarized_ = false;
  mutable std::array<std::atomic<const PreparedSpan*>, operation_count> prepared_{};
  Destination* next_ = nullptr;
};

class Endpoint {
 public:
  Endpoint(std::shared_ptr<const ReadyOptions> options, Facts facts);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  const ReadyOptions& options() const noexcept { return *options_; }
  const std::shared_ptr<const ReadyOptions>& shared_options() const noexcept { return options_; }
  const Facts& facts() const noexcept { return facts_; }
  bool tracing() const noexcept { return options_->mode == ModuleMode::on; }

  // Beyond max_destinations the one of the exchange and queue alone, or in the end the nameless one.
  const Destination& destination(Route route) noexcept;
  const Destination& nameless() const noexcept { return nameless_[0]; }
  // Null when there is no memory for it.
  const PreparedSpan* prepared(const Destination& destination, Operation operation) const noexcept {
    const PreparedSpan* known =
        destination.prepared_[static_cast<std::size_t>(operation)].load(std::memory_order_acquire);
    return known != nullptr ? known : prepare(destination, operation);
  }
  // What spans have that is no matter of their destination. Work does not talk to the peer, so its spans do
  // not name it.
  void add_common(std::vector<Attribute>& attributes, bool with_peer) const;

  messaging::DetachedSpans& detached_spans() noexcept { return detached_spans_; }

  static constexpr std::uint32_t max_destinations = 4096;

 private:
  static constexpr std::size_t bucket_count = 512;
  const PreparedSpan* prepare(const Destination& destination, Operation operation) const noexcept;
  // Of those that stand for many, the one with these switches.
  const Destination* find_or_add(const Route& route, const RouteSwitches* summarized) noexcept;

  const std::shared_ptr<const ReadyOptions> options_;
  const Facts facts_;
  messaging::DetachedSpans detached_spans_;
  const std::uint64_t seed_;
  std::array<Destination, 4> nameless_;  // for each pair of switches
  std::array<std::atomic<Destination*>, bucket_count> buckets_{};
  std::atomic<std::uint32_t> size_{0};
};

// The name and kind of an operation's spans.
struct OperationNames {
  StaticString name;
  StaticString type;  // empty: none of the conventions' types
  StaticString old;   // messaging.operation of `messaging/dup`
};
const OperationNames& operation_names(Operation operation) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
