// Interned topic names.

#include "topics.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace midtrace {
namespace {

using kafka::detail::Topic;
using kafka::detail::Topics;

TEST(KafkaTopics, ANameIsOneTopic) {
  Topics topics;
  const Topic& orders = topics.find_or_add("orders");
  EXPECT_EQ(orders.name(), "orders");
  EXPECT_EQ(&topics.find_or_add(std::string("ord") + "ers"), &orders);
  EXPECT_NE(&topics.find_or_add("returns"), &orders);
  EXPECT_EQ(topics.find_or_add("").name(), "");
}

TEST(KafkaTopics, BeyondTheLimitTopicsLoseTheirName) {
  auto topics = std::make_unique<Topics>();
  for (std::uint32_t i = 0; i < Topics::max_topics; ++i)
    topics->find_or_add("t" + std::to_string(i));
  EXPECT_EQ(topics->find_or_add("one more").name(), "");
  EXPECT_EQ(topics->find_or_add("t7").name(), "t7");
}

TEST(KafkaTopics, ThreadsThatAddTheSameNameGetTheSameTopic) {
  for (int round = 0; round < 50; ++round) {
    Topics topics;
    std::vector<std::set<const Topic*>> seen(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < seen.size(); ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 300; ++i)
          seen[t].insert(&topics.find_or_add("topic" + std::to_string(i)));
      });
    }
    for (std::thread& thread : threads)
      thread.join();
    for (const auto& one : seen)
      ASSERT_EQ(one, seen[0]);
    ASSERT_EQ(seen[0].size(), 300U);
  }
}

}  // namespace
}  // namespace midtrace
