#include <midtrace/testing/testing.h>

namespace midtrace {
inline namespace v1 {
namespace testing {

namespace {

constexpr std::int64_t beginning_unix_nanos = 1704067200LL * 1000000000LL;  // 2024-01-01T00:00:00Z
constexpr std::uint64_t beginning_tick = 1;                                 // 0 means "now" to a tracer

}  // namespace

std::uint64_t ManualClock::now() noexcept { return now_.load(std::memory_order_relaxed); }

std::int64_t ManualClock::to_unix_nanos(std::uint64_t tick) noexcept {
  return beginning_unix_nanos + static_cast<std::int64_t>(tick - beginning_tick);
}

void ManualClock::advance(std::chrono::nanoseconds by) noexcept {
  now_.fetch_add(static_cast<std::uint64_t>(by.count()), std::memory_order_relaxed);
}

TraceId SequentialIds::trace_id() noexcept {
  return {.high = 0, .low = traces_.fetch_add(1, std::memory_order_relaxed) + 1};
}

SpanId SequentialIds::span_id() noexcept {
  return {.value = spans_.fetch_add(1, std::memory_order_relaxed) + 1};
}

}  // namespace testing
}  // namespace v1
}  // namespace midtrace
