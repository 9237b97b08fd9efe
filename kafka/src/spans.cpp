#include "spans.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <memory>
#include <utility>

#include "error_names.h"
#include "text.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

constexpr StaticString operation_names[] = {"send", "poll", "process"};
constexpr StaticString operation_types[] = {"send", "receive", "process"};
constexpr StaticString old_operations[] = {"publish", "receive", "process"};
constexpr std::size_t max_key_bytes = 1024;
// Buffers that a huge batch has blown up are not kept.
constexpr std::size_t max_kept_links = 16384;

void run_hook(const Hook& hook, Span& span, const Call& call) noexcept {
  try {
    hook(span, call);
  } catch (...) {
    count(Counter::hook_failures);
    report(Severity::warning, "kafka.hook",
           "A Kafka hook threw an exception, which was swallowed; the span goes on.");
  }
}

std::string_view key_text(const rd_kafka_message_t& message) noexcept {
  return {static_cast<const char*>(message.key), message.key_len};
}

bool captures_key(const Client& client, const rd_kafka_message_t& message) noexcept {
  return client.options().user.capture_message_key && message.key != nullptr &&
         message.key_len <= max_key_bytes && is_plain_text(key_text(message));
}

std::string_view partition_text(std::int32_t partition, std::array<char, 12>& buffer) noexcept {
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), partition);
  return {buffer.data(), static_cast<std::size_t>(result.ptr - buffer.data())};
}

// Calls `set(key, value)` for everything that describes one message beside its topic.
template <class Set>
void describe_partition(const Client& client, std::int32_t partition, std::array<char, 12>& buffer,
                        const Set& set) {
  if (partition < 0) return;
  set(semconv::messaging_destination_partition_id, partition_text(partition, buffer));
  if (client.options().old_names) {
    set(semconv::deprecated_messaging_kafka_destination_partition, partition);
  }
}

template <class Set>
void describe_offset(const Client& client, std::int64_t offset, const Set& set) {
  if (offset < 0) return;
  set(semconv::messaging_kafka_offset, offset);
  if (client.options().old_names) {
    set(semconv::deprecated_messaging_kafka_message_offset, offset);
  }
}

template <class Set>
void describe_key(const Client& client, const rd_kafka_message_t& message, const Set& set) {
  if (captures_key(client, message)) set(semconv::messaging_kafka_message_key, key_text(message));
}

template <class Set>
void describe_body(const Client& client, const rd_kafka_message_t& message, const Set& set) {
  if (client.options().user.capture_body_size) set(semconv::messaging_message_body_size, message.len);
}

template <class Set>
void describe_tombstone(const rd_kafka_message_t& message, const Set& set) {
  if (message.payload == nullptr) set(semconv::messaging_kafka_message_tombstone, true);
}

struct OnSpan {
  Span& span;
  template <class Type, class Value>
  void operator()(const AttributeKey<Type>& key, Value value) const {
    span.set(key, static_cast<Type>(value));
  }
};

struct OnLink {
  std::vector<Attribute>& attributes;
  template <class Type, class Value>
  void operator()(const AttributeKey<Type>& key, Value value) const {
    attributes.push_back({key, static_cast<Type>(value)});
  }
};

void set_cluster(const Client& client, Span& span) noexcept {
  if (const std::string_view cluster = client.cluster_id(); !cluster.empty()) {
    span.set(semconv::messaging_kafka_cluster_id, cluster);
  }
}

