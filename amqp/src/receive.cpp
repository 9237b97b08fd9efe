#include "receive.h"

#include <limits>
#include <mutex>
#include <utility>

#include "names.h"
#include "provenance.h"
#include "spans.h"
#include "table.h"

#include "messaging/baggage_rules.h"
#include "messaging/received.h"
#include "messaging/text.h"
#include "messaging/thread_state.h"

#include <midtrace/propagation/propagator.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

// From the message's own time, in whole seconds, to the receipt. Never negative: that the clocks disagree is
// said beside it. A second of disagreement is the unit's, not the clocks'.
template <class Set>
void describe_queue_time(const Described& delivery, const Set& set) {
  if (delivery.received == 0 || delivery.properties == nullptr ||
      (delivery.properties->_flags & AMQP_BASIC_TIMESTAMP_FLAG) == 0)
    return;
  constexpr std::uint64_t latest = std::numeric_limits<std::int64_t>::max() / 1000000000;
  const std::uint64_t seconds = delivery.properties->timestamp;
  if (seconds == 0 || seconds > latest) return;
  const std::int64_t nanos =
      tick_to_unix_nanos(delivery.received) - static_cast<std::int64_t>(seconds) * 1000000000;
  set(semconv::midtrace_messaging_queue_time, nanos > 0 ? static_cast<double>(nanos) / 1e9 : 0.0);
  if (nanos <= -1000000000) set(semconv::midtrace_messaging_clock_skewed, true);
}

template <class Set>
void describe(const Described& delivery, const Set& set) {
  if (delivery.delivery_tag <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) &&
      delivery.delivery_tag != 0) {
    set(semconv::messaging_rabbitmq_message_delivery_tag, static_cast<std::int64_t>(delivery.delivery_tag));
  }
  const MessageIds ids = ids_of(delivery.properties);
  if (!ids.id.empty()) set(semconv::messaging_message_id, ids.id);
  if (!ids.conversation.empty()) set(semconv::messaging_message_conversation_id, ids.conversation);
  if (delivery.body_size >= 0) set(semconv::messaging_message_body_size, delivery.body_size);
  if (delivery.redelivered) set(semconv::midtrace_messaging_redelivered, true);
  const Provenance provenance = provenance_of(headers_of(delivery.properties), delivery.redelivered);
  // The first one goes without saying.
  if (provenance.attempt > 1) set(semconv::midtrace_messaging_attempt, provenance.attempt);
  describe_queue_time(delivery, set);
}

void set_text(Span& span, const AttributeKey<std::string_view>& key, std::string_view text) noexcept {
  if (!text.empty() && text.size() <= max_id_bytes && messaging::is_plain_text(text)) span.set(key, text);
}

// Null when there are none, or no memory for them.
std::unique_ptr<DeliveryIds> kept_ids(const amqp_basic_properties_t* properties) noexcept {
  const MessageIds ids = ids_of(properties);
  if (ids.id.empty() && ids.conversation.empty()) return nullptr;
  try {
    return std::make_unique<DeliveryIds>(DeliveryIds{std::string(ids.id), std::string(ids.conversation)});
  } catch (...) {
    return nullptr;
  }
}

void announce(Session& session, Channel& channel, Announced announced, std::uint64_t start_tick) noexcept {
  announced.start_tick = start_tick != 0 || !session.endpoint().tracing() ? start_tick : current_tick();
  channel.announced = announced;
}

}  // namespace

void describe_delivery(const Described& delivery, Span& span) noexcept { describe(delivery, OnSpan{span}); }

void describe_delivery(const Described& delivery, std::vector<Attribute>& attributes) {
  describe(delivery, OnLink{attributes});
}

void describe_history(const Endpoint& endpoint, const Destination& destination, std::string_view routing_key,
                      const Described& delivery, Span& span) noexcept {
  if (destination.summarized())
    set_text(span, semconv::messaging_rabbitmq_destination_routing_key, without_reply_token(routing_key));
  const Provenance provenance = provenance_of(headers_of(delivery.properties), delivery.redelivered);
  set_text(span, semconv::midtrace_amqp_first_death_queue, provenance.first_death_queue);
  set_text(span, semconv::midtrace_amqp_first_death_exchange, provenance.first_death_exchange);
  set_text(span, semconv::midtrace_amqp_first_death_reason, provenance.first_death_reason);
  describe_headers(endpoint, delivery.properties, span);
}

Carried take_in(const Endpoint& endpoint, const Destination& destination,
                const amqp_basic_properties_t* properties) noexcept {
  Carried carried{carried_context(properties)};
  IncomingContext incoming = endpoint.options().user.incoming_context;
  if (destination.unpropagated()) incoming = IncomingContext::ignore;
  Context& creation = carried.creation;
  carried.print = messaging::fingerprint(creation.span, incoming);
  messaging::let_in(incoming, creation);
  creation.baggage =
      messaging::allowed_baggage(endpoint.options().user.baggage_keys, std::move(creation.baggage));
  return carried;
}

