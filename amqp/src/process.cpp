#include <midtrace/amqp/process.h>

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "receive.h"
#include "session.h"
#include "spans.h"
#include "table.h"
#include "work.h"

#include "messaging/baggage_rules.h"
#include "messaging/received.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {

namespace detail {

namespace {

// One delivery that process() was asked about.
struct Delivery {
  amqp_channel_t channel = 0;
  std::uint64_t tag = 0;
  const amqp_message_t* message = nullptr;
  const Destination* destination = nullptr;
  Context creation;
  std::uint64_t print = 0;
  std::uint64_t received = 0;
  bool redelivered = false;
};

// What the message's own envelope says of its way; empty for one that came by basic_get().
struct Envelope {
  amqp_bytes_t exchange = {};
  amqp_bytes_t routing_key = {};
  amqp_bytes_t consumer_tag = {};
};

// What all deliveries of a batch share.
struct InCommon {
  std::size_t messages = 0;  // that are traced
  std::size_t contexts = 0;
  const Delivery* first = nullptr;
  bool destination = true;
};

// Looks the delivery up among the unsettled ones, or reads what its message says. The first one of a call
// finds the endpoint too. A login may change that meanwhile; what is unsettled then belongs to the new one.
Delivery look_up(Session& session, std::shared_ptr<Endpoint>& endpoint, amqp_channel_t number,
                 std::uint64_t tag, const amqp_message_t& message, const Envelope& envelope,
                 bool redelivered) noexcept {
  Delivery delivery;
  delivery.channel = number;
  delivery.tag = tag;
  delivery.message = &message;
  delivery.redelivered = redelivered;
  std::string_view queue;
  std::string copy;
  {
    const std::lock_guard guard(session.lock());
    if (endpoint == nullptr) endpoint = session.shared_endpoint();
    Channel* const channel =
        endpoint == session.shared_endpoint() ? session.existing_channel(number) : nullptr;
    if (Unacked* entry = channel != nullptr ? channel->unacked.find(tag) : nullptr) {
      delivery.destination = entry->destination;
      delivery.creation.span = entry->creation;
      delivery.creation.baggage = entry->baggage;
      delivery.print = entry->print;
      delivery.received = entry->received;
      delivery.redelivered = entry->redelivered;
      return delivery;
    }
    if (channel != nullptr && channel->last_no_ack != nullptr && channel->last_no_ack_tag == tag)
      delivery.destination = channel->last_no_ack;
    if (channel != nullptr && delivery.destination == nullptr) {
      try {
        if (const Consumer* consumer = channel->consumer(text_of(envelope.consumer_tag)))
          copy = consumer->queue;
        queue = copy;
      } catch (...) {
      }
    }
  }
  if (delivery.destination == nullptr) {
    const bool known = envelope.exchange.bytes != nullptr || envelope.routing_key.bytes != nullptr;
    delivery.destination =
        known ? &session.delivered_by(*endpoint, envelope.exchange, envelope.routing_key, queue)
              : &endpoint->nameless();
  }
  Carried carried = take_in(*endpoint, *delivery.destination, &message.properties);
  delivery.creation = std::move(carried.creation);
  delivery.print = carried.print;
  if (endpoint->options().user.capture_queue_time) delivery.received = current_tick();
  return delivery;
}

InCommon find_common(std::span<const Delivery> deliveries) noexcept {
  InCommon common;
  for (const Delivery& delivery : deliveries) {
    if (delivery.destination->untraced()) continue;
    ++common.messages;
    if (delivery.creation.span.valid()) ++common.contexts;
    if (common.first == nullptr) common.first = &delivery;
    common.destination = common.destination && common.first->destination == delivery.destination;
  }
  return common;
}

// The allowed members on which all messages agree.
Baggage agreed_baggage(const Endpoint& endpoint, std::span<const Delivery> deliveries,
                       Baggage result) noexcept {
  for (const std::string& name : endpoint.options().user.batch_baggage) {
    std::optional<Baggage::Member> agreed;
    bool differs = false;
    for (const Delivery& delivery : deliveries) {
      const std::optional<Baggage::Member> member = delivery.creation.baggage.find(name);
      differs = differs || !member.has_value() || (agreed.has_value() && agreed->value != member->value);
      if (differs) break;
      agreed = member;
    }
    if (agreed.has_value() && !differs) result = result.with(agreed->name, agreed->value, agreed->metadata);
  }
  return result;
}

// A decision that came without ids is followed where there is neither a parent nor a second message.
void follow_decision(std::span<const Delivery> deliveries, Context& parent) noexcept {
  if (deliveries.size() != 1 || parent.span.valid()) return;
  if (const SpanContext& received = deliveries[0].creation.span; received.decision_only())
    parent.span = received;
}

Described described(const Endpoint& endpoint, const Delivery& delivery) noexcept {
  return {
      delivery.tag, delivery.received, &delivery.message->properties,
      endpoint.options().user.capture_body_size ? static_cast<std::int64_t>(delivery.message->body.len) : -1,
      delivery.redelivered};
}

struct Links {
  std::vector<Link> links;
  std::vector<Attribute> attributes;
};

// One for each message that carried a context, up to the limit.
void make_links(const Endpoint& endpoint, std::span<const Delivery> deliveries, const InCommon& common,
                Links& made) {
  constexpr std::size_t attributes_per_link = 9;
  const std::size_t most = std::min(common.contexts, std::max<std::size_t>(module_link_limit(), 1));
  made.links.reserve(most + 1);
  if (common.messages > 1) made.attributes.reserve(most * attributes_per_link);  // links refer to them
  for (const Delivery& delivery : deliveries) {
    if (made.links.size() == most) break;
    if (!delivery.creation.span.valid() || delivery.destination->untraced()) continue;
    const std::size_t begin = made.attributes.size();
    if (common.messages > 1) {
      describe_delivery(described(endpoint, delivery), made.attributes);
      if (!common.destination && !delivery.destination->name().empty())
        made.attributes.push_back({semconv::messaging_destination_name, delivery.destination->name()});
    }
    made.links.push_back(
        {delivery.creation.span, std::span<const Attribute>(made.attributes).subspan(begin)});
  }
}

// Each unsettled delivery holds the span from now on. One that is processed a second time stays with its
// first.
void hold(Session& session, std::span<const Delivery> deliveries,
          const std::shared_ptr<Work>& work) noexcept {
  const std::lock_guard guard(session.lock());
  if (session.shared_endpoint().get() != &work->endpoint()) return;
  for (const Delivery& delivery : deliveries) {
    Channel* const channel = session.existing_channel(delivery.channel);
    Unacked* const entry = channel != nullptr ? channel->unacked.find(delivery.tag) : nullptr;
    if (entry == nullptr || entry->work != nullptr) continue;
    work->hold();
    entry->work = work;
  }
}

StartedProcess start(Session& session, const std::shared_ptr<Endpoint>& endpoint,
                     std::span<const Delivery> deliveries, bool batch) {
  StartedProcess started;
  started.around = Context::current();
  if (deliveries.empty() || started.around.suppressed) return started;
  const Context ambient = started.around;
  const Options& user = endpoint->options().user;
  endpoint->detached_spans().look();

  const InCommon common = find_common(deliveries);
  const bool trusted = user.incoming_context == IncomingContext::continue_trace;
  const Context* creation = batch || !deliveries[0].creation.span.valid() ? nullptr : &deliveries[0].creation;
  started.current = true;
  if (batch) {
    std::vector<std::uint64_t> prints;
    prints.reserve(deliveries.size());
    for (const Delivery& delivery : deliveries)
      prints.push_back(delivery.print);
    started.batch = messaging::ReceivedContexts::make(prints);
    started.around.baggage = agreed_baggage(*endpoint, deliveries, ambient.baggage);
  } else {
    started.print = deliveries[0].print;
    started.around.baggage = messaging::overlaid(ambient.baggage, deliveries[0].creation.baggage);
  }
  const Destination& destination =
      common.first != nullptr && common.destination ? *common.first->destination : endpoint->nameless();
  const PreparedSpan* prepared = endpoint->prepared(destination, Operation::process);
  if (common.messages == 0 || !endpoint->tracing() || prepared == nullptr) {
    if (creation != nullptr && trusted) started.around.span = creation->span;
    follow_decision(deliveries, started.around);
    return started;
  }

  const bool continues =
      creation != nullptr && trusted &&
      (user.relation == Relation::parent || (user.relation == Relation::automatic && !ambient.span.valid()));
  Context parent = started.around;
  if (continues) parent.span = creation->span;
  follow_decision(deliveries, parent);
  // One link needs no vectors, so that an unsampled message costs no allocation.
  std::array<Link, 2> few;
  Links many;
  std::span<const Link> links;
  if (common.messages == 1 && deliveries.size() == 1) {
    std::size_t made = 0;
    if (deliveries[0].creation.span.valid()) few[made++].context = deliveries[0].creation.span;
    if (continues && ambient.span.valid()) few[made++].context = ambient.span;
    links = std::span<const Link>(few).first(made);
  } else {
    make_links(*endpoint, deliveries, common, many);
    links = many.links;
  }
  const std::size_t own_links = links.size() - (continues && ambient.span.valid() ? 1 : 0);
  Span span = endpoint->options().tracer.start(
      prepared->name,
      {.kind = SpanKind::consumer,
       .parent = &parent,
       .links = links,
       .attributes = prepared->attributes,
       .module_link_limit = true,
       .dropped_links = static_cast<std::uint32_t>(common.contexts - std::min(common.contexts, own_links))});
  if (!span.recording()) {
    started.around.span = span.context();
    return started;
  }
  if (batch) span.set(semconv::messaging_batch_message_count, static_cast<std::int64_t>(common.messages));
  if (common.messages == 1) {
    const Described about = described(*endpoint, *common.first);
    describe_delivery(about, span);
    describe_history(*endpoint, destination, destination.route().routing_key, about, span);
  }
  run_start_hook(*endpoint, span,
                 {Operation::process, destination.name(),
                  common.messages == 1 ? &common.first->message->properties : nullptr,
                  common.messages == 1 ? common.first->message->body : amqp_bytes_t{}});
  started.work = std::make_shared<Work>(std::move(span), endpoint, destination);
  hold(session, deliveries, started.work);
  return started;
}

Delivery look_up(Session& session, std::shared_ptr<Endpoint>& endpoint,
                 const amqp_envelope_t& envelope) noexcept {
  return look_up(session, endpoint, envelope.channel, envelope.delivery_tag, envelope.message,
                 {envelope.exchange, envelope.routing_key, envelope.consumer_tag}, envelope.redelivered != 0);
}

}  // namespace

StartedProcess start_process(const Connection& connection, std::span<const amqp_envelope_t> envelopes,
                             bool batch) noexcept {
  const std::shared_ptr<Session>& session = Access::session(connection);
  if (session == nullptr || session->off()) return {};
  try {
    std::shared_ptr<Endpoint> endpoint;
    if (envelopes.size() == 1) {
      const Delivery delivery = look_up(*session, endpoint, envelopes[0]);
      return start(*session, endpoint, {&delivery, 1}, batch);
    }
    std::vector<Delivery> deliveries;
    deliveries.reserve(envelopes.size());
    for (const amqp_envelope_t& envelope : envelopes)
      deliveries.push_back(look_up(*session, endpoint, envelope));
    return start(*session, endpoint, deliveries, batch);
  } catch (...) {
    count(Counter::dropped_no_record);
    return {};
  }
}

StartedProcess start_process(const Connection& connection, amqp_channel_t channel, std::uint64_t delivery_tag,
                             const amqp_message_t& message) noexcept {
  const std::shared_ptr<Session>& session = Access::session(connection);
  if (session == nullptr || session->off()) return {};
  try {
    std::shared_ptr<Endpoint> endpoint;
    const Delivery delivery = look_up(*session, endpoint, channel, delivery_tag, message, {}, false);
    return start(*session, endpoint, {&delivery, 1}, false);
  } catch (...) {
    count(Counter::dropped_no_record);
    return {};
  }
}

}  // namespace detail

