// Which CreationContext holds on a thread.

#include <midtrace/messaging/creation_context.h>

#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "messaging/thread_state.h"

namespace midtrace {
namespace {

using messaging::CreationContext;

Context context(std::uint64_t number) {
  Context made;
  made.span.trace_id = {number, 1};
  made.span.span_id = {number};
  return made;
}

// The number of the one that holds, 0 for none.
std::uint64_t held() {
  messaging::ThreadState* thread = messaging::existing_thread_state();
  return thread != nullptr ? thread->stored_context().span.span_id.value : 0;
}

TEST(MessagingCreationContext, TheInnermostHolds) {
  EXPECT_EQ(held(), 0U);
  {
    const CreationContext outer(context(1));
    {
      const CreationContext inner(context(2));
      EXPECT_EQ(held(), 2U);
    }
    EXPECT_EQ(held(), 1U);
  }
  EXPECT_EQ(held(), 0U);
}

TEST(MessagingCreationContext, MayEndOutOfOrderAndOnAnotherThread) {
  auto outer = std::make_unique<CreationContext>(context(1));
  auto inner = std::make_unique<CreationContext>(context(2));
  outer.reset();
  EXPECT_EQ(held(), 2U);
  std::thread([&] { inner.reset(); }).join();
  EXPECT_EQ(held(), 0U);
}

TEST(MessagingCreationContext, HoldsOnItsThreadAlone) {
  const CreationContext stored(context(1));
  std::uint64_t elsewhere = 1;
  std::thread([&] { elsewhere = held(); }).join();
  EXPECT_EQ(elsewhere, 0U);
}

}  // namespace
}  // namespace midtrace
