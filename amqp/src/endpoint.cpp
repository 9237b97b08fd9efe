#include "endpoint.h"

#include <algorithm>
#include <new>
#include <span>
#include <utility>

#include "names.h"

#include "messaging/received.h"
#include "messaging/text.h"
#include "trace/glob.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

// In the order of Operation.
constexpr std::array<OperationNames, operation_count> operations{{
    {"publish", "send", "publish"},
    {"receive", "receive", "receive"},
    {"process", "process", "process"},
    {"ack", "settle", "settle"},
    {"nack", "settle", "settle"},
    {"reject", "settle", "settle"},
    {"tx.commit", "", ""},
    {"tx.rollback", "", ""},
    {"channel", "", ""},
}};

bool matches_any(std::span<const std::string> patterns, std::string_view name) noexcept {
  return std::any_of(patterns.begin(), patterns.end(),
                     [name](const std::string& pattern) { return matches_glob(name, pattern); });
}

// What is published to the default exchange goes to the queue that its routing key names.
bool matches_route(const Route& route, std::span<const std::string> exchanges,
                   std::span<const std::string> queues) noexcept {
  if (exchanges.empty() && queues.empty()) return false;
  const std::string_view queue = route.delivery ? route.queue : route.routing_key;
  if (matches_any(exchanges, route.exchange)) return true;
  return (route.delivery || route.exchange.empty()) && !queue.empty() && matches_any(queues, queue);
}

std::uint64_t mixed(std::uint64_t hash, std::string_view text) noexcept {
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return (hash ^ text.size()) * 0x9E3779B97F4A7C15U;
}

// Routing keys come from outside: whoever chose them cannot know where they go.
std::size_t bucket_of(const Route& route, std::uint64_t seed, std::size_t buckets) noexcept {
  const std::uint64_t hash = mixed(mixed(mixed(seed, route.exchange), route.routing_key), route.queue);
  return (hash >> 32U) % buckets;
}

}  // namespace

const OperationNames& operation_names(Operation operation) noexcept {
  return operations[static_cast<std::size_t>(operation)];
}

RouteSwitches switches_of(const Route& route, const Options& options) noexcept {
  return {matches_route(route, options.untraced_exchanges, options.untraced_queues),
          matches_route(route, options.unpropagated_exchanges, options.unpropagated_queues)};
}

Destination::Destination(const Route& route, RouteSwitches switches, bool summarized)
    : exchange_(route.exchange),
      routing_key_(route.routing_key),
      queue_(route.queue),
      route_{exchange_, routing_key_, queue_, route.delivery, route.temporary},
      switches_(switches),
      summarized_(summarized) {
  DestinationName named;
  if (route.delivery) {
    consumer_destination(route_.exchange, route_.routing_key, route_.queue, named);
  } else {
    producer_destination(route_.exchange, route_.routing_key, named);
  }
  name_ = std::move(named.name);
  anonymous_ = named.anonymous;
  if (messaging::is_plain_text(route_.routing_key))
    shown_routing_key_ = without_reply_token(route_.routing_key);
}

Destination::~Destination() {
  for (const auto& prepared : prepared_)
    delete prepared.load(std::memory_order_relaxed);
}

Endpoint::Endpoint(std::shared_ptr<const ReadyOptions> options, Facts facts)
    : options_(std::move(options)),
      facts_(std::move(facts)),
      detached_spans_(std::chrono::nanoseconds(options_->user.settle_timeout).count()),
      seed_(messaging::seeded_hash(current_tick(), reinterpret_cast<std::uintptr_t>(this))),
      nameless_{Destination({}, {false, false}, true), Destination({}, {true, false}, true),
                Destination({}, {false, true}, true), Destination({}, {true, true}, true)} {
  for (Destination& each : nameless_)
    each.name_.clear();
}

Endpoint::~Endpoint() {
  for (const auto& bucket : buckets_) {
    Destination* destination = bucket.load(std::memory_order_relaxed);
    while (destination != nullptr)
      delete std::exchange(destination, destination->next_);
  }
}

