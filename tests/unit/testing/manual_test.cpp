// The clock and the ids that tests hold in their hands.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include <midtrace/testing/testing.h>

namespace {

using midtrace::testing::ManualClock;
using midtrace::testing::SequentialIds;

constexpr std::int64_t beginning_of_2024 = 1704067200LL * 1000000000LL;

TEST(ManualClockTest, BeginsIn2024AndStandsStill) {
  ManualClock clock;
  EXPECT_NE(clock.now(), 0U) << "0 means \"now\" to a tracer";
  EXPECT_EQ(clock.to_unix_nanos(clock.now()), beginning_of_2024);
  EXPECT_EQ(clock.now(), clock.now());
}

TEST(ManualClockTest, MovesByWhatItIsMoved) {
  ManualClock clock;
  const auto before = clock.now();
  clock.advance(std::chrono::milliseconds(1500));
  EXPECT_EQ(clock.to_unix_nanos(clock.now()), beginning_of_2024 + 1500000000LL);
  EXPECT_EQ(clock.to_unix_nanos(before), beginning_of_2024) << "earlier ticks keep their time";
}

TEST(SequentialIdsTest, CountFromOne) {
  SequentialIds ids;
  EXPECT_EQ(ids.trace_id().to_string(), "00000000000000000000000000000001");
  EXPECT_EQ(ids.trace_id().to_string(), "00000000000000000000000000000002");
  EXPECT_EQ(ids.span_id().to_string(), "0000000000000001");
  EXPECT_EQ(ids.span_id().to_string(), "0000000000000002");
  EXPECT_FALSE(ids.random());
}

TEST(SequentialIdsTest, NeverRepeatAcrossThreads) {
  SequentialIds ids;
  std::vector<std::vector<std::uint64_t>> taken(4);
  std::vector<std::thread> threads;
  for (auto& mine : taken) {
    threads.emplace_back([&ids, &mine] {
      for (int i = 0; i < 1000; ++i)
        mine.push_back(ids.span_id().value);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  std::set<std::uint64_t> all;
  for (const auto& mine : taken)
    all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 4000U);
  EXPECT_EQ(*all.rbegin(), 4000U);
}

}  // namespace
