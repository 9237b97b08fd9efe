// Outstanding against a std::set with the same operations.

#include "outstanding.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <random>
#include <set>
#include <string>

#include "support/allocations.h"

namespace midtrace {
namespace {

using amqp::detail::Outstanding;

class Model {
 public:
  std::uint64_t add() {
    open_.insert(++last_);
    return last_;
  }
  std::uint64_t confirm(std::uint64_t tag, bool multiple) {
    if (!multiple) return open_.erase(tag);
    if (tag > last_) return 0;
    const auto end = tag == 0 ? open_.end() : open_.upper_bound(tag);
    const auto confirmed = static_cast<std::uint64_t>(std::distance(open_.begin(), end));
    open_.erase(open_.begin(), end);
    return confirmed;
  }
  const std::set<std::uint64_t>& open() const { return open_; }

 private:
  std::set<std::uint64_t> open_;
  std::uint64_t last_ = 0;
};

struct Mix {
  const char* name;
  int publish, single, multiple;  // weights
  std::uint64_t burst;            // most publishes at a time
};

TEST(AmqpOutstanding, DoesWhatASetDoesInRandomOrder) {
  constexpr Mix mixes[] = {
      {"each is confirmed soon", 5, 5, 0, 1},  {"confirms of many", 5, 1, 1, 10},
      {"it grows and grows", 10, 2, 0, 20},    {"bursts and single confirms in any order", 1, 100, 0, 300},
      {"mostly strange confirms", 1, 5, 5, 2},
  };
  for (const Mix& mix : mixes) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE(std::string(mix.name) + ", seed " + std::to_string(seed));
      std::mt19937_64 random(seed);
      const auto below = [&random](std::uint64_t limit) { return random() % limit; };
      Outstanding outstanding;
      Model model;
      std::uint64_t last = 0;
      for (int step = 0; step < 20'000; ++step) {
        const auto choice =
            static_cast<int>(below(static_cast<std::uint64_t>(mix.publish + mix.single + mix.multiple)));
        if (choice < mix.publish) {
          for (std::uint64_t left = 1 + below(mix.burst); left > 0; --left) {
            last = model.add();
            ASSERT_EQ(outstanding.add(), last);
          }
        } else {
          const bool multiple = choice >= mix.publish + mix.single;
          std::uint64_t tag = below(last + 3);  // 0, confirmed ones, and some that never were
          const auto open = model.open().lower_bound(tag);
          if (below(4) != 0 && open != model.open().end()) tag = *open;
          if (multiple && tag == 0 && below(10) != 0) tag = 1;
          ASSERT_EQ(outstanding.confirm(tag, multiple), model.confirm(tag, multiple))
              << tag << (multiple ? " multiple" : "") << " in step " << step;
        }
        ASSERT_EQ(outstanding.count(), model.open().size());
      }
      EXPECT_EQ(outstanding.given_up(), 0U);
      EXPECT_EQ(outstanding.confirm(0, true), model.confirm(0, true));
      EXPECT_EQ(outstanding.count(), 0U);
    }
  }
}

struct Case {
  const char* what;
  std::uint64_t tag;
  bool multiple;
  std::uint64_t confirmed;
};

TEST(AmqpOutstanding, ConfirmsInTheirOrder) {
  Outstanding outstanding;
  EXPECT_EQ(outstanding.confirm(1, false), 0U) << "nothing was published yet";
  EXPECT_EQ(outstanding.confirm(0, true), 0U);
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence)
    EXPECT_EQ(outstanding.add(), sequence);
  constexpr Case cases[] = {
      {"one", 1, false, 1},
      {"the same again", 1, false, 0},
      {"0 is nobody's number", 0, false, 0},
      {"one from the middle", 130, false, 1},
      {"all up to one", 64, true, 63},
      {"up to one that is confirmed already", 130, true, 65},
      {"the last", 200, false, 1},
      {"one that was not published", 201, false, 0},
      {"up to one that was not", 201, true, 0},
      {"0 means all", 0, true, 69},
      {"all, once more", 0, true, 0},
  };
  for (const Case& each : cases)
    EXPECT_EQ(outstanding.confirm(each.tag, each.multiple), each.confirmed) << each.what;
  EXPECT_EQ(outstanding.count(), 0U);
}

TEST(AmqpOutstanding, KnowsWhatWasPublished) {
  Outstanding outstanding;
  EXPECT_FALSE(outstanding.knows(1));
  outstanding.add();
  EXPECT_TRUE(outstanding.knows(1));
  EXPECT_FALSE(outstanding.knows(2));
  outstanding.confirm(1, false);
  EXPECT_TRUE(outstanding.knows(1)) << "confirmed, but published";
}

// An application that never reads its confirms.
TEST(AmqpOutstanding, TheOldestAreGivenUpBeforeMemoryGrowsWithoutBound) {
  constexpr std::uint64_t published = Outstanding::max_outstanding + 1000;
  Outstanding outstanding;
  for (std::uint64_t i = 0; i < published; ++i)
    outstanding.add();
  EXPECT_LE(outstanding.count(), Outstanding::max_outstanding);
  EXPECT_EQ(outstanding.count() + outstanding.given_up(), published);
  EXPECT_GE(outstanding.given_up(), 1000U);
  EXPECT_LT(outstanding.given_up(), 1000U + 64U);
  EXPECT_EQ(outstanding.confirm(1, false), 0U) << "given up";
  EXPECT_EQ(outstanding.confirm(published, false), 1U);
  const std::uint64_t rest = outstanding.count();
  EXPECT_EQ(outstanding.confirm(published, true), rest);
  EXPECT_EQ(outstanding.count(), 0U);
  EXPECT_EQ(outstanding.confirm(outstanding.add(), false), 1U) << "it goes on";
}

TEST(AmqpOutstanding, AllocatesNothingWhileItDoesNotGrow) {
  if (!test::allocations_are_counted) GTEST_SKIP() << "sanitizers bring a heap of their own";
  Outstanding outstanding;
  for (int i = 0; i < 100; ++i)
    outstanding.add();
  const std::uint64_t before = test::allocations_of_this_thread();
  for (std::uint64_t oldest = 1; oldest < 10'000; ++oldest) {
    outstanding.add();
    outstanding.confirm(oldest, false);
  }
  EXPECT_EQ(test::allocations_of_this_thread(), before);
}

}  // namespace
}  // namespace midtrace
