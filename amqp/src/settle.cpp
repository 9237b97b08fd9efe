#include "settle.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "error_names.h"
#include "spans.h"

#include <midtrace/context/context.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();

int send(Session& session, const Settle& settle) noexcept {
  const amqp_boolean_t multiple = settle.multiple ? 1 : 0;
  const amqp_boolean_t requeue = settle.requeue ? 1 : 0;
  switch (settle.operation) {
    case Operation::nack:
      return amqp_basic_nack(session.state(), settle.channel, settle.delivery_tag, multiple, requeue);
    case Operation::reject:
      return amqp_basic_reject(session.state(), settle.channel, settle.delivery_tag, requeue);
    default:
      return amqp_basic_ack(session.state(), settle.channel, settle.delivery_tag, multiple);
  }
}

Settlement settlement_of(Operation operation) noexcept {
  if (operation == Operation::nack) return Settlement::nack;
  return operation == Operation::reject ? Settlement::reject : Settlement::ack;
}

std::uint64_t last_tag(const Settle& settle) noexcept {
  return settle.multiple && settle.delivery_tag == 0 ? all : settle.delivery_tag;
}

// Calls visit(tag, entry) for what the settlement covers. Under the lock.
template <class Visit>
void visit_covered(Channel& channel, const Settle& settle, const Visit& visit) {
  if (settle.multiple) {
    channel.unacked.visit_up_to(last_tag(settle), [&](std::uint64_t tag, Unacked& entry) {
      if (entry.in_transaction == Settlement::none) visit(tag, entry);
    });
  } else if (Unacked* entry = channel.unacked.find(settle.delivery_tag);
             entry != nullptr && entry->in_transaction == Settlement::none) {
    visit(settle.delivery_tag, *entry);
  }
}

// What the span is about.
struct Covered {
  std::size_t messages = 0;
  std::size_t untraced = 0;
  std::size_t contexts = 0;
  const Destination* destination = nullptr;  // of all of them; null: they differ, or are unknown
  std::shared_ptr<Work> work;                // that all of them belong to
  const DeliveryIds* ids = nullptr;          // of the only one; valid until it is settled
};

Covered find_covered(Session& session, Channel& channel, const Settle& settle, SettleLinks& links) {
  Covered covered;
  const std::size_t limit = std::max<std::size_t>(module_link_limit(), 1);
  links.clear();
  const std::lock_guard guard(session.lock());
  visit_covered(channel, settle, [&](std::uint64_t tag, Unacked& entry) {
    if (entry.destination->untraced()) {
      ++covered.untraced;
      return;
    }
    if (covered.messages == 0) {
      covered.destination = entry.destination;
      covered.work = entry.work;
      covered.ids = settle.multiple ? nullptr : entry.ids.get();
    } else {
      if (covered.destination != entry.destination) covered.destination = nullptr;
      if (covered.work != entry.work) covered.work = nullptr;
    }
    ++covered.messages;
    if (!entry.creation.valid()) return;
    ++covered.contexts;
    if (links.size() < limit) links.add(entry, tag);
  });
  return covered;
}

Span start_settle_span(Session& session, const Settle& settle, const Covered& covered, SettleLinks& links,
                       Context& parent) {
  const Endpoint& endpoint = session.endpoint();
  const Destination& destination =
      covered.destination != nullptr ? *covered.destination : endpoint.nameless();
  const PreparedSpan* prepared = endpoint.prepared(destination, settle.operation);
  if (prepared == nullptr) return {};
  if (!parent.span.valid() && covered.work != nullptr) parent.span = covered.work->context;
  const std::span<const Link> made = links.make(covered.destination == nullptr, covered.messages > 1);
  Span span = endpoint.options().tracer.start(
      prepared->name, {.kind = SpanKind::client,
                       .parent = &parent,
                       .links = made,
                       .attributes = prepared->attributes,
                       .module_link_limit = true,
                       .dropped_links = static_cast<std::uint32_t>(covered.contexts - made.size())});
  if (!span.recording()) return span;
  if (settle.delivery_tag != 0 &&
      settle.delivery_tag <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    span.set(semconv::messaging_rabbitmq_message_delivery_tag,
             static_cast<std::int64_t>(settle.delivery_tag));
  }
  if (covered.ids != nullptr) {
    if (!covered.ids->message.empty()) span.set(semconv::messaging_message_id, covered.ids->message);
    if (!covered.ids->conversation.empty())
      span.set(semconv::messaging_message_conversation_id, covered.ids->conversation);
  }
  if (settle.multiple)
    span.set(semconv::messaging_batch_message_count, static_cast<std::int64_t>(covered.messages));
  if (settle.operation != Operation::ack) span.set(semconv::midtrace_messaging_requeued, settle.requeue);
  run_start_hook(endpoint, span, {settle.operation, destination.name()});
  return span;
}

// Ends what the settlement covers, or marks it where a transaction has the last word.
void apply(Session& session, Channel& channel, const Settle& settle) noexcept {
  const Settlement how = settlement_of(settle.operation);
  if (channel.transaction) {
    const std::lock_guard guard(session.lock());
    visit_covered(channel, settle, [how](std::uint64_t, Unacked& entry) { entry.in_transaction = how; });
    return;
  }
  for (;;) {
    Unacked entry;
    {
      const std::lock_guard guard(session.lock());
      const bool taken = settle.multiple ? channel.unacked.take_oldest(last_tag(settle), entry)
                                         : channel.unacked.take(settle.delivery_tag, entry);
      if (!taken) return;
    }
    if (entry.work != nullptr) entry.work->settle(how);
    if (!settle.multiple) return;
  }
}

}  // namespace

int settle(Session& session, const Settle& settle) noexcept {
  Channel* const channel = session.existing_channel(settle.channel);
  Span span;
  const Destination* destination = nullptr;
  const bool spans = channel != nullptr && session.options().user.settle_spans;
  Context ambient = spans ? Context::current() : Context();
  if (spans && tracing(session.endpoint(), ambient)) {
    try {
      const Covered covered = find_covered(session, *channel, settle, session.settle_links);
      destination = covered.destination;
      if (covered.messages > 0 || covered.untraced == 0)
        span = start_settle_span(session, settle, covered, session.settle_links, ambient);
    } catch (...) {
      count(Counter::dropped_no_record);
    }
  }
  const int status = send(session, settle);
  if (span.recording()) {
    if (status != AMQP_STATUS_OK) span.set_error(status_name(status));
    finish_span(session.endpoint(), span,
                {settle.operation,
                 destination != nullptr ? std::string_view(destination->name()) : std::string_view()});
  }
  if (status != AMQP_STATUS_OK) {
    session.learn(status);
  } else if (channel != nullptr) {
    apply(session, *channel, settle);
  }
  return status;
}

void settled_by_commit(Session& session, Channel& channel) noexcept {
  for (std::uint64_t from = 0;;) {
    Unacked entry;
    {
      const std::lock_guard guard(session.lock());
      std::uint64_t settled = 0;
      channel.unacked.visit_from(from, [&settled](std::uint64_t tag, const Unacked& each) {
        if (each.in_transaction != Settlement::none) settled = tag;
        return settled == 0;
      });
      if (settled == 0 || !channel.unacked.take(settled, entry)) return;
      from = settled + 1;
    }
    if (entry.work != nullptr) entry.work->settle(entry.in_transaction);
  }
}

void unsettled_by_rollback(Session& session, Channel& channel) noexcept {
  const std::lock_guard guard(session.lock());
  channel.unacked.visit_from(0, [](std::uint64_t, Unacked& each) {
    each.in_transaction = Settlement::none;
    return true;
  });
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