namespace {

Scope make_current(const detail::StartedProcess& started,
                   const std::shared_ptr<detail::Work>& used) noexcept {
  if (!started.current) return Scope(Context::current());
  if (used != nullptr) return used->span.activate(started.around);
  Context context = started.around;
  if (started.work != nullptr) context.span = started.work->context;
  return Scope(context);
}

std::shared_ptr<detail::Work> in_use(const std::shared_ptr<detail::Work>& work) noexcept {
  return work != nullptr && work->use() ? work : nullptr;
}

}  // namespace

ProcessActivation::ProcessActivation(const detail::StartedProcess& started) noexcept
    : used_(in_use(started.work)),
      mark_(started.print, started.batch),
      scope_(make_current(started, used_)) {}

void ProcessActivation::end() noexcept {
  scope_.end();
  mark_.end();
  if (used_ == nullptr) return;
  used_->stop_using();
  used_.reset();
}

ProcessSpan::ProcessSpan(detail::StartedProcess started) noexcept
    : started_(std::move(started)), exceptions_(std::uncaught_exceptions()) {}

ProcessSpan::ProcessSpan(ProcessSpan&& other) noexcept
    : started_(std::exchange(other.started_, {})),
      exceptions_(std::uncaught_exceptions()),
      detached_(other.detached_),
      failed_(other.failed_) {
  if (started_.work != nullptr) started_.work->unpin();
}

