// The current context, kept where the application's own code keeps it: in opentelemetry-cpp's RuntimeContext.
//
// attach() pushes a Context there that derives from the thread's current one, so that the application's own
// entries stay, with our span, our baggage and a marker in it. The marker is an entry of our own that carries
// the same in midtrace's form (and suppression, for which the API has no entry): read() takes from it what
// the application has not changed since, without converting.
//
// opentelemetry-cpp pops everything above a context that is detached. Ours is therefore detached only when it
// is on top; one that ends out of order, or on another thread, waits in a bounded list until it is on top at
// its thread's next look, or the thread's stack is empty. Both are counted and reported. Any thread; nothing
// throws. Source: OpenTelemetry Context API.
#pragma once

#include <cstdint>

#include <midtrace/context/context.h>
#include <midtrace/trace/backend.h>

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

// This thread's current context.
Context read_current() noexcept;
SpanContext read_current_span() noexcept;
CurrentRecord read_current_record() noexcept;

// `span` is the one that `context` names, or null when there is only a context; then the application's
// current span stays where it is that one. `record` is what current_span() may annotate, or null.
ActivationToken attach(const Context& context,
                       const opentelemetry::nostd::shared_ptr<opentelemetry::trace::Span>& span,
                       SpanRecord* record) noexcept;
void detach(const ActivationToken& token) noexcept;

// Around a fork, so that the child finds the list whole.
void hold_activations() noexcept;
void release_activations() noexcept;

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