const Destination* Endpoint::find_or_add(const Route& route, const RouteSwitches* summarized) noexcept {
  std::atomic<Destination*>& bucket = buckets_[bucket_of(route, seed_, bucket_count)];
  Destination* first = bucket.load(std::memory_order_acquire);
  const auto find = [&route, summarized](Destination* from, const Destination* until) -> Destination* {
    for (Destination* known = from; known != until; known = known->next_) {
      if (known->route_ == route && known->summarized_ == (summarized != nullptr) &&
          (summarized == nullptr || known->switches_ == *summarized))
        return known;
    }
    return nullptr;
  };
  if (Destination* known = find(first, nullptr)) return known;
  // Those that stand for many have room of their own.
  if (size_.load(std::memory_order_relaxed) >=
      (summarized != nullptr ? 2 * max_destinations : max_destinations))
    return nullptr;
  Destination* added = nullptr;
  try {
    added = new Destination(route, summarized != nullptr ? *summarized : switches_of(route, options_->user),
                            summarized != nullptr);
  } catch (...) {
    return nullptr;
  }
  const Destination* seen = first;
  added->next_ = first;
  while (!bucket.compare_exchange_weak(added->next_, added, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
    if (Destination* known = find(added->next_, seen)) {
      delete added;
      return known;
    }
    seen = added->next_;
  }
  size_.fetch_add(1, std::memory_order_relaxed);
  return added;
}

const Destination& Endpoint::destination(Route route) noexcept {
  // Every client that asks for a direct reply has a key of its own.
  route.routing_key = without_reply_token(route.routing_key);
  if (const Destination* found = find_or_add(route, nullptr)) return *found;
  const RouteSwitches switches = switches_of(route, options_->user);
  route.routing_key = {};
  if (const Destination* found = find_or_add(route, &switches)) return *found;
  return nameless_[(switches.untraced ? 1U : 0U) + (switches.unpropagated ? 2U : 0U)];
}

void Endpoint::add_common(std::vector<Attribute>& attributes, bool with_peer) const {
  if (!facts_.connection_name.empty()) {
    attributes.push_back({semconv::messaging_client_id, std::string_view(facts_.connection_name)});
  }
  if (!facts_.server_host.empty()) {
    attributes.push_back({semconv::server_address, std::string_view(facts_.server_host)});
    if (facts_.server_port != 0) attributes.push_back({semconv::server_port, facts_.server_port});
  }
  if (with_peer && !facts_.peer_address.empty()) {
    attributes.push_back({semconv::network_peer_address, std::string_view(facts_.peer_address)});
    if (facts_.peer_port != 0) attributes.push_back({semconv::network_peer_port, facts_.peer_port});
  }
  if (!facts_.vhost.empty() && facts_.vhost != "/") {
    attributes.push_back({semconv::midtrace_amqp_vhost, std::string_view(facts_.vhost)});
  }
  if (facts_.tls) attributes.push_back({semconv::midtrace_amqp_tls, true});
  if (options_->old_names && !facts_.connection_name.empty()) {
    attributes.push_back({semconv::deprecated_messaging_client_id, std::string_view(facts_.connection_name)});
  }
}

const PreparedSpan* Endpoint::prepare(const Destination& destination, Operation operation) const noexcept {
  try {
    const OperationNames& names = operation_names(operation);
    auto prepared = std::make_unique<PreparedSpan>();
    prepared->name = names.name.text();
    const std::string_view name = destination.name();
    if (!name.empty() && !destination.anonymous() && !destination.temporary())
      prepared->name.append(" ").append(name);

    const bool settles = names.type.text() == "settle";
    std::vector<Attribute>& attributes = prepared->attributes;
    attributes.push_back({semconv::messaging_system, StaticString("rabbitmq")});
    attributes.push_back({semconv::messaging_operation_name, names.name});
    if (!names.type.text().empty()) attributes.push_back({semconv::messaging_operation_type, names.type});
    if (!name.empty()) {
      attributes.push_back({semconv::messaging_destination_name, name});
      if (!settles && destination.anonymous())
        attributes.push_back({semconv::messaging_destination_anonymous, true});
      if (!settles && destination.temporary())
        attributes.push_back({semconv::messaging_destination_temporary, true});
    }
    if (!settles && !destination.routing_key().empty()) {
      attributes.push_back({semconv::messaging_rabbitmq_destination_routing_key, destination.routing_key()});
    }
    add_common(attributes, operation != Operation::process);
    if (options_->old_names && !names.old.text().empty())
      attributes.push_back({semconv::deprecated_messaging_operation, names.old});

    const PreparedSpan* expected = nullptr;
    std::atomic<const PreparedSpan*>& place = destination.prepared_[static_cast<std::size_t>(operation)];
    if (place.compare_exchange_strong(expected, prepared.get(), std::memory_order_acq_rel))
      return prepared.release();
    return expected;
  } catch (...) {
    return nullptr;
  }
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