ProcessSpan& ProcessSpan::operator=(ProcessSpan&& other) noexcept {
  if (this != &other) {
    destroy();
    started_ = std::exchange(other.started_, {});
    exceptions_ = std::uncaught_exceptions();
    detached_ = other.detached_;
    failed_ = other.failed_;
    if (started_.work != nullptr) started_.work->unpin();
  }
  return *this;
}

ProcessSpan::~ProcessSpan() { destroy(); }

Span& ProcessSpan::span() noexcept {
  return started_.work != nullptr && started_.work->pin() ? started_.work->span : nothing_;
}

void ProcessSpan::set_error(std::string_view error_type, std::string_view description) noexcept {
  failed_ = true;
  const std::shared_ptr<detail::Work>& work = started_.work;
  if (work == nullptr || !work->use()) return;
  work->set_failed();
  work->span.set_error(error_type, description);
  work->stop_using();
}

void ProcessSpan::end() noexcept { finish(StaticString("end")); }

// From here on the deliveries alone hold the span, and the time limit watches them.
void ProcessSpan::finish(StaticString ended_by) noexcept {
  const std::shared_ptr<detail::Work> work = std::exchange(started_.work, nullptr);
  if (work == nullptr) return;
  started_.around.span = work->context;  // it can still be made current
  work->unpin();
  work->leave(ended_by);
}

void ProcessSpan::destroy() noexcept {
  if (started_.work == nullptr) return;
  const bool thrown = std::uncaught_exceptions() > exceptions_;
  if (thrown && !failed_) set_error("_OTHER", "left by an exception");
  if (!detached_) return finish(StaticString(""));
  finish(thrown ? StaticString("exception") : StaticString("destroyed"));
}

ProcessScope::ProcessScope(detail::StartedProcess started) noexcept
    : span_(std::move(started)), activation_(span_.started_) {}

ProcessScope::~ProcessScope() { activation_.end(); }

ProcessSpan ProcessScope::detach() noexcept {
  activation_.end();
  span_.detached_ = true;
  if (span_.started_.work != nullptr) span_.started_.work->watch();
  return std::move(span_);
}

}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
