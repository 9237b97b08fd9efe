#include "receive_spans.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "captured_headers.h"
#include "describe.h"
#include "fan_in.h"
#include "spans.h"

#include "messaging/baggage_rules.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

// Gives a hook the library's own messages. Only when there is a hook.
void run_receive_hook(const Hook& hook, Span& span, Operation operation, const Topic& topic,
                      std::span<const Delivery> deliveries) noexcept {
  try {
    std::vector<const rd_kafka_message_t*> messages;
    messages.reserve(deliveries.size());
    for (const Delivery& delivery : deliveries) {
      if (is_traced(delivery)) messages.push_back(delivery.message);
    }
    run_hook(hook, span, {operation, topic.name(), messages});
  } catch (...) {
    count(Counter::hook_failures);
  }
}

// A decision that came without ids is followed where there is neither a parent nor a second message.
void follow_decision(std::span<const Delivery> deliveries, Context& parent) noexcept {
  if (deliveries.size() != 1 || parent.span.valid()) return;
  const SpanContext& received = deliveries[0].creation.span;
  if (received.decision_only()) parent.span = received;
}

// The allowed members on which all messages agree.
Baggage agreed_baggage(const Client& client, std::span<const Delivery> deliveries, Baggage result) noexcept {
  for (const std::string& name : client.options().user.batch_baggage) {
    std::optional<Baggage::Member> agreed;
    bool differs = false;
    for (const Delivery& delivery : deliveries) {
      if (!is_message(delivery)) continue;
      const std::optional<Baggage::Member> member = delivery.creation.baggage.find(name);
      differs = differs || !member.has_value() || (agreed.has_value() && agreed->value != member->value);
      if (differs) break;
      agreed = member;
    }
    if (agreed.has_value() && !differs) result = result.with(agreed->name, agreed->value, agreed->metadata);
  }
  return result;
}

// The links that have no place on the process span, on spans below it. They are no operations of their own,
// so that nobody counts the batch twice.
void chain_links(const Client& client, const PreparedSpan& prepared, const Topic& topic,
                 const StartedProcess& process, std::span<const Link> links) noexcept {
  const std::size_t limit = module_link_limit();
  Context parent = process.around;
  parent.span = process.span.context();
  while (!links.empty()) {
    const std::span<const Link> chunk = links.first(links_that_fit(links, limit));
    if (chunk.empty()) {  // the limit has become zero since
      count(Counter::dropped_links, links.size());
      return;
    }
    links = links.subspan(chunk.size());
    Span span = client.options().tracer.start(prepared.name,
                                              {.parent = &parent, .links = chunk, .module_link_limit = true});
    span.set(semconv::messaging_system, StaticString("kafka"));
    if (!topic.name().empty()) span.set(semconv::messaging_destination_name, topic.name());
    if (!span.recording()) count(Counter::dropped_links, chunk.size());
  }
}

}  // namespace

void record_poll(const Client& client, std::span<const Delivery> deliveries, bool batch,
                 std::uint64_t start_tick, ThreadState* thread) noexcept {
  const Context ambient = Context::current();
  if (!tracing(client, ambient) || thread == nullptr) return;
  const InCommon common = find_common(deliveries);
  if (common.messages == 0 && (common.untraced > 0 || !client.options().user.empty_polls)) return;
  try {
    const Topic& topic = client.topic(
        common.first != nullptr && common.topic ? topic_name(*common.first) : std::string_view(), thread);
    const PreparedSpan* prepared = client.prepared(topic, Operation::poll);
    if (prepared == nullptr) return;
    Context parent = ambient;
    follow_decision(deliveries, parent);
    const FanIn fan_in = make_links(client, deliveries, common, thread->buffers);
    Span span = client.options().tracer.start(prepared->name, {.kind = SpanKind::client,
                                                               .parent = &parent,
                                                               .links = fan_in.links,
                                                               .attributes = prepared->attributes,
                                                               .start_tick = start_tick,
                                                               .module_link_limit = true,
                                                               .dropped_links = fan_in.dropped});
    release_large(thread->buffers);
    if (!span.recording()) return;
    if (batch) span.set(semconv::messaging_batch_message_count, static_cast<std::int64_t>(common.messages));
    describe_common(client, common, span);
    if (!batch && common.first != nullptr) describe_headers(client, *common.first, span);
    set_cluster(client, span);
    const Options& user = client.options().user;
    if (user.on_start) run_receive_hook(user.on_start, span, Operation::poll, topic, deliveries);
    if (user.on_finish) run_receive_hook(user.on_finish, span, Operation::poll, topic, deliveries);
    span.end();
  } catch (...) {
    count(Counter::dropped_no_record);
  }
}

