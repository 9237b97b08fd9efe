// The links of a settlement: one for each delivery, told apart by what goes on the link.

#include "settle_links.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/allocations.h"

#include <midtrace/semconv/attributes.h>

namespace midtrace {
namespace {

using amqp::Options;
using amqp::detail::Destination;
using amqp::detail::Route;
using amqp::detail::SettleLinks;
using amqp::detail::Unacked;

class AmqpSettleLinks : public ::testing::Test {
 protected:
  static Unacked delivery_of(const Destination& destination, std::uint64_t number) {
    Unacked delivery;
    delivery.destination = &destination;
    delivery.creation.trace_id = {1, number};
    delivery.creation.span_id = {number};
    return delivery;
  }
  static std::string attributes_of(const Link& link) {
    std::string text;
    for (const Attribute& attribute : link.attributes) {
      if (!text.empty()) text += ' ';
      text += attribute.key.name();
    }
    return text;
  }

  Destination orders_{{.exchange = "shop", .queue = "orders", .delivery = true}, {}, false};
  Destination refunds_{{.exchange = "shop", .queue = "refunds", .delivery = true}, {}, false};
  Destination nameless_{{}, {}, false};
  SettleLinks links_;
};

TEST_F(AmqpSettleLinks, OneDeliveryNeedsNoAttributes) {
  links_.add(delivery_of(orders_, 7), 7);
  const std::span<const Link> made = links_.make(false, false);
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].context.span_id.value, 7U);
  EXPECT_TRUE(made[0].attributes.empty());
}

TEST_F(AmqpSettleLinks, SeveralAreToldApartByTheirTags) {
  links_.add(delivery_of(orders_, 7), 7);
  links_.add(delivery_of(orders_, 8), 8);
  const std::span<const Link> made = links_.make(false, true);
  ASSERT_EQ(made.size(), 2U);
  for (const Link& link : made)
    EXPECT_EQ(attributes_of(link), "messaging.rabbitmq.message.delivery_tag");
  EXPECT_EQ(made[1].context.span_id.value, 8U);
}

TEST_F(AmqpSettleLinks, DestinationsAreNamedWhereTheyDiffer) {
  links_.add(delivery_of(orders_, 7), 7);
  links_.add(delivery_of(refunds_, 8), 8);
  const std::span<const Link> made = links_.make(true, true);
  ASSERT_EQ(made.size(), 2U);
  for (const Link& link : made)
    EXPECT_EQ(attributes_of(link), "messaging.rabbitmq.message.delivery_tag messaging.destination.name");
}

// The attributes of the first links must not move when there are more.
TEST_F(AmqpSettleLinks, AThousandLinksHaveTheirOwnAttributes) {
  constexpr std::uint64_t count = 1000;
  for (std::uint64_t tag = 1; tag <= count; ++tag)
    links_.add(delivery_of(orders_, tag), tag);
  EXPECT_EQ(links_.size(), count);
  const std::span<const Link> made = links_.make(true, true);
  ASSERT_EQ(made.size(), count);
  for (const Link& link : made) {
    ASSERT_EQ(attributes_of(link), "messaging.rabbitmq.message.delivery_tag messaging.destination.name");
    ASSERT_EQ(link.attributes[0].value.as_integer(), static_cast<std::int64_t>(link.context.span_id.value));
  }
}

TEST_F(AmqpSettleLinks, WhatWasClearedIsGone) {
  links_.add(delivery_of(orders_, 7), 7);
  links_.make(false, false);
  links_.clear();
  EXPECT_EQ(links_.size(), 0U);
  EXPECT_TRUE(links_.make(true, true).empty());
}

TEST_F(AmqpSettleLinks, AllocatesNothingFromTheSecondSettlementOn) {
  if (!test::allocations_are_counted) GTEST_SKIP() << "sanitizers bring a heap of their own";
  const Unacked delivery = delivery_of(orders_, 7);
  std::uint64_t before = 0;
  for (int round = 0; round < 10; ++round) {
    if (round == 1) before = test::allocations_of_this_thread();
    links_.clear();
    for (std::uint64_t tag = 1; tag <= 100; ++tag)
      links_.add(delivery, tag);
    ASSERT_EQ(links_.make(true, true).size(), 100U);
  }
  EXPECT_EQ(test::allocations_of_this_thread(), before);
}

}  // namespace
}  // namespace midtrace
