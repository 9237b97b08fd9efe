#include "flush.h"

#include <algorithm>

#if defined(MIDTRACE_OTEL_BRIDGE_SDK) && defined(__GXX_RTTI)
#include <opentelemetry/sdk/trace/tracer_provider.h>
#endif

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

bool flush_provider([[maybe_unused]] opentelemetry::trace::TracerProvider& provider,
                    [[maybe_unused]] std::chrono::milliseconds timeout) noexcept {
#if defined(MIDTRACE_OTEL_BRIDGE_SDK) && defined(__GXX_RTTI)
  auto* sdk = dynamic_cast<opentelemetry::sdk::trace::TracerProvider*>(&provider);
  // The SDK adds its timeouts to the time of day.
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24);
  if (sdk != nullptr) return sdk->ForceFlush(std::clamp(timeout, std::chrono::milliseconds(0), longest));
#endif
  return true;
}

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
