#include "channel_call.h"

#include <string>
#include <vector>

#include "error_names.h"
#include "names.h"
#include "spans.h"
#include "table.h"

#include "messaging/text.h"

#include <midtrace/context/context.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

Span start_channel_span(const Session& session, std::string_view method, std::string_view name) noexcept {
  const Endpoint& endpoint = session.endpoint();
  const Context ambient = Context::current();
  if (!session.options().user.channel_spans || !tracing(endpoint, ambient)) return {};
  try {
    const std::string_view shown =
        messaging::is_plain_text(name) ? without_reply_token(name) : std::string_view();
    std::string span_name(method);
    if (!shown.empty() && !is_generated_name(shown)) span_name.append(" ").append(shown);
    std::vector<Attribute> attributes;
    attributes.push_back({semconv::messaging_system, StaticString("rabbitmq")});
    attributes.push_back({semconv::messaging_operation_name, method});
    if (!shown.empty()) attributes.push_back({semconv::messaging_destination_name, shown});
    endpoint.add_common(attributes, true);
    Span span = endpoint.options().tracer.start(
        span_name, {.kind = SpanKind::client, .parent = &ambient, .attributes = attributes});
    run_start_hook(endpoint, span, {Operation::channel, shown});
    return span;
  } catch (...) {
    count(Counter::dropped_no_record);
    return {};
  }
}

ChannelCall::ChannelCall(Session* session, amqp_channel_t channel, std::string_view method,
                         amqp_bytes_t name) noexcept
    : session_(session), channel_(channel) {
  if (session == nullptr) return;
  session->before_call();
  span_ = start_channel_span(*session, method, text_of(name));
}

ChannelCall::ChannelCall(Session* session, amqp_channel_t channel, Operation operation) noexcept
    : session_(session), channel_(channel), operation_(operation) {
  if (session == nullptr) return;
  session->before_call();
  const Endpoint& endpoint = session->endpoint();
  const Context ambient = Context::current();
  const PreparedSpan* prepared = endpoint.prepared(endpoint.nameless(), operation);
  if (!tracing(endpoint, ambient) || prepared == nullptr) return;
  span_ = endpoint.options().tracer.start(
      prepared->name, {.kind = SpanKind::client, .parent = &ambient, .attributes = prepared->attributes});
  run_start_hook(endpoint, span_, {operation, {}});
}

ChannelCall::~ChannelCall() {
  if (session_ != nullptr) finish_span(session_->endpoint(), span_, {operation_, {}});
}

amqp_rpc_reply_t ChannelCall::answered(amqp_rpc_reply_t reply) noexcept {
  if (session_ == nullptr || reply.reply_type == AMQP_RESPONSE_NORMAL) return reply;
  span_.set_error(error_name(reply));
  session_->learn(channel_, reply);
  return reply;
}

void ChannelCall::failed() noexcept {
  if (session_ != nullptr) answered(amqp_get_rpc_reply(session_->state()));
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
