// The rate limiting sampler: how many it keeps when, by a clock that the test moves.
#include <midtrace/trace/rate_limiting_sampler.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

using namespace std::chrono_literals;

// Goes where it is told, also back, and counts how often it is asked.
class FreeClock final : public Clock {
 public:
  std::uint64_t now() noexcept override {
    ++asked;
    return at.load();
  }
  std::int64_t to_unix_nanos(std::uint64_t tick) noexcept override { return static_cast<std::int64_t>(tick); }
  void move(std::chrono::nanoseconds by) { at.fetch_add(static_cast<std::uint64_t>(by.count())); }

  std::atomic<std::uint64_t> at{1000000000000000};
  std::atomic<int> asked{0};
};

int kept_of(Sampler& sampler, int spans) {
  int kept = 0;
  for (int i = 0; i < spans; ++i)
    kept +=
        sampler.sample({nullptr, {1, 2}, "", SpanKind::internal, {}, {}}).decision != Decision::drop ? 1 : 0;
  return kept;
}

TEST(RateLimitingSampler, begins_with_a_full_bucket_and_refills_it_at_its_rate) {
  const auto clock = std::make_shared<FreeClock>();
  const auto sampler = rate_limiting_sampler({.traces_per_second = 10, .burst = 5, .clock = clock});
  EXPECT_EQ(kept_of(*sampler, 100), 5);
  clock->move(99ms);
  EXPECT_EQ(kept_of(*sampler, 100), 0);
  clock->move(1ms);
  EXPECT_EQ(kept_of(*sampler, 100), 1);
  clock->move(350ms);
  EXPECT_EQ(kept_of(*sampler, 100), 3) << "the half token stays in the bucket";
  clock->move(50ms);
  EXPECT_EQ(kept_of(*sampler, 100), 1);
  clock->move(1h);
  EXPECT_EQ(kept_of(*sampler, 100), 5) << "no more than the burst";
}

TEST(RateLimitingSampler, keeps_its_rate_over_a_long_time) {
  const struct {
    double rate;
    std::chrono::nanoseconds step;
    int steps;
    int expected;
  } rows[] = {
      {100, 1ms, 60000, 6000},     {3, 10ms, 100000, 3000},   {0.5, 100ms, 10000, 500},
      {1e6, 100ns, 100000, 10000}, {3e8, 1ns, 100000, 30000}, {1.0 / 3600, 1min, 6000, 100},
      {1e9, 1ns, 1000, 1000},
  };
  for (const auto& row : rows) {
    const auto clock = std::make_shared<FreeClock>();
    const auto sampler = rate_limiting_sampler({.traces_per_second = row.rate, .burst = 2, .clock = clock});
    EXPECT_EQ(kept_of(*sampler, 3), 2);
    int kept = 0;
    for (int i = 0; i < row.steps; ++i) {
      clock->move(row.step);
      kept += kept_of(*sampler, 1);
    }
    EXPECT_NEAR(kept, row.expected, row.expected * 0.01 + 1) << row.rate;
  }
}

TEST(RateLimitingSampler, takes_one_second_as_its_burst_unless_told_otherwise) {
  const auto burst_of = [](double rate) {
    return kept_of(
        *rate_limiting_sampler({.traces_per_second = rate, .clock = std::make_shared<FreeClock>()}), 1000);
  };
  EXPECT_EQ(burst_of(20), 20);
  EXPECT_EQ(burst_of(2.9), 2);
  EXPECT_EQ(burst_of(0.001), 1);
}

TEST(RateLimitingSampler, without_a_usable_rate_keeps_nothing_and_asks_no_clock) {
  for (const double rate : {0.0, -1.0, std::nan("")}) {
    const auto clock = std::make_shared<FreeClock>();
    const auto sampler = rate_limiting_sampler({.traces_per_second = rate, .burst = 9, .clock = clock});
    clock->move(24h);
    EXPECT_EQ(kept_of(*sampler, 10), 0) << rate;
    EXPECT_EQ(clock->asked, 0);
  }
  const auto sampler = rate_limiting_sampler(
      {.traces_per_second = std::numeric_limits<double>::infinity(), .clock = std::make_shared<FreeClock>()});
  EXPECT_EQ(kept_of(*sampler, 1000), 1000);
}

