// Names of destinations on spans, and which of them are generated.
//
// A producer's destination is `{exchange}:{routing key}`, a consumer's `{exchange}:{routing key}:{queue}`,
// each without its empty parts, and with a routing key that is the queue's name only once; `amq.default` when
// all parts are empty. A name is anonymous when a part of it is generated: then no span name has it. The
// token of a direct reply-to key is a capability, and is cut off everywhere. A part that is no plain text is
// left out and makes the name anonymous; when nothing else is left, the name is empty and no attribute has
// it.
//
// Generated are names by the broker (amq.gen-, amq.ctag-, amq.rabbitmq.reply-to), UUIDs, hexadecimal and
// random tokens, runs of at least eight digits, and the two random parts at the end of a Kubernetes pod's
// name. What looks random is decided part by part, the parts being separated by anything but letters and
// digits; letters alone never look random. Nothing throws; any thread. Source: conventions 2.7.
#pragma once

#include <string>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

bool is_generated_name(std::string_view name) noexcept;

// The name of a queue or routing key as it may be shown: `amq.rabbitmq.reply-to` for a direct reply-to key,
// all others as they are. A view into `name`.
std::string_view without_reply_token(std::string_view name) noexcept;

struct DestinationName {
  std::string name;
  bool anonymous = false;
};

// Into a name that is used again, so that nothing is allocated in steady state. Without memory the name is
// empty, and anonymous.
void producer_destination(std::string_view exchange, std::string_view routing_key,
                          DestinationName& into) noexcept;
void consumer_destination(std::string_view exchange, std::string_view routing_key, std::string_view queue,
                          DestinationName& into) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