bool is_message(const Delivery& delivery) noexcept {
  return delivery.message != nullptr && delivery.message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

std::string_view topic_name(const rd_kafka_message_t& message) noexcept {
  return message.rkt != nullptr ? std::string_view(rd_kafka_topic_name(message.rkt)) : std::string_view();
}

// What the messages of one call have in common: it goes on the span, the rest on their links.
struct InCommon {
  std::size_t messages = 0;
  std::size_t contexts = 0;
  const rd_kafka_message_t* first = nullptr;
  bool topic = true;
  bool partition = true;
  bool key = true;
  bool tombstone = true;
};

bool same_topic(const rd_kafka_message_t& a, const rd_kafka_message_t& b) noexcept {
  return a.rkt == b.rkt || topic_name(a) == topic_name(b);
}

InCommon find_common(std::span<const Delivery> deliveries) noexcept {
  InCommon common;
  for (const Delivery& delivery : deliveries) {
    if (!is_message(delivery)) continue;
    const rd_kafka_message_t& message = *delivery.message;
    ++common.messages;
    if (delivery.creation.span.valid()) ++common.contexts;
    if (common.first == nullptr) {
      common.first = &message;
      continue;
    }
    const rd_kafka_message_t& first = *common.first;
    common.topic = common.topic && same_topic(first, message);
    common.partition = common.partition && message.partition == first.partition;
    common.key = common.key && (message.key == nullptr) == (first.key == nullptr) &&
                 key_text(message) == key_text(first);
    common.tombstone = common.tombstone && (message.payload == nullptr) == (first.payload == nullptr);
  }
  common.partition = common.partition && common.topic;
  return common;
}

// What all messages share. With one message that is everything.
void describe_common(const Client& client, const InCommon& common, Span& span) noexcept {
  if (common.first == nullptr) return;
  const OnSpan set{span};
  std::array<char, 12> buffer;
  if (common.partition) describe_partition(client, common.first->partition, buffer, set);
  if (common.key) describe_key(client, *common.first, set);
  if (common.tombstone) describe_tombstone(*common.first, set);
  if (common.messages == 1) {
    describe_offset(client, common.first->offset, set);
    describe_body(client, *common.first, set);
  }
}

// One link for each message that carried a context, with what its message does not share with the others.
std::span<const Link> make_links(const Client& client, std::span<const Delivery> deliveries,
                                 const InCommon& common, LinkBuffers& buffers) {
  constexpr std::size_t attributes_per_link = 8;
  buffers.links.clear();
  buffers.attributes.clear();
  buffers.partitions.clear();
  buffers.links.reserve(common.contexts + 1);
  if (common.messages > 1) {
    buffers.attributes.reserve(common.contexts * attributes_per_link);  // views into it must stay valid
    buffers.partitions.reserve(common.contexts);
  }
  for (const Delivery& delivery : deliveries) {
    if (!is_message(delivery) || !delivery.creation.span.valid()) continue;
    const std::size_t begin = buffers.attributes.size();
    if (common.messages > 1) {
      const rd_kafka_message_t& message = *delivery.message;
      const OnLink set{buffers.attributes};
      if (!common.topic) set(semconv::messaging_destination_name, topic_name(message));
      if (!common.partition) {
        buffers.partitions.emplace_back();
        describe_partition(client, message.partition, buffers.partitions.back(), set);
      }
      describe_offset(client, message.offset, set);
      if (!common.key) describe_key(client, message, set);
      if (!common.tombstone) describe_tombstone(message, set);
      describe_body(client, message, set);
    }
    buffers.links.push_back(
        {delivery.creation.span,
         std::span<const Attribute>(buffers.attributes.data() + begin, buffers.attributes.size() - begin)});
  }
  return buffers.links;
}

void release_large(LinkBuffers& buffers) noexcept {
  if (buffers.links.capacity() > max_kept_links) buffers = LinkBuffers();
}

// Gives a hook the library's own messages. Only when there is a hook.
void run_receive_hook(const Hook& hook, Span& span, Operation operation, const Topic& topic,
                      std::span<const Delivery> deliveries) noexcept {
  try {
    std::vector<const rd_kafka_message_t*> messages;
    messages.reserve(deliveries.size());
    for (const Delivery& delivery : deliveries) {
      if (is_message(delivery)) messages.push_back(delivery.message);
    }
    run_hook(hook, span, {operation, topic.name(), messages});
  } catch (...) {
    count(Counter::hook_failures);
  }
}

void describe_sent(const Client& client, const rd_kafka_message_t& message, rd_kafka_resp_err_t error,
                   Span& span) noexcept {
  const OnSpan set{span};
  std::array<char, 12> buffer;
  describe_partition(client, message.partition, buffer, set);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) describe_offset(client, message.offset, set);
  describe_key(client, message, set);
  describe_tombstone(message, set);
  describe_body(client, message, set);
  set_cluster(client, span);
}

