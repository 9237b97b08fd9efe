// Ticks: the cheapest clock that can be trusted here, and what its ticks mean in Unix time.
//
// Processor ticks where the kernel itself uses them as its clock source (decided once), otherwise nanoseconds
// of CLOCK_MONOTONIC. Unix time is computed later, from anchors: pairs of (tick, CLOCK_REALTIME) that
// refresh_anchor() takes. Start and end of a span are converted with the same anchor, so a duration never
// goes negative. Any thread; nothing blocks.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace midtrace {
inline namespace v1 {

enum class TickSource : std::uint8_t { unknown, processor, monotonic };
extern constinit std::atomic<TickSource> tick_source;
TickSource detect_tick_source() noexcept;

inline std::uint64_t monotonic_nanos() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000000U + static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::uint64_t processor_ticks() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  std::uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return monotonic_nanos();
#endif
}

inline std::uint64_t read_ticks() noexcept {
  TickSource source = tick_source.load(std::memory_order_relaxed);
  if (source == TickSource::unknown) [[unlikely]]
    source = detect_tick_source();
  return source == TickSource::processor ? processor_ticks() : monotonic_nanos();
}

// Takes a new anchor when the last one is old or was taken too early to be precise.
void refresh_anchor() noexcept;
std::int64_t ticks_to_unix_nanos(std::uint64_t ticks) noexcept;

// Around a fork, so that a child never finds an anchor half written.
void calibration_before_fork() noexcept;
void calibration_after_fork() noexcept;

}  // namespace v1
}  // namespace midtrace
