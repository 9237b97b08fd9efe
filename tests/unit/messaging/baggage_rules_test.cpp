// What baggage crosses a module's boundary.

#include "messaging/baggage_rules.h"

#include <gtest/gtest.h>

namespace midtrace {
namespace {

using messaging::allowed_baggage;
using messaging::overlaid;

std::string text(const Baggage& baggage) {
  std::string result;
  baggage.for_each([&result](const Baggage::Member& member) {
    result.append(member.name).append("=").append(member.value).append(";");
  });
  return result;
}

TEST(MessagingBaggage, OnlyTheAllowedMembersCross) {
  const Baggage baggage = Baggage().with("a", "1").with("b", "2");
  EXPECT_EQ(text(allowed_baggage(std::nullopt, baggage)), "a=1;b=2;");
  EXPECT_EQ(text(allowed_baggage(std::vector<std::string>{"b", "c"}, baggage)), "b=2;");
  EXPECT_EQ(text(allowed_baggage(std::vector<std::string>{}, baggage)), "");
}

TEST(MessagingBaggage, WhatIsLaidOverReplacesMembersOfItsNames) {
  const Baggage below = Baggage().with("a", "1").with("b", "2");
  const Baggage above = Baggage().with("b", "3").with("c", "4");
  const Baggage both = overlaid(below, above);
  EXPECT_EQ(both.size(), 3U);
  EXPECT_EQ(both.get("a"), "1");
  EXPECT_EQ(both.get("b"), "3");
  EXPECT_EQ(both.get("c"), "4");
  EXPECT_EQ(text(overlaid({}, above)), text(above));
  EXPECT_EQ(text(overlaid(below, {})), text(below));
}

}  // namespace
}  // namespace midtrace