Span resume_send(const Client& client, OpenSend& send, const PreparedSpan& prepared) noexcept {
  if (send.rare != nullptr && send.rare->has_span) return std::move(send.rare->started);
  Link link;
  StartOptions options{.kind = send.kind, .attributes = prepared.attributes};
  if (send.rare != nullptr) {
    link.context = send.rare->linked;
    options.links = {&link, 1};
  }
  return client.options().tracer.resume(std::move(send.pending), prepared.name, options);
}

Baggage overlaid(const Baggage& below, const Baggage& above) noexcept {
  if (below.empty()) return above;
  Baggage result = below;
  above.for_each([&result](const Baggage::Member& member) {
    result = result.with(member.name, member.value, member.metadata);
  });
  return result;
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

}  // namespace

PreparedSpan prepare_span(const Client& client, const Topic& topic, Operation operation) {
  const auto index = static_cast<std::size_t>(operation);
  const bool consumes = operation != Operation::send;
  PreparedSpan prepared;
  prepared.name = operation_names[index].text();
  if (!topic.name().empty()) prepared.name.append(" ").append(topic.name());

  std::vector<Attribute>& attributes = prepared.attributes;
  attributes.push_back({semconv::messaging_system, StaticString("kafka")});
  attributes.push_back({semconv::messaging_operation_name, operation_names[index]});
  attributes.push_back({semconv::messaging_operation_type, operation_types[index]});
  if (!topic.name().empty()) attributes.push_back({semconv::messaging_destination_name, topic.name()});
  if (!client.client_id().empty()) attributes.push_back({semconv::messaging_client_id, client.client_id()});
  if (consumes && !client.group().empty()) {
    attributes.push_back({semconv::messaging_consumer_group_name, client.group()});
  }
  if (!client.server().host.empty()) {
    attributes.push_back({semconv::server_address, client.server().host});
    attributes.push_back({semconv::server_port, client.server().port});
  }
  if (client.options().old_names) {
    attributes.push_back({semconv::deprecated_messaging_operation, old_operations[index]});
    if (!client.client_id().empty()) {
      attributes.push_back({semconv::deprecated_messaging_client_id, client.client_id()});
    }
    if (consumes && !client.group().empty()) {
      attributes.push_back({semconv::deprecated_messaging_kafka_consumer_group, client.group()});
    }
  }
  return prepared;
}

bool tracing(const Client& client, const Context& ambient) noexcept {
  return client.options().mode == ModuleMode::on && !ambient.suppressed;
}

Baggage allowed_baggage(const Client& client, Baggage baggage) noexcept {
  const auto& keys = client.options().user.baggage_keys;
  if (!keys.has_value() || baggage.empty()) return baggage;
  return baggage.only(
      [&](std::string_view name) { return std::find(keys->begin(), keys->end(), name) != keys->end(); });
}

PendingSpan start_send(const Client& client, const SendStart& start,
                       std::unique_ptr<RareSendState>& rare) noexcept {
  const PreparedSpan* prepared = client.prepared(*start.topic, Operation::send);
  if (prepared == nullptr) return {};
  const Tracer& tracer = client.options().tracer;
  StartOptions options{.kind = start.kind,
                       .parent = start.parent,
                       .attributes = prepared->attributes,
                       .start_tick = start.start_tick};
  const Hook& hook = client.options().user.on_start;
  if (!hook && start.linked == nullptr) [[likely]]
    return tracer.start_pending(prepared->name, options);

  try {
    rare = std::make_unique<RareSendState>();
  } catch (...) {
    return {};
  }
  Link link;
  if (start.linked != nullptr) {
    rare->linked = *start.linked;
    link.context = *start.linked;
    options.links = {&link, 1};
  }
  if (!hook) return tracer.start_pending(prepared->name, options);
  rare->has_span = true;
  rare->started = tracer.start(prepared->name, options);
  if (rare->started.recording()) {
    run_hook(hook, rare->started, {Operation::send, start.topic->name(), {&start.message, 1}});
  }
  return {};
}