void announce(Session& session, Channel& channel, const amqp_basic_deliver_t& method,
              std::uint64_t start_tick) noexcept {
  if (session.off()) return;
  const Consumer* consumer = channel.consumer(text_of(method.consumer_tag));
  const Destination& destination =
      session.delivered_by(method.exchange, method.routing_key,
                           consumer != nullptr ? std::string_view(consumer->queue) : std::string_view());
  announce(session, channel,
           {.by = Announced::By::deliver,
            .destination = &destination,
            .delivery_tag = method.delivery_tag,
            .redelivered = method.redelivered != 0,
            .no_ack = consumer != nullptr && consumer->no_ack},
           start_tick);
}

void announce(Session& session, Channel& channel, const amqp_basic_get_ok_t& method, std::string_view queue,
              bool no_ack, std::uint64_t start_tick) noexcept {
  if (session.off()) return;
  announce(session, channel,
           {.by = Announced::By::get,
            .destination = &session.delivered_by(method.exchange, method.routing_key, queue),
            .delivery_tag = method.delivery_tag,
            .redelivered = method.redelivered != 0,
            .no_ack = no_ack},
           start_tick);
}

void message_received(Session& session, Channel& channel, const amqp_basic_properties_t* properties,
                      amqp_bytes_t body, std::uint64_t body_size) noexcept {
  const Announced announced = std::exchange(channel.announced, Announced());
  if (announced.destination == nullptr) return;
  const Endpoint& endpoint = session.endpoint();
  const Destination& destination = *announced.destination;
  const Context ambient = Context::current();
  const Options& user = endpoint.options().user;
  Carried carried = take_in(endpoint, destination, properties);
  if (messaging::ThreadState* thread = messaging::thread_state())
    thread->remember(carried.print, nullptr, 0, 0);
  if (!endpoint.tracing()) return;

  const std::uint64_t received = user.capture_queue_time && properties != nullptr &&
                                         (properties->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0
                                     ? current_tick()
                                     : 0;
  const Described described{announced.delivery_tag, received, properties,
                            user.capture_body_size ? static_cast<std::int64_t>(body_size) : -1,
                            announced.redelivered};
  bool sampled = carried.creation.span.sampled() || ambient.span.sampled();
  if (user.receive_spans && !ambient.suppressed && !destination.untraced()) {
    if (const PreparedSpan* prepared = endpoint.prepared(destination, Operation::receive)) {
      Context parent = ambient;
      // A decision that came without ids is followed where there is no parent.
      if (!parent.span.valid() && carried.creation.span.decision_only()) parent.span = carried.creation.span;
      const Link link{carried.creation.span};
      Span span =
          endpoint.options().tracer.start(prepared->name, {.kind = SpanKind::client,
                                                           .parent = &parent,
                                                           .links = {&link, link.context.valid() ? 1U : 0U},
                                                           .attributes = prepared->attributes,
                                                           .start_tick = announced.start_tick,
                                                           .module_link_limit = true});
      if (span.recording()) {
        sampled = true;
        describe_delivery(described, span);
        describe_history(endpoint, destination, destination.route().routing_key, described, span);
        const Call call{Operation::receive, destination.name(), properties, body};
        run_start_hook(endpoint, span, call);
        finish_span(endpoint, span, call);
      }
    }
  }
  if (announced.no_ack) {
    const std::lock_guard guard(session.lock());
    channel.last_no_ack_tag = announced.delivery_tag;
    channel.last_no_ack = &destination;
    return;
  }
  Unacked entry;
  entry.destination = &destination;
  entry.creation = carried.creation.span;
  entry.baggage = std::move(carried.creation.baggage);
  entry.print = carried.print;
  entry.received = received;
  entry.redelivered = announced.redelivered;
  if (sampled && user.settle_spans) entry.ids = kept_ids(properties);
  const std::lock_guard guard(session.lock());
  // Beyond the limit its settlement has no destination, and its process span ends with the scope.
  if (!channel.unacked.append(announced.delivery_tag, entry)) count(Counter::operations_lost);
}

void nothing_received(Session& session, std::string_view queue, std::uint64_t start_tick,
                      std::string_view error_type) noexcept {
  Endpoint& endpoint = session.endpoint();
  const Context ambient = Context::current();
  const Options& user = endpoint.options().user;
  if (!tracing(endpoint, ambient) || !user.receive_spans || (error_type.empty() && !user.empty_receives))
    return;
  const Destination& destination =
      queue.empty() ? endpoint.nameless() : session.delivered_by(endpoint, {}, {}, queue);
  const PreparedSpan* prepared = endpoint.prepared(destination, Operation::receive);
  if (prepared == nullptr || destination.untraced()) return;
  Span span = endpoint.options().tracer.start(prepared->name, {.kind = SpanKind::client,
                                                               .parent = &ambient,
                                                               .attributes = prepared->attributes,
                                                               .start_tick = start_tick});
  if (!span.recording()) return;
  if (!error_type.empty()) span.set_error(error_type);
  const Call call{Operation::receive, destination.name()};
  run_start_hook(endpoint, span, call);
  finish_span(endpoint, span, call);
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
