#include "ticks.h"

#include <cstdio>
#include <cstring>
#include <mutex>

#include "spin_lock.h"

namespace midtrace {
inline namespace v1 {

constinit std::atomic<TickSource> tick_source{TickSource::unknown};

namespace {

std::int64_t realtime_nanos() noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

// A moment on all three clocks, read as closely together as can be had.
struct Moment {
  std::uint64_t ticks = 0;
  std::uint64_t monotonic = 0;
  std::int64_t unix_nanos = 0;
};

Moment now() noexcept {
  Moment best;
  std::uint64_t least = ~0ULL;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const std::uint64_t before = processor_ticks();
    const std::uint64_t monotonic = monotonic_nanos();
    const std::int64_t unix_nanos = realtime_nanos();
    const std::uint64_t after = processor_ticks();
    if (after - before < least) {
      least = after - before;
      best = {before + (after - before) / 2, monotonic, unix_nanos};
    }
  }
  return best;
}

struct Calibration {
  SpinLock writer;
  Moment first;
  Moment anchor;
  // Readers see a consistent pair through the sequence number (odd while it is written).
  std::atomic<std::uint32_t> sequence{0};
  std::atomic<std::uint64_t> anchor_ticks{0};
  std::atomic<std::int64_t> anchor_unix{0};
  std::atomic<double> nanos_per_tick{0.0};
};
constinit Calibration calibration;

void publish(const Moment& anchor, double nanos_per_tick) noexcept {
  const std::uint32_t sequence = calibration.sequence.load(std::memory_order_relaxed);
  calibration.sequence.store(sequence + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  calibration.anchor_ticks.store(anchor.ticks, std::memory_order_relaxed);
  calibration.anchor_unix.store(anchor.unix_nanos, std::memory_order_relaxed);
  calibration.nanos_per_tick.store(nanos_per_tick, std::memory_order_relaxed);
  calibration.sequence.store(sequence + 2, std::memory_order_release);
}

}  // namespace

TickSource detect_tick_source() noexcept {
  TickSource source = TickSource::monotonic;
#if defined(__x86_64__) || defined(__aarch64__)
  if (std::FILE* file =
          std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re")) {
    char name[32] = {};
    if (std::fgets(name, sizeof(name), file) != nullptr &&
        (std::strcmp(name, "tsc\n") == 0 || std::strcmp(name, "arch_sys_counter\n") == 0)) {
      source = TickSource::processor;
    }
    std::fclose(file);
  }
#endif
  TickSource unknown = TickSource::unknown;
  if (!tick_source.compare_exchange_strong(unknown, source)) return unknown;
  refresh_anchor();
  return source;
}

void refresh_anchor() noexcept {
  // A new anchor once a second; more often at the beginning, while a longer baseline still makes the rate
  // better.
  constexpr std::uint64_t settled_nanos = 1000000000;
  if (!calibration.writer.try_lock()) return;
  std::lock_guard guard(calibration.writer, std::adopt_lock);
  const bool settled = calibration.anchor.monotonic - calibration.first.monotonic > settled_nanos;
  if (settled) {  // by the rate as it is, to spare the system's clocks
    const auto since = static_cast<double>(read_ticks() - calibration.anchor.ticks);
    if (since * calibration.nanos_per_tick.load(std::memory_order_relaxed) < settled_nanos) return;
  }
  Moment moment = now();
  if (tick_source.load(std::memory_order_relaxed) == TickSource::monotonic) moment.ticks = moment.monotonic;
  if (calibration.first.monotonic == 0) calibration.first = calibration.anchor = moment;
  if (tick_source.load(std::memory_order_relaxed) == TickSource::monotonic) {
    publish(moment, 1.0);
  } else {
    const auto nanos = static_cast<double>(moment.monotonic - calibration.first.monotonic);
    const auto ticks = static_cast<double>(moment.ticks - calibration.first.ticks);
    publish(moment, ticks > 0 ? nanos / ticks : 1.0);
  }
  calibration.anchor = moment;
}

void calibration_before_fork() noexcept { calibration.writer.lock(); }
void calibration_after_fork() noexcept { calibration.writer.unlock(); }

std::int64_t ticks_to_unix_nanos(std::uint64_t ticks) noexcept {
  if (tick_source.load(std::memory_order_relaxed) == TickSource::unknown) detect_tick_source();
  for (;;) {
    const std::uint32_t sequence = calibration.sequence.load(std::memory_order_acquire);
    const std::uint64_t anchor_ticks = calibration.anchor_ticks.load(std::memory_order_relaxed);
    const std::int64_t anchor_unix = calibration.anchor_unix.load(std::memory_order_relaxed);
    const double rate = calibration.nanos_per_tick.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (sequence != 0 && sequence % 2 == 0 &&
        calibration.sequence.load(std::memory_order_relaxed) == sequence) {
      const auto distance = static_cast<double>(static_cast<std::int64_t>(ticks - anchor_ticks));
      return anchor_unix + static_cast<std::int64_t>(distance * rate);
    }
  }
}

}  // namespace v1
}  // namespace midtrace
