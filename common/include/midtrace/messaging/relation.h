// How spans of messaging modules refer to messages: options that each module has, as values that mean the
// same in all of them. Source: OpenTelemetry messaging conventions (links).
#pragma once

#include <cstdint>

namespace midtrace {
inline namespace v1 {
namespace messaging {

// How a process span refers to the message it handles.
enum class Relation : std::uint8_t {
  // One message and no current span: the message's context is parent and link, so that one order is one
  // trace. With a current span, and for batches: links only.
  automatic,
  link,    // always links only
  parent,  // one message: its context is always the parent; a current span is linked. Batches: links only
};

// What becomes of a trace context that outgoing headers already hold.
enum class ExistingContext : std::uint8_t {
  // The application's own context stays. One that was received, and so came along with forwarded headers, is
  // replaced.
  automatic,
  keep,
  replace,
};

// What becomes of the links of a batch's process span that are beyond SpanLimits::module_link_count.
enum class LinkOverflow : std::uint8_t {
  drop,   // they are counted on the span
  chain,  // they go on spans `process <destination>` of kind INTERNAL and of no length, children of the
          // process span
};

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
