// A context as one piece of text, for places without headers: a column of a database, a file, a payload.
//
// The text is `traceparent: <value>`, then `tracestate: <value>` and `baggage: <value>` where there are any,
// one line each and without a newline at the end; empty for a context that has none of them. The format is
// W3C's whatever OTEL_PROPAGATORS says, because what is stored outlives settings. Reading also takes a bare
// traceparent, ignores other lines, and judges values as the W3C propagators do: what is malformed counts as
// absent and is counted. A context that was read is remote.
//
// Nothing throws: without memory the text is empty. Any thread. Source: W3C Trace Context, W3C Baggage.
#pragma once

#include <string>
#include <string_view>

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {

std::string context_to_text(const Context& context = Context::current()) noexcept;
Context context_from_text(std::string_view text) noexcept;

}  // namespace v1
}  // namespace midtrace
