// What all spans of this module go through: the mode and suppression, hooks, and the attributes that describe
// one message.
//
// With publish.h, receive.h, settle.h and process.cpp it is the choke point: spans start and end there, and
// nowhere else. Nothing throws except OnLink, for lack of memory; any thread. Source: OpenTelemetry messaging
// conventions (spans, RabbitMQ); conventions 2.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "endpoint.h"

#include <midtrace/amqp/options.h>
#include <midtrace/context/context.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// Whether spans are made on this connection under this context.
inline bool tracing(const Endpoint& endpoint, const Context& ambient) noexcept {
  return endpoint.tracing() && !ambient.suppressed;
}

// Calls a hook that is set; what it throws is swallowed and counted.
void run_hook(const Hook& hook, Span& span, const Call& call) noexcept;
inline void run_start_hook(const Endpoint& endpoint, Span& span, const Call& call) noexcept {
  if (const Hook& hook = endpoint.options().user.on_start; hook && span.recording())
    run_hook(hook, span, call);
}
// Runs the hook and ends the span.
void finish_span(const Endpoint& endpoint, Span& span, const Call& call) noexcept;

// Longer ids are left out.
inline constexpr std::size_t max_id_bytes = 256;

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

// messaging.message.id and messaging.message.conversation_id, where they are text. Empty views otherwise.
struct MessageIds {
  std::string_view id;
  std::string_view conversation;
};
MessageIds ids_of(const amqp_basic_properties_t* properties) noexcept;

// Those that Options::captured_headers names.
void describe_headers(const Endpoint& endpoint, const amqp_basic_properties_t* properties,
                      Span& span) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
