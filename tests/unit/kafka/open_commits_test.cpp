// Which commit a report belongs to.

#include "open_commits.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <midtrace/kafka/commit.h>

namespace midtrace {
namespace {

using kafka::detail::CommitContent;
using kafka::detail::CommitFacts;
using kafka::detail::OpenCommit;
using kafka::detail::OpenCommits;

constexpr std::uint64_t stored = 0;

// A list of open commits, and what the last call did.
struct Scenario {
  std::uint64_t add(std::uint64_t print, bool waits = false) {
    OpenCommit commit;
    commit.print = print;
    commit.waits = waits;
    return open.add(commit, displaced);
  }
  // The number of the commit that was taken out; 0 for none.
  std::uint64_t report(std::uint64_t print) {
    OpenCommits::List taken;
    outcome = open.report(print, {nullptr, 0, 7}, taken);
    return taken.empty() ? 0 : taken.front().number;
  }

  OpenCommits open;
  OpenCommits::List displaced;
  OpenCommits::Reported outcome = OpenCommits::Reported::unknown;
};

TEST(KafkaOpenCommits, AReportBelongsToTheOldestOfTheSameOffsets) {
  Scenario s;
  s.add(11);
  const std::uint64_t first = s.add(22);
  const std::uint64_t second = s.add(22);
  EXPECT_EQ(s.report(22), first);
  EXPECT_EQ(s.report(22), second);
  EXPECT_EQ(s.report(22), 0U);
  EXPECT_EQ(s.outcome, OpenCommits::Reported::unknown) << "11 is another one";
  EXPECT_EQ(s.open.size(), 1U);
}

TEST(KafkaOpenCommits, ElseToTheOldestThatWaitsForWhatIsStored) {
  Scenario s;
  const std::uint64_t other = s.add(22);
  const std::uint64_t number = s.add(stored, true);
  EXPECT_EQ(s.report(33), 0U);
  EXPECT_EQ(s.outcome, OpenCommits::Reported::waits);
  EXPECT_EQ(s.report(22), other);
  OpenCommits::List taken;
  ASSERT_TRUE(s.open.take(number, taken));
  EXPECT_TRUE(taken.front().answered);
}

TEST(KafkaOpenCommits, ACommitThatWaitsIsToldAndStays) {
  Scenario s;
  const std::uint64_t number = s.add(stored, true);
  EXPECT_EQ(s.report(33), 0U);
  EXPECT_EQ(s.outcome, OpenCommits::Reported::waits);
  EXPECT_EQ(s.report(33), 0U);
  EXPECT_EQ(s.outcome, OpenCommits::Reported::unknown) << "it is told once";
  OpenCommits::List taken;
  ASSERT_TRUE(s.open.take(number, taken));
  EXPECT_TRUE(taken.front().answered);
  EXPECT_EQ(taken.front().facts.offset, 7);
  EXPECT_FALSE(s.open.take(number, taken));
}

TEST(KafkaOpenCommits, OnlySoManyAreKept) {
  Scenario s;
  for (std::uint64_t print = 1; print <= OpenCommits::max_open + 2; ++print)
    s.add(print);
  EXPECT_EQ(s.open.size(), OpenCommits::max_open);
  ASSERT_EQ(s.displaced.size(), 2U);
  EXPECT_EQ(s.displaced.front().print, 1U) << "the oldest";
}

TEST(KafkaCommitContent, IsTheSameForTheSameOffsetsInWhateverOrder) {
  CommitContent one, other, less, nothing;
  one.add("orders", 0, 5);
  one.add("returns", 1, 6);
  other.add("returns", 1, 6);
  other.add("orders", 2, RD_KAFKA_OFFSET_INVALID);
  other.add("orders", 0, 5);
  less.add("orders", 0, 5);
  nothing.add("orders", 0, RD_KAFKA_OFFSET_STORED);
  EXPECT_EQ(one.print(), other.print());
  EXPECT_NE(one.print(), less.print());
  EXPECT_EQ(nothing.print(), 0U);
  EXPECT_EQ(one.topic(), "");
  EXPECT_EQ(one.partition(), -1);
  EXPECT_EQ(less.topic(), "orders");
  EXPECT_EQ(less.partition(), 0);
  EXPECT_EQ(less.offset(), 5);
}

TEST(KafkaCommitContent, DiffersWithEachOfItsParts) {
  std::vector<std::uint64_t> prints;
  for (const char* topic : {"a", "b"}) {
    for (const std::int32_t partition : {0, 1}) {
      for (const std::int64_t offset : {0, 1, 2}) {
        CommitContent content;
        content.add(topic, partition, offset);
        prints.push_back(content.print());
      }
    }
  }
  for (std::size_t i = 0; i < prints.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_NE(prints[i], prints[j]) << i << ' ' << j;
  }
}

}  // namespace
}  // namespace midtrace
