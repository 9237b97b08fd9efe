#include "send_spans.h"

#include <array>
#include <utility>

#include "batch_send.h"
#include "captured_headers.h"
#include "describe.h"
#include "error_names.h"
#include "spans.h"

#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

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

}  // namespace

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
  // Only now may the headers be read: a delivery report may not ask librdkafka.
  const bool captures = !client.options().user.captured_headers.empty();
  if (!hook && !captures && start.linked == nullptr) [[likely]]
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
  if (!hook && !captures) return tracer.start_pending(prepared->name, options);
  rare->has_span = true;
  rare->started = tracer.start(prepared->name, options);
  if (captures) describe_headers(client, *start.message, rare->started);
  if (hook && rare->started.recording()) {
    run_hook(hook, rare->started, {Operation::send, start.topic->name(), {&start.message, 1}});
  }
  return {};
}

void finish_send(const Client& client, OpenSend&& send, const rd_kafka_message_t* message,
                 rd_kafka_resp_err_t error) noexcept {
  if (send.rare != nullptr && send.rare->batch != nullptr) return send.rare->batch->done(client, error);
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
  if (send.rare != nullptr && send.rare->batch != nullptr) {
    return send.rare->batch->done(client, RD_KAFKA_RESP_ERR__FAIL);
  }
  const PreparedSpan* prepared = client.prepared(*send.topic, Operation::send);
  if (prepared == nullptr) return;
  Span span = resume_send(client, send, *prepared);
  span.set_error("_OTHER", "no delivery report");
  span.end();
}

CreatedContext record_create(const Client& client, const Topic& topic, const rd_kafka_message_t* message,
                             const Context& parent) noexcept {
  const PreparedSpan* prepared = client.prepared(topic, Operation::create);
  if (prepared == nullptr) return {};
  Span span = client.options().tracer.start(
      prepared->name, {.kind = SpanKind::producer, .parent = &parent, .attributes = prepared->attributes});
  const SpanContext context = span.context();
  if (!span.recording()) return {context, false};
  const OnSpan set{span};
  std::array<char, 12> buffer;
  describe_partition(client, message->partition, buffer, set);
  describe_key(client, *message, set);
  describe_tombstone(*message, set);
  describe_body(client, *message, set);
  describe_headers(client, *message, span);
  const Call call{Operation::create, topic.name(), {&message, 1}};
  if (const Hook& hook = client.options().user.on_start) run_hook(hook, span, call);
  if (const Hook& hook = client.options().user.on_finish) run_hook(hook, span, call);
  span.end();
  return {context, true};
}

Span start_batch_send(const Client& client, const Topic& topic, const Context& parent,
                      const BatchSendStart& start) noexcept {
  const PreparedSpan* prepared = client.prepared(topic, Operation::send);
  if (prepared == nullptr) return {};
  Span span = client.options().tracer.start(prepared->name, {.kind = SpanKind::client,
                                                             .parent = &parent,
                                                             .links = start.created,
                                                             .attributes = prepared->attributes,
                                                             .start_tick = start.start_tick,
                                                             .module_link_limit = true});
  if (!span.recording()) return span;
  span.set(semconv::messaging_batch_message_count, static_cast<std::int64_t>(start.messages));
  std::array<char, 12> buffer;
  describe_partition(client, start.partition, buffer, OnSpan{span});
  set_cluster(client, span);
  if (const Hook& hook = client.options().user.on_start) {
    run_hook(hook, span, {Operation::send, topic.name(), {}});
  }
  return span;
}

void finish_batch_send(const Client& client, const Topic& topic, Span& span,
                       rd_kafka_resp_err_t error) noexcept {
  if (!span.recording()) return;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) span.set_error(error_name(error));
  if (const Hook& hook = client.options().user.on_finish) {
    run_hook(hook, span, {Operation::send, topic.name(), {}});
  }
  span.end();
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
