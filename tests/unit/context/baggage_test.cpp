#include <midtrace/context/baggage.h>

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "support/watched_malloc.h"

namespace {

using midtrace::Baggage;

std::string text(const Baggage& baggage) {
  std::string result;
  baggage.for_each([&](const Baggage::Member& member) {
    result.append(member.name).append("=").append(member.value);
    if (!member.metadata.empty()) result.append(";").append(member.metadata);
    result += "\n";
  });
  return result;
}

TEST(Baggage, IsAPointerThatIsNullWhenEmpty) {
  static_assert(sizeof(Baggage) == sizeof(void*));
  const Baggage empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.size(), 0U);
  EXPECT_FALSE(empty.get("a"));
  EXPECT_EQ(text(empty), "");
}

TEST(Baggage, KeepsMembersInTheOrderOfTheirFirstSetting) {
  const auto baggage =
      Baggage().with("tenant", "acme").with("user", "ann", "ttl=5").with("tenant", "umbrella");
  EXPECT_EQ(text(baggage), "tenant=umbrella\nuser=ann;ttl=5\n");
  EXPECT_EQ(baggage.get("tenant"), "umbrella");
  EXPECT_EQ(baggage.find("user")->metadata, "ttl=5");
}

TEST(Baggage, SettingAgainReplacesTheMetadataToo) {
  EXPECT_EQ(text(Baggage().with("a", "1", "p").with("a", "2")), "a=2\n");
}

TEST(Baggage, TellsUpperFromLowerCaseAndHoldsAnyText) {
  const auto baggage = Baggage().with("Key", "1").with("key", "2").with("größe", "Ω = 1, 2; 3").with("e", "");
  EXPECT_EQ(text(baggage), "Key=1\nkey=2\ngröße=Ω = 1, 2; 3\ne=\n");
  EXPECT_EQ(baggage.get("e"), "");
}

TEST(Baggage, HasNoMemberWithoutAName) { EXPECT_TRUE(Baggage().with("", "v").empty()); }

TEST(Baggage, LosesAMemberByName) {
  const auto baggage = Baggage().with("a", "1").with("b", "2", "m").with("c", "3");
  EXPECT_EQ(text(baggage.without("b")), "a=1\nc=3\n");
  EXPECT_EQ(text(baggage.without("a").without("c")), "b=2;m\n");
  EXPECT_EQ(baggage.without("x"), baggage);
  EXPECT_TRUE(Baggage().with("a", "1").without("a").empty());
  EXPECT_EQ(baggage.size(), 3U) << "the original is a value of its own";
}

TEST(Baggage, EqualsByMembersWhateverTheirOrder) {
  const auto ab = Baggage().with("a", "1").with("b", "2", "m");
  EXPECT_EQ(ab, Baggage().with("b", "2", "m").with("a", "1"));
  EXPECT_FALSE(ab == Baggage().with("a", "1").with("b", "2"));
  EXPECT_FALSE(ab == Baggage().with("a", "1").with("b", "3", "m"));
  EXPECT_FALSE(ab == Baggage().with("a", "1").with("c", "2", "m"));
  EXPECT_FALSE(ab == Baggage().with("a", "1"));
  EXPECT_EQ(Baggage(), Baggage());
}

TEST(BaggageLimits, AreSixtyFourMembers) {
  Baggage baggage;
  for (std::size_t i = 0; i < Baggage::max_members; ++i)
    baggage = baggage.with("k" + std::to_string(i), "v");
  ASSERT_EQ(baggage.size(), 64U);
  EXPECT_EQ(baggage.with("one more", "v"), baggage);
  EXPECT_EQ(baggage.with("k63", "changed").get("k63"), "changed");
  EXPECT_TRUE(baggage.without("k0").with("one more", "v").get("one more"));
}

TEST(BaggageLimits, AreEightKibibytesOfText) {
  const auto half = Baggage().with("a", std::string(4095, 'x'));  // 4096 bytes with its name
  EXPECT_EQ(half.with("b", std::string(4095, 'y')).size(), 2U);
  EXPECT_EQ(half.with("b", std::string(4096, 'y')), half);
  EXPECT_EQ(half.with("b", std::string(4094, 'y'), "mm"), half);
  EXPECT_EQ(half.with("a", std::string(8191, 'z')).get("a")->size(), 8191U);
  EXPECT_EQ(half.with("a", std::string(8192, 'z')), half);
  EXPECT_TRUE(Baggage().with(std::string(1 << 20, 'n'), "v").empty());
}

TEST(BaggageMemory, IsOneAllocationPerChangeAndNonePerCopy) {
  const auto before = midtrace::test::allocations();
  const auto baggage = Baggage().with("a", "1", "m");
  EXPECT_EQ(midtrace::test::allocations() - before, 1U);
  const Baggage copy = baggage;
  EXPECT_TRUE(copy.find("a"));
  EXPECT_EQ(midtrace::test::allocations() - before, 1U);
}

TEST(BaggageMemory, IsUnchangedWhenThereIsNone) {
  const auto baggage = Baggage().with("a", "1").with("b", "2");
  Baggage more;
  Baggage fewer;
  {
    const midtrace::test::NoMemory no_memory;
    more = baggage.with("c", "3");
    fewer = baggage.without("a");
  }
  EXPECT_EQ(text(more), "a=1\nb=2\n");
  EXPECT_EQ(text(fewer), "a=1\nb=2\n");
}

TEST(BaggageViews, LiveAsLongAsAnyCopy) {
  Baggage first = Baggage().with("a", "a value that is not short");
  const Baggage second = first;
  const std::string_view value = *first.get("a");
  first = Baggage();
  EXPECT_EQ(value, "a value that is not short");
  EXPECT_EQ(second.size(), 1U);
}

TEST(BaggageThreads, ShareOneValue) {
  const auto baggage = Baggage().with("a", "1");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([baggage] {
      for (int turn = 0; turn < 20000; ++turn) {
        const Baggage copy = baggage;
        ASSERT_EQ(copy.get("a"), "1");
      }
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(text(baggage), "a=1\n");
}

TEST(Baggage, KeepsOnlyWhatIsWanted) {
  const Baggage all = Baggage().with("a", "1", "p").with("b", "2").with("c", "3");
  EXPECT_EQ(all.only([](std::string_view name) { return name != "b"; }),
            Baggage().with("a", "1", "p").with("c", "3"));
  EXPECT_EQ(all.only([](std::string_view) { return true; }), all);
  EXPECT_TRUE(all.only([](std::string_view) { return false; }).empty());
  EXPECT_TRUE(Baggage().only([](std::string_view) { return true; }).empty());
  EXPECT_EQ(all.size(), 3U) << "the value itself never changes";
}

}  // namespace
