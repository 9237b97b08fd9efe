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
using kafka::detail::TopicRules;
using kafka::detail::Topics;
using kafka::detail::TopicSwitches;

std::string text(TopicSwitches switches) {
  return std::string(switches.untraced ? "untraced " : "") + (switches.unpropagated ? "unpropagated " : "") +
         (switches.headerless ? "headerless" : "");
}

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

TEST(KafkaTopics, PatternsSwitchThemOffSeparately) {
  const std::vector<std::string> untraced{"metrics.*", "heartbeat"};
  const std::vector<std::string> unpropagated{"legacy.?", "metrics.raw"};
  Topics topics(TopicRules(untraced, unpropagated, false));
  const struct {
    const char* topic;
    const char* switches;
  } cases[] = {
      {"orders", ""},
      {"", ""},
      {"metrics.cpu", "untraced "},
      {"metrics.", "untraced "},
      {"metrics", ""},
      {"heartbeat", "untraced "},
      {"heartbeats", ""},
      {"Heartbeat", ""},
      {"legacy.1", "unpropagated "},
      {"legacy.12", ""},
      {"metrics.raw", "untraced unpropagated "},
  };
  for (const auto& [topic, switches] : cases) {
    EXPECT_EQ(text(topics.find_or_add(topic).switches()), switches) << topic;
    EXPECT_EQ(text(topics.find_or_add(topic).switches()), switches) << topic << " when it is known";
  }
}

TEST(KafkaTopics, BeyondTheLimitThePatternsStillHold) {
  const std::vector<std::string> untraced{"a*"};
  const std::vector<std::string> unpropagated{"*z"};
  auto topics = std::make_unique<Topics>(TopicRules(untraced, unpropagated, false));
  for (std::uint32_t i = 0; i < Topics::max_topics; ++i)
    topics->find_or_add("t" + std::to_string(i));
  for (const auto& [topic, switches] :
       {std::pair{"m", ""}, std::pair{"am", "untraced "}, std::pair{"mz", "unpropagated "},
        std::pair{"az", "untraced unpropagated "}}) {
    EXPECT_EQ(topics->find_or_add(topic).name(), "");
    EXPECT_EQ(text(topics->find_or_add(topic).switches()), switches) << topic;
  }
}

TEST(KafkaTopics, OfBrokersWithoutHeadersNoneHasAny) {
  Topics topics(TopicRules({}, {}, true));
  EXPECT_EQ(text(topics.find_or_add("orders").switches()), "headerless");
  EXPECT_EQ(text(topics.find_or_add("").switches()), "headerless");
  EXPECT_FALSE(TopicRules().any());
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
