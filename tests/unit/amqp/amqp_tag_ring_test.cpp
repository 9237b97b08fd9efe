// TagRing against a std::set with the same operations.

#include "tag_ring.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/allocations.h"

namespace midtrace {
namespace {

using amqp::detail::TagRing;

constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();

// Moved from is null, so an entry that is taken twice, or overwritten while it lives, is seen.
using Entry = std::unique_ptr<std::uint64_t>;

class Both {
 public:
  explicit Both(std::size_t most = 100'000) : ring_(most), most_(most) {}

  void append(std::uint64_t tag) {
    Entry entry = std::make_unique<std::uint64_t>(tag);
    const bool fits = model_.size() < most_;
    ASSERT_EQ(ring_.append(tag, entry), fits) << tag;
    if (fits) {
      model_.insert(tag);
    } else {
      EXPECT_NE(entry, nullptr) << "a refused entry is still the caller's";
    }
  }
  void take(std::uint64_t tag) {
    Entry entry;
    ASSERT_EQ(ring_.take(tag, entry), model_.erase(tag) == 1) << tag;
    if (entry != nullptr) {
      ASSERT_EQ(*entry, tag);
    }
  }
  void take_up_to(std::uint64_t last) {
    for (;;) {
      const bool any = !model_.empty() && *model_.begin() <= last;
      Entry entry;
      ASSERT_EQ(ring_.take_oldest(last, entry), any);
      if (!any) return;
      ASSERT_NE(entry, nullptr);
      ASSERT_EQ(*entry, *model_.begin());
      model_.erase(model_.begin());
    }
  }
  void compare(std::uint64_t from, std::uint64_t up_to) {
    ASSERT_EQ(ring_.size(), model_.size());
    ASSERT_EQ(ring_.empty(), model_.empty());
    std::vector<std::uint64_t> seen;
    const auto note = [&seen](std::uint64_t tag, const Entry& entry) {
      EXPECT_EQ(*entry, tag);
      seen.push_back(tag);
      return true;
    };
    ring_.visit_from(from, note);
    ASSERT_EQ(seen, std::vector<std::uint64_t>(model_.lower_bound(from), model_.end()));
    seen.clear();
    ring_.visit_up_to(up_to, note);
    ASSERT_EQ(seen, std::vector<std::uint64_t>(model_.begin(), model_.upper_bound(up_to)));
  }
  void find(std::uint64_t tag) {
    const Entry* found = ring_.find(tag);
    ASSERT_EQ(found != nullptr, model_.contains(tag)) << tag;
    if (found != nullptr) {
      ASSERT_EQ(**found, tag);
    }
  }
  const TagRing<Entry>& ring() const { return ring_; }
  const std::set<std::uint64_t>& model() const { return model_; }

 private:
  TagRing<Entry> ring_;
  std::set<std::uint64_t> model_;
  std::size_t most_;
};

struct Mix {
  const char* name;
  int append, take, take_oldest;  // weights
  std::uint64_t most_gap;         // between two tags
  std::size_t most;
};

TEST(AmqpTagRing, DoesWhatASetDoesInRandomOrder) {
  constexpr Mix mixes[] = {
      {"a few at a time", 5, 4, 1, 1, 100'000},
      {"it grows and grows", 10, 1, 0, 1, 100'000},
      {"tags with gaps", 5, 4, 1, 1000, 100'000},
      {"it is often full", 5, 2, 1, 3, 70},
      {"mostly taken from the middle", 10, 9, 0, 2, 100'000},
  };
  for (const Mix& mix : mixes) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE(std::string(mix.name) + ", seed " + std::to_string(seed));
      std::mt19937_64 random(seed);
      const auto below = [&random](std::uint64_t limit) { return random() % limit; };
      Both both(mix.most);
      std::uint64_t last = 0;
      for (int step = 0; step < 20'000 && !testing::Test::HasFatalFailure(); ++step) {
        const auto choice =
            static_cast<int>(below(static_cast<std::uint64_t>(mix.append + mix.take + mix.take_oldest)));
        const std::uint64_t some = below(last + 2);
        if (choice < mix.append) {
          last += 1 + below(mix.most_gap);
          both.append(last);
        } else if (choice < mix.append + mix.take) {
          // One that is there, more often than not.
          const auto at = both.model().lower_bound(some);
          both.take(at != both.model().end() ? *at : some);
        } else {
          both.take_up_to(below(10) == 0 ? all : some);
        }
        both.find(some);
        if (step % 500 == 0) both.compare(some, below(last + 2));
      }
      both.compare(0, all);
      both.take_up_to(all);
      EXPECT_TRUE(both.ring().empty());
    }
  }
}

TEST(AmqpTagRing, ATagThatDoesNotGrowIsRefused) {
  TagRing<int> ring(10);
  int entry = 1;
  EXPECT_TRUE(ring.append(5, entry));
  EXPECT_FALSE(ring.append(5, entry));
  EXPECT_FALSE(ring.append(4, entry));
  EXPECT_TRUE(ring.append(6, entry));
  EXPECT_EQ(ring.size(), 2U);
}

// After a channel was closed, the numbers begin anew.
TEST(AmqpTagRing, TagsMayBeginAgainOnceItIsEmpty) {
  TagRing<int> ring(10);
  int entry = 1;
  ASSERT_TRUE(ring.append(1000, entry));
  ASSERT_TRUE(ring.take(1000, entry));
  EXPECT_TRUE(ring.append(1, entry));
}

TEST(AmqpTagRing, OneOldEntryDoesNotKeepTheMemoryOfMany) {
  TagRing<int> ring(100'000);
  int entry = 0;
  ASSERT_TRUE(ring.append(1, entry));
  for (std::uint64_t tag = 2; tag < 1'000'000; ++tag) {
    ASSERT_TRUE(ring.append(tag, entry));
    ASSERT_TRUE(ring.take(tag, entry));
  }
  EXPECT_EQ(ring.size(), 1U);
  EXPECT_NE(ring.find(1), nullptr);
  EXPECT_LE(ring.capacity(), 64U);
}

TEST(AmqpTagRing, ALargeRingIsFreedOnceItIsEmpty) {
  TagRing<int> ring(100'000);
  int entry = 0;
  for (std::uint64_t tag = 1; tag <= 50'000; ++tag)
    ASSERT_TRUE(ring.append(tag, entry));
  EXPECT_GE(ring.capacity(), 50'000U);
  while (ring.take_oldest(all, entry)) {
  }
  EXPECT_EQ(ring.capacity(), 0U);
}

TEST(AmqpTagRing, AllocatesNothingWhileItDoesNotGrow) {
  if (!test::allocations_are_counted) GTEST_SKIP() << "sanitizers bring a heap of their own";
  TagRing<std::uint64_t> ring(100'000);
  std::uint64_t tag = 0;
  for (; tag < 20; ++tag)
    ASSERT_TRUE(ring.append(tag + 1, tag));
  const std::uint64_t before = test::allocations_of_this_thread();
  for (; tag < 10'000; ++tag) {
    std::uint64_t entry = tag;
    ASSERT_TRUE(tag % 2 == 0 ? ring.take_oldest(all, entry) : ring.take(tag, entry));
    ASSERT_TRUE(ring.append(tag + 1, entry));
  }
  EXPECT_EQ(test::allocations_of_this_thread(), before);
}

}  // namespace
}  // namespace midtrace
