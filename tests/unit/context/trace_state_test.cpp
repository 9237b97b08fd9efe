#include <midtrace/context/trace_state.h>

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/watched_malloc.h"

namespace {

using midtrace::TraceState;

// k0=v,k1=v,...
std::string numbered(std::size_t members) {
  std::string header;
  for (std::size_t i = 0; i < members; ++i)
    header += (i == 0 ? "k" : ",k") + std::to_string(i) + "=v";
  return header;
}

std::string written(const TraceState& state, std::size_t budget) {
  std::string out(budget, '?');
  out.resize(state.write(out.data(), budget));
  return out;
}

TEST(TraceState, IsAPointerThatIsNullWhenEmpty) {
  static_assert(sizeof(TraceState) == sizeof(void*));
  const TraceState empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.size(), 0U);
  EXPECT_EQ(empty.header(), "");
  EXPECT_FALSE(empty.get("a"));
  EXPECT_EQ(written(empty, 512), "");
}

TEST(TraceState, FindsValuesByWholeKeys) {
  const auto state = TraceState::parse("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
  EXPECT_EQ(state.size(), 2U);
  EXPECT_EQ(state.get("congo"), "t61rcWkgMzE");
  EXPECT_EQ(state.get("rojo"), "00f067aa0ba902b7");
  EXPECT_FALSE(state.get("roj"));
  EXPECT_FALSE(state.get("ojo"));
  EXPECT_FALSE(state.get(""));
}

TEST(TraceState, VisitsMembersInOrder) {
  std::vector<std::pair<std::string, std::string>> seen;
  TraceState::parse("b=2,a= 1").for_each([&](std::string_view key, std::string_view value) {
    seen.emplace_back(key, value);
  });
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, std::string>>{{"b", "2"}, {"a", " 1"}}));
}

TEST(TraceStateWith, PutsANewMemberInFront) {
  EXPECT_EQ(TraceState().with("a", "1").header(), "a=1");
  EXPECT_EQ(TraceState::parse("a=1,b=2").with("c", "3").header(), "c=3,a=1,b=2");
}

TEST(TraceStateWith, MovesAChangedMemberToTheFront) {
  const auto state = TraceState::parse("a=1,b=2,c=3");
  EXPECT_EQ(state.with("b", "9").header(), "b=9,a=1,c=3");
  EXPECT_EQ(state.header(), "a=1,b=2,c=3") << "the original is a value of its own";
}

TEST(TraceStateWith, DropsTheRightmostOfThirtyThree) {
  const auto full = TraceState::parse(numbered(32));
  const auto changed = full.with("new", "1");
  EXPECT_EQ(changed.size(), 32U);
  EXPECT_EQ(changed.header(), "new=1," + numbered(31));
  EXPECT_EQ(full.with("k31", "1").size(), 32U);
  EXPECT_TRUE(full.with("k31", "1").get("k30")) << "a replaced member makes room for itself";
}

TEST(TraceStateWith, LeavesTheValueAloneWhenTheMemberIsInvalid) {
  const auto state = TraceState::parse("a=1");
  const std::string longest(256, 'x');
  const std::string too_long(257, 'x');
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"", "v"},
                                                        {"A", "v"},
                                                        {"_a", "v"},
                                                        {"a b", "v"},
                                                        {"a=", "v"},
                                                        {too_long, "v"},
                                                        {"k", ""},
                                                        {"k", "v "},
                                                        {"k", " "},
                                                        {"k", "a,b"},
                                                        {"k", "a=b"},
                                                        {"k", "a\tb"},
                                                        {"k", "\x7f"},
                                                        {"k", "\xc3\xa9"},
                                                        {"k", std::string("a\0b", 3)},
                                                        {"k", too_long}})
    EXPECT_EQ(state.with(key, value), state) << key << "=" << value;
  EXPECT_EQ(state.with(longest, longest).header(), longest + "=" + longest + ",a=1");
}

TEST(TraceStateWithout, RemovesOneMember) {
  const auto state = TraceState::parse("a=1,b=2,c=3");
  EXPECT_EQ(state.without("b").header(), "a=1,c=3");
  EXPECT_EQ(state.without("x"), state);
  EXPECT_TRUE(TraceState::parse("a=1").without("a").empty());
  EXPECT_TRUE(TraceState().without("a").empty());
}

TEST(TraceStateWrite, WritesEverythingThatFitsExactly) {
  const auto state = TraceState::parse("a=1,b=2");
  EXPECT_EQ(written(state, 7), "a=1,b=2");
  EXPECT_EQ(written(state, 512), "a=1,b=2");
}

TEST(TraceStateWrite, CutsWholeMembersFromTheRight) {
  const auto state = TraceState::parse("a=1,b=2,c=3");
  EXPECT_EQ(written(state, 10), "a=1,b=2");
  EXPECT_EQ(written(state, 7), "a=1,b=2");
  EXPECT_EQ(written(state, 6), "a=1");
  EXPECT_EQ(written(state, 2), "");
  EXPECT_EQ(written(state, 0), "");
}

TEST(TraceStateWrite, GivesUpLongMembersFirst) {
  const std::string long_value(127, 'x');   // 129 characters with `l=`
  const std::string short_value(126, 'x');  // 128: not long
  EXPECT_EQ(written(TraceState::parse("l=" + long_value + ",a=1,b=2"), 100), "a=1,b=2");
  EXPECT_EQ(written(TraceState::parse("s=" + short_value + ",a=1,b=2"), 130), "s=" + short_value);
  // Of two long ones the right one goes, and the left one may stay when that is enough.
  EXPECT_EQ(written(TraceState::parse("a=1,l=" + long_value + ",b=2,m=" + long_value), 200),
            "a=1,l=" + long_value + ",b=2");
}

TEST(TraceStateMemory, IsOneAllocationPerValueAndNonePerCopy) {
  const auto before = midtrace::test::allocations();
  const auto state = TraceState::parse("a=1,b=2,a=3");
  EXPECT_EQ(midtrace::test::allocations() - before, 1U);
  const TraceState copy = state;
  char out[TraceState::send_budget];
  EXPECT_EQ(copy.write(out), 7U);
  EXPECT_TRUE(copy.get("b"));
  EXPECT_EQ(midtrace::test::allocations() - before, 1U);
  const auto changed = state.with("c", "4");
  EXPECT_EQ(midtrace::test::allocations() - before, 2U);
  EXPECT_EQ(changed.header(), "c=4,a=1,b=2");
}

TEST(TraceStateMemory, IsUnchangedWhenThereIsNone) {
  const auto state = TraceState::parse("a=1,b=2");
  TraceState more;
  TraceState fewer;
  TraceState parsed;
  {
    const midtrace::test::NoMemory no_memory;
    more = state.with("c", "3");
    fewer = state.without("a");
    parsed = TraceState::parse("a=1");
  }
  EXPECT_EQ(more.header(), "a=1,b=2");
  EXPECT_EQ(fewer.header(), "a=1,b=2");
  EXPECT_TRUE(parsed.empty());
}

TEST(TraceStateThreads, ShareOneValue) {
  const auto state = TraceState::parse("a=1,b=2");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([state] {
      for (int turn = 0; turn < 20000; ++turn) {
        const TraceState copy = state;
        ASSERT_EQ(copy.get("b"), "2");
      }
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(state.header(), "a=1,b=2");
}

}  // namespace
