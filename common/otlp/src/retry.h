// How long to wait before a request is sent again. pause_after() is pure; any thread. A Pauses belongs to
// one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

#include <midtrace/otlp/exporter.h>

#include "trace/random.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

// After so many attempts (at least 1). `random` is from 0 to 1, both ends possible. Senseless options give
// the nearest sensible pause.
inline std::chrono::milliseconds pause_after(const RetryOptions& retry, std::uint32_t attempts,
                                             double random) noexcept {
  const auto first = static_cast<double>(std::max<std::int64_t>(retry.first_pause.count(), 0));
  const auto longest = static_cast<double>(std::max<std::int64_t>(retry.longest_pause.count(), 0));
  if (first == 0) return std::chrono::milliseconds(0);  // also where infinity would be multiplied with it
  const double growth = retry.growth >= 1 ? retry.growth : 1;
  const double grown = std::min(first * std::pow(growth, attempts - 1), longest);
  constexpr double most = 1e9;  // days; beyond any deadline
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(grown * (0.8 + 0.4 * random), most)));
}

// Pauses with a random number of their own each, so that processes that failed together do not repeat
// together.
class Pauses {
 public:
  // The kernel's entropy; without it clock, process id and addresses (trace/random.h).
  Pauses() noexcept { random_.seed(reinterpret_cast<std::uintptr_t>(this)); }
  std::chrono::milliseconds after(const RetryOptions& retry, std::uint32_t attempts) noexcept {
    return pause_after(retry, attempts, static_cast<double>(random_.next() >> 11U) * 0x1p-53);
  }

 private:
  Random random_;
};

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