TEST(RateLimitingSampler, outlives_extreme_rates_and_bursts) {
  for (const double rate : {1e-300, 1e-12, 1.0, 1e9}) {
    for (const std::uint32_t burst : {1U, 0xFFFFFFFFU}) {
      const auto clock = std::make_shared<FreeClock>();
      const auto sampler = rate_limiting_sampler({.traces_per_second = rate, .burst = burst, .clock = clock});
      EXPECT_GE(kept_of(*sampler, 1), 1) << rate << ' ' << burst;
      clock->move(24h * 365 * 100);
      EXPECT_LE(kept_of(*sampler, 2), 2);
    }
  }
}

TEST(RateLimitingSampler, survives_a_clock_that_goes_back) {
  for (const std::chrono::nanoseconds back : {std::chrono::nanoseconds(1ns), std::chrono::nanoseconds(900ms),
                                              std::chrono::nanoseconds(10s), std::chrono::nanoseconds(24h)}) {
    const auto clock = std::make_shared<FreeClock>();
    const auto sampler = rate_limiting_sampler({.traces_per_second = 10, .burst = 5, .clock = clock});
    clock->move(48h);
    EXPECT_EQ(kept_of(*sampler, 100), 5);
    clock->move(-back);
    EXPECT_EQ(kept_of(*sampler, 100), 0) << "going back makes no tokens";
    clock->move(1100ms);
    const int kept = kept_of(*sampler, 100);
    EXPECT_GE(kept, 1) << "and it goes on";
    EXPECT_LE(kept, 5);
  }
  // Before the sampler's own beginning.
  const auto clock = std::make_shared<FreeClock>();
  const auto sampler = rate_limiting_sampler({.traces_per_second = 10, .burst = 2, .clock = clock});
  clock->move(-1h);
  EXPECT_EQ(kept_of(*sampler, 100), 2);
  clock->move(1h + 1s);
  EXPECT_EQ(kept_of(*sampler, 100), 2);
}

TEST(RateLimitingSampler, gives_no_token_twice_to_several_threads) {
  const auto clock = std::make_shared<FreeClock>();
  const auto sampler = rate_limiting_sampler({.traces_per_second = 1000, .burst = 1000, .clock = clock});
  std::atomic<int> kept{0};
  const auto round = [&] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] { kept += kept_of(*sampler, 1000); });
    for (std::thread& thread : threads)
      thread.join();
  };
  round();
  EXPECT_EQ(kept, 1000);
  clock->move(500ms);
  round();
  EXPECT_EQ(kept, 1500);
}

TEST(RateLimitingSampler, decides_for_roots_only_when_it_is_the_root_of_a_parent_based_one) {
  const auto clock = std::make_shared<FreeClock>();
  testing::Recorder recorder(
      {.sampler = parent_based_sampler(
           {.root = rate_limiting_sampler({.traces_per_second = 1, .burst = 2, .clock = clock})})});
  const int asked_when_made = clock->asked;
  for (int i = 0; i < 3; ++i) {
    Span root = Tracer::get("rate_test").start("root");
    const Scope scope = root.activate();
    Tracer::get("rate_test").start("child").end();
  }
  EXPECT_EQ(clock->asked - asked_when_made, 3) << "not for children";
  EXPECT_EQ(recorder.tree(), R"(
root INTERNAL
  child INTERNAL
root INTERNAL
  child INTERNAL
)");
}

TEST(RateLimitingSampler, removes_the_probability_of_a_parent) {
  const auto sampler = rate_limiting_sampler({.traces_per_second = 1});
  SpanContext parent;
  parent.trace_id = {1, 2};
  parent.span_id = {3};
  parent.trace_state = TraceState::parse("a=b,ot=th:0");
  for (int i = 0; i < 2; ++i) {
    const SamplingResult result = sampler->sample({&parent, {1, 2}, "", SpanKind::internal, {}, {}});
    ASSERT_TRUE(result.trace_state);
    EXPECT_EQ(result.trace_state->header(), "a=b");
  }
}

TEST(RateLimitingSampler, describes_itself_and_needs_nothing) {
  const auto sampler = rate_limiting_sampler({.traces_per_second = 2.5, .burst = 7});
  EXPECT_EQ(sampler->description(), "RateLimitingSampler{2.500000,burst=7}");
  EXPECT_FALSE(sampler->needs().name || sampler->needs().links || sampler->needs().attributes);
}

}  // namespace
}  // namespace midtrace
