// Whose context it is that outgoing headers already hold, and what of it counts.

#include "messaging/outgoing.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include <midtrace/messaging/received_mark.h>

namespace midtrace {
namespace {

using messaging::ExistingContext;
using messaging::fingerprint;
using messaging::Found;
using messaging::origin_of;
using messaging::ReceivedContexts;
using messaging::ReceivedMark;
using messaging::ThreadState;

constexpr ExistingContext every[] = {ExistingContext::automatic, ExistingContext::keep,
                                     ExistingContext::replace};

SpanContext context(std::uint64_t number) {
  SpanContext made;
  made.trace_id = {number, number * 3 + 1};
  made.span_id = {number + 1};
  return made;
}

TEST(MessagingOrigin, WithoutAContextThereIsNothing) {
  for (const ExistingContext existing : every)
    EXPECT_EQ(origin_of(existing, {}, {}).found, Found::nothing);
}

TEST(MessagingOrigin, AnUnknownContextIsTheApplicationsUnlessItIsToBeReplaced) {
  EXPECT_EQ(origin_of(ExistingContext::automatic, {}, context(1)).found, Found::application);
  EXPECT_EQ(origin_of(ExistingContext::keep, {}, context(1)).found, Found::application);
  EXPECT_EQ(origin_of(ExistingContext::replace, {}, context(1)).found, Found::received);
}

TEST(MessagingOrigin, AReceivedContextIsAForward) {
  ThreadState thread;
  thread.remember(fingerprint(context(1)), nullptr, 1, 0);
  EXPECT_EQ(origin_of(ExistingContext::automatic, thread, context(1)).found, Found::received);
  EXPECT_EQ(origin_of(ExistingContext::automatic, thread, context(2)).found, Found::application);
  EXPECT_EQ(origin_of(ExistingContext::keep, thread, context(1)).found, Found::application);
}

TEST(MessagingOrigin, OfWhatSeveralConsumersMadeOfItTheStrictestCounts) {
  ThreadState thread;
  for (const IncomingContext incoming :
       {IncomingContext::continue_trace, IncomingContext::restart, IncomingContext::ignore}) {
    thread.remember(fingerprint(context(1), incoming), nullptr, 1, 0);
    EXPECT_EQ(origin_of(ExistingContext::automatic, thread, context(1)).incoming, incoming);
  }
}

TEST(MessagingOrigin, AMarkHoldsUntilItEnds) {
  const auto found = [](std::uint64_t number) {
    const ThreadState* thread = messaging::thread_state();
    return origin_of(ExistingContext::automatic, *thread, context(number)).found;
  };
  const std::vector<std::uint64_t> prints{fingerprint(context(2)), fingerprint(context(3))};
  ReceivedMark single(fingerprint(context(1)), nullptr);
  {
    const ReceivedMark batch(0, ReceivedContexts::make(prints));
    for (const std::uint64_t number : {1U, 2U, 3U})
      EXPECT_EQ(found(number), Found::received) << number;
  }
  EXPECT_EQ(found(1), Found::received);
  EXPECT_EQ(found(2), Found::application);
  single.end();
  EXPECT_EQ(found(1), Found::application);
}

TEST(MessagingDistrust, LeavesWhatTheReceiverMadeOfAContext) {
  SpanContext span = context(1);
  messaging::distrust(IncomingContext::continue_trace, span);
  EXPECT_EQ(span, context(1));
  messaging::distrust(IncomingContext::restart, span);
  EXPECT_TRUE(span.valid());
  EXPECT_NE(span.flags.bits & TraceFlags::deferred_bit, 0);
  messaging::distrust(IncomingContext::ignore, span);
  EXPECT_FALSE(messaging::says_something(span));
}

}  // namespace
}  // namespace midtrace