StartedProcess start_process_span(const Client& client, std::span<const Delivery> deliveries, bool batch,
                                  ThreadState* thread) noexcept {
  StartedProcess started;
  const InCommon common = find_common(deliveries);
  const bool untraced = common.messages == 0 && common.untraced > 0;
  if (common.messages == 0 && !untraced) return started;
  started.around = Context::current();
  const Context ambient = started.around;
  if (ambient.suppressed || client.options().mode == ModuleMode::off) return started;

  const bool trusted = client.options().user.incoming_context == IncomingContext::continue_trace;
  const Context* creation = batch || !deliveries[0].creation.span.valid() ? nullptr : &deliveries[0].creation;
  started.current = true;
  started.around.baggage = batch ? agreed_baggage(client, deliveries, ambient.baggage)
                                 : messaging::overlaid(ambient.baggage, deliveries[0].creation.baggage);
  if (untraced || client.options().mode == ModuleMode::propagate) {
    if (creation != nullptr && trusted) started.around.span = creation->span;
    follow_decision(deliveries, started.around);
    return started;
  }
  if (thread == nullptr) return started;
  try {
    const Relation relation = client.options().user.relation;
    const bool continues =
        creation != nullptr && trusted &&
        (relation == Relation::parent || (relation == Relation::automatic && !ambient.span.valid()));
    const Topic& topic = client.topic(
        common.first != nullptr && common.topic ? topic_name(*common.first) : std::string_view(), thread);
    const PreparedSpan* prepared = client.prepared(topic, Operation::process);
    if (prepared == nullptr) return started;
    Context parent = started.around;
    if (continues) parent.span = creation->span;
    follow_decision(deliveries, parent);
    const FanIn fan_in =
        make_links(client, deliveries, common, thread->buffers, client.options().user.link_overflow);
    std::span<const Link> links = fan_in.links;
    if (continues && ambient.span.valid()) {
      thread->buffers.links.push_back({ambient.span});
      links = thread->buffers.links;
    }
    started.span = client.options().tracer.start(prepared->name, {.kind = SpanKind::consumer,
                                                                  .parent = &parent,
                                                                  .links = links,
                                                                  .attributes = prepared->attributes,
                                                                  .module_link_limit = true,
                                                                  .dropped_links = fan_in.dropped});
    started.topic = &topic;
    if (started.span.recording() && !fan_in.overflow.empty())
      chain_links(client, *prepared, topic, started, fan_in.overflow);
    release_large(thread->buffers);
    if (!started.span.recording()) return started;
    if (batch)
      started.span.set(semconv::messaging_batch_message_count, static_cast<std::int64_t>(common.messages));
    describe_common(client, common, started.span);
    if (!batch) describe_headers(client, *common.first, started.span);
    set_cluster(client, started.span);
    if (const Hook& hook = client.options().user.on_start) {
      run_receive_hook(hook, started.span, Operation::process, topic, deliveries);
    }
  } catch (...) {
    count(Counter::dropped_no_record);
  }
  return started;
}

void finish_process_span(const Client& client, const Topic& topic, Span& span) noexcept {
  if (!span.recording()) return;
  if (const Hook& hook = client.options().user.on_finish) {
    run_hook(hook, span, {Operation::process, topic.name(), {}});
  }
  span.end();
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
