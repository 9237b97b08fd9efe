// The rate limiting sampler: so many traces per second, whatever the traffic.
//
//   options.sampler = parent_based_sampler({.root = rate_limiting_sampler({.traces_per_second = 50})});
//
// A token bucket: it holds up to `burst` tokens, begins full, and gets `traces_per_second` of them each
// second; a span takes one or is dropped. It decides for the span at hand and ignores the parent, so it
// belongs at the root of a parent-based sampler (or into a rule); below a parent it tears traces apart, and
// warns of that once. What it keeps has no known probability, so it writes no `ot=th` and removes the
// parent's.
//
// Any thread; one atomic, no lock, memory that never grows. The clock is read once for each span it is asked
// about, never for others, and not at all when the rate is 0. A clock that goes back by more than a
// second empties the bucket, by less it stops it that long; one that leaps ahead fills it, no more. After a
// fork each process has a bucket of its own, as full as the parent's was.
#pragma once

#include <cstdint>
#include <memory>

#include <midtrace/trace/clock.h>
#include <midtrace/trace/sampler.h>

namespace midtrace {
inline namespace v1 {

struct RateLimitOptions {
  double traces_per_second = 100;          // 0, a negative one or NaN: nothing is kept; above 1e9: as 1e9
  std::uint32_t burst = 0;                 // 0: as many as in one second, at least 1
  std::shared_ptr<Clock> clock = nullptr;  // null: the system's monotonic one
};

std::shared_ptr<Sampler> rate_limiting_sampler(RateLimitOptions options);

}  // namespace v1
}  // namespace midtrace
