// Flushing a provider, which is the SDK's business and not the API's. The one place that knows the SDK; where
// it is not installed, or has no run-time type information, nothing can be flushed.
#pragma once

#include <chrono>

#include <opentelemetry/trace/tracer_provider.h>

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

// True for a provider that is not the SDK's: nothing is known to wait for. Any thread; blocks.
bool flush_provider(opentelemetry::trace::TracerProvider& provider,
                    std::chrono::milliseconds timeout) noexcept;

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
