#include <midtrace/trace/rate_limiting_sampler.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>

#include <midtrace/trace/instrumentation.h>

#include "../context/ot_member.h"
#include "ticks.h"

namespace midtrace {
inline namespace v1 {

namespace {

// Times are in sixteenths of a nanosecond since the sampler was made, which is fine enough for a high rate.
// The clock stops after 18 years; intervals reach to 4.5. So sums of a time and two intervals fit.
constexpr std::uint64_t units_per_nano = 16;
constexpr double units_per_second = 1e9 * units_per_nano;
constexpr std::uint64_t latest = 1ULL << 63U;
constexpr std::uint64_t longest = 1ULL << 61U;
// A thread may come late with the time that it read; a clock that seems to be back by more really is.
constexpr std::uint64_t lateness = 1000000000 * units_per_nano;
constexpr double highest_rate = 1e9;

double usable_rate(double rate) noexcept { return rate > 0 ? std::min(rate, highest_rate) : 0; }

std::uint32_t usable_burst(const RateLimitOptions& options) noexcept {
  if (options.burst != 0) return options.burst;
  return static_cast<std::uint32_t>(std::max(1.0, std::floor(usable_rate(options.traces_per_second))));
}

// The bucket is kept as the time at which it will be full again (the generic cell rate algorithm): a token
// moves that time by an interval, and it must not lie further ahead than a whole bucket takes to fill.
class RateLimitingSampler final : public Sampler {
 public:
  explicit RateLimitingSampler(RateLimitOptions options)
      : rate_(usable_rate(options.traces_per_second)),
        burst_(usable_burst(options)),
        clock_(std::move(options.clock)) {
    if (rate_ <= 0) return;
    const double interval = std::max(1.0, std::min(units_per_second / rate_, static_cast<double>(longest)));
    interval_ = static_cast<std::uint64_t>(std::llround(interval));
    const double whole = interval * burst_;
    capacity_ = whole >= static_cast<double>(longest)
                    ? std::max(longest, interval_)
                    : std::max(interval_, static_cast<std::uint64_t>(std::llround(whole)));
    start_ = nanos();
  }

  SamplerNeeds needs() const noexcept override { return {}; }
  SamplingResult sample(const SamplingInput& input) override {
    SamplingResult result{take() ? Decision::record_and_sample : Decision::drop};
    if (input.parent == nullptr) return result;
    // A parent that leaves the decision to us is no trace to tear apart.
    if (input.parent->valid() && !input.parent->flags.deferred() &&
        !warned_.exchange(true, std::memory_order_relaxed)) {
      report(Severity::warning, "sampler.rate_below_parent",
             "RateLimitingSampler decides for a span that has a parent, whatever was decided about that one; "
             "traces will come apart. Use it as the root of a parent-based sampler "
             "(OTEL_TRACES_SAMPLER=parentbased_rate_limiting).");
    }
    if (OtMember::of(input.parent->trace_state).has_threshold_text)
      result.trace_state = with_threshold(input.parent->trace_state, std::nullopt);
    return result;
  }
  std::string description() const override {
    char digits[40];
    const char* end = std::to_chars(digits, digits + sizeof(digits), rate_, std::chars_format::fixed, 6).ptr;
    return "RateLimitingSampler{" + std::string(static_cast<const char*>(digits), end) +
           ",burst=" + std::to_string(burst_) + "}";
  }

 private:
  std::uint64_t nanos() const noexcept {
    return clock_ != nullptr ? static_cast<std::uint64_t>(clock_->to_unix_nanos(clock_->now()))
                             : monotonic_nanos();
  }

  // A clock that stands before the sampler's beginning counts as standing there.
  std::uint64_t now() const noexcept {
    const auto since = static_cast<std::int64_t>(nanos() - start_);
    if (since <= 0) return 0;
    return std::min(static_cast<std::uint64_t>(since), latest / units_per_nano) * units_per_nano;
  }

  bool take() noexcept {
    if (rate_ <= 0) return false;
    const std::uint64_t time = now();
    std::uint64_t full_at = full_at_.load(std::memory_order_relaxed);
    while (true) {
      // Further ahead than an empty bucket: the clock went back, and the bucket counts as empty now.
      const bool clock_is_back = full_at > time + capacity_ + lateness;
      const std::uint64_t expected = clock_is_back ? time + capacity_ : std::max(full_at, time);
      const bool kept = expected + interval_ <= time + capacity_;
      if (!kept && !clock_is_back) return false;
      if (full_at_.compare_exchange_weak(full_at, kept ? expected + interval_ : expected,
                                         std::memory_order_relaxed))
        return kept;
    }
  }

  const double rate_;
  const std::uint32_t burst_;
  const std::shared_ptr<Clock> clock_;
  std::uint64_t interval_ = 0;  // between two tokens
  std::uint64_t capacity_ = 0;  // what a whole bucket takes to fill
  std::uint64_t start_ = 0;     // nanoseconds
  std::atomic<bool> warned_{false};
  alignas(64) std::atomic<std::uint64_t> full_at_{0};
};

}  // namespace

std::shared_ptr<Sampler> rate_limiting_sampler(RateLimitOptions options) {
  return std::make_shared<RateLimitingSampler>(std::move(options));
}

}  // namespace v1
}  // namespace midtrace