void finish_send(const Client& client, OpenSend&& send, const rd_kafka_message_t* message,
                 rd_kafka_resp_err_t error) noexcept {
  const PreparedSpan* prepared = client.prepared(*send.topic, Operation::send);
  if (prepared == nullptr) return;
  Span span = resume_send(client, send, *prepared);
  if (!span.recording()) return;
  if (message != nullptr) describe_sent(client, *message, error, span);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) span.set_error(error_name(error));
  if (const Hook& hook = client.options().user.on_finish) {
    run_hook(hook, span, {Operation::send, send.topic->name(), {&message, message != nullptr ? 1U : 0U}});
  }
  span.end();
}

void abandon_send(const Client& client, OpenSend&& send) noexcept {
  count(Counter::operations_lost);
  const PreparedSpan* prepared = client.prepared(*send.topic, Operation::send);
  if (prepared == nullptr) return;
  Span span = resume_send(client, send, *prepared);
  span.set_error("_OTHER", "no delivery report");
  span.end();
}

void record_poll(const Client& client, std::span<const Delivery> deliveries, bool batch,
                 std::uint64_t start_tick, ThreadState* thread) noexcept {
  const Context ambient = Context::current();
  if (!tracing(client, ambient) || thread == nullptr) return;
  const InCommon common = find_common(deliveries);
  if (common.messages == 0 && !client.options().user.empty_polls) return;
  try {
    const Topic& topic = client.topic(
        common.first != nullptr && common.topic ? topic_name(*common.first) : std::string_view(), thread);
    const PreparedSpan* prepared = client.prepared(topic, Operation::poll);
    if (prepared == nullptr) return;
    Context parent = ambient;
    follow_decision(deliveries, parent);
    Span span = client.options().tracer.start(
        prepared->name, {.kind = SpanKind::client,
                         .parent = &parent,
                         .links = make_links(client, deliveries, common, thread->buffers),
                         .attributes = prepared->attributes,
                         .start_tick = start_tick,
                         .module_link_limit = true});
    release_large(thread->buffers);
    if (!span.recording()) return;
    if (batch) span.set(semconv::messaging_batch_message_count, static_cast<std::int64_t>(common.messages));
    describe_common(client, common, span);
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
  if (common.messages == 0 && !batch) return started;
  started.around = Context::current();
  const Context ambient = started.around;
  if (ambient.suppressed || client.options().mode == ModuleMode::off) return started;

  const bool trusted = client.options().user.incoming_context == IncomingContext::continue_trace;
  const Context* creation = batch || !deliveries[0].creation.span.valid() ? nullptr : &deliveries[0].creation;
  started.current = true;
  started.around.baggage = batch ? agreed_baggage(client, deliveries, ambient.baggage)
                                 : overlaid(ambient.baggage, deliveries[0].creation.baggage);
  if (client.options().mode == ModuleMode::propagate) {
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
    std::span<const Link> links = make_links(client, deliveries, common, thread->buffers);
    if (continues && ambient.span.valid()) {
      thread->buffers.links.push_back({ambient.span});
      links = thread->buffers.links;
    }
    started.span = client.options().tracer.start(prepared->name, {.kind = SpanKind::consumer,
                                                                  .parent = &parent,
                                                                  .links = links,
                                                                  .attributes = prepared->attributes,
                                                                  .module_link_limit = true});
    release_large(thread->buffers);
    started.topic = &topic;
    if (!started.span.recording()) return started;
    if (batch)
      started.span.set(semconv::messaging_batch_message_count, static_cast<std::int64_t>(common.messages));
    describe_common(client, common, started.span);
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
