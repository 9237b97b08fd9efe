// Which contexts count as received.

#include "messaging/received.h"

#include <gtest/gtest.h>

#include <vector>

namespace midtrace {
namespace {

using messaging::fingerprint;
using messaging::ReceivedContexts;
using messaging::RecentContexts;

SpanContext context(std::uint64_t number) {
  SpanContext made;
  made.trace_id = {number, number * 3 + 1};
  made.span_id = {number + 1};
  return made;
}

const void* message(std::uintptr_t number) { return reinterpret_cast<const void*>(0x1000 + number * 16); }

TEST(MessagingReceived, AFingerprintTellsContextsApartAndNoneFromAny) {
  EXPECT_EQ(fingerprint({}), 0U);
  EXPECT_NE(fingerprint(context(1)), 0U);
  EXPECT_EQ(fingerprint(context(1)), fingerprint(context(1)));
  EXPECT_NE(fingerprint(context(1)), fingerprint(context(2)));
  SpanContext sibling = context(1);
  sibling.span_id.value += 1;
  EXPECT_NE(fingerprint(context(1)), fingerprint(sibling));
}

TEST(MessagingReceived, AContextIsToldApartByWhatTheReceiverMadeOfIt) {
  const auto print = fingerprint(context(1));
  const auto restarted = fingerprint(context(1), IncomingContext::restart);
  const auto ignored = fingerprint(context(1), IncomingContext::ignore);
  EXPECT_NE(print, restarted);
  EXPECT_NE(print, ignored);
  EXPECT_NE(restarted, ignored);
  EXPECT_EQ(fingerprint({}, IncomingContext::ignore), 0U);
}

TEST(MessagingReceived, AThreadRemembersItsLast256Messages) {
  RecentContexts recent;
  for (std::uint64_t i = 0; i < 300; ++i)
    recent.add(fingerprint(context(i)), message(i), i + 1);
  EXPECT_FALSE(recent.contains(fingerprint(context(43))));
  EXPECT_TRUE(recent.contains(fingerprint(context(44))));
  EXPECT_TRUE(recent.contains(fingerprint(context(299))));
  EXPECT_FALSE(recent.contains(0)) << "no context is not a received one";
  EXPECT_EQ(recent.client_of(message(299)), 300U);
  EXPECT_EQ(recent.client_of(message(43)), 0U);
}

TEST(MessagingReceived, OfAReusedMessageTheNewestClientCounts) {
  RecentContexts recent;
  recent.add(1, message(1), 7);
  recent.add(3, message(1), 8);
  EXPECT_EQ(recent.client_of(message(1)), 8U);
}

TEST(MessagingReceived, ABatchKnowsAllItsContexts) {
  std::vector<std::uint64_t> prints(10000);
  for (std::uint64_t i = 0; i < prints.size(); i += 2)
    prints[i] = fingerprint(context(i));
  const auto contexts = ReceivedContexts::make(prints);
  ASSERT_NE(contexts, nullptr);
  for (std::uint64_t i = 0; i < prints.size(); ++i) {
    ASSERT_EQ(contexts->contains(fingerprint(context(i))), i % 2 == 0) << i;
  }
  EXPECT_FALSE(contexts->contains(0));
  EXPECT_FALSE(ReceivedContexts::make({})->contains(fingerprint(context(1))));
}

// Whoever writes to a topic chooses the contexts; none of them makes a batch slow.
TEST(MessagingReceived, ContextsWhosePrintsLookAlikeAreFoundAtOnce) {
  for (const unsigned shift : {2U, 20U, 40U, 48U}) {
    std::vector<std::uint64_t> prints(20000);
    for (std::size_t i = 0; i < prints.size(); ++i)
      prints[i] = (static_cast<std::uint64_t>(i + 1) << shift) | 1U;
    const auto contexts = ReceivedContexts::make(prints);
    ASSERT_NE(contexts, nullptr);
    for (const std::uint64_t print : prints)
      EXPECT_TRUE(contexts->contains(print));
    EXPECT_LT(contexts->longest_run(), 200U) << "shift " << shift;
    EXPECT_FALSE(contexts->contains(3));
  }
}

}  // namespace
}  // namespace midtrace
