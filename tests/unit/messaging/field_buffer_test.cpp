// What a propagator injects, collected before a message is touched.

#include "messaging/field_buffer.h"

#include <gtest/gtest.h>

#include <string>

#include <midtrace/context/context.h>
#include <midtrace/propagation/propagator.h>

namespace midtrace {
namespace {

using messaging::FieldBuffer;

constexpr std::string_view fields[] = {"traceparent", "tracestate", "baggage"};

TEST(MessagingFieldBuffer, KeepsWhatAPropagatorSets) {
  Context context;
  context.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  context.baggage = Baggage().with("k", "v");
  FieldBuffer buffer;
  propagator().inject(context, buffer);
  ASSERT_TRUE(buffer.complete());
  ASSERT_EQ(buffer.size(), 2U);
  EXPECT_EQ(std::string(buffer[0].name), "traceparent");
  EXPECT_EQ(std::string(buffer[0].value, buffer[0].value_length),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_EQ(std::string(buffer[1].name), "baggage");
  EXPECT_EQ(buffer.text_bytes(), 11U + 1 + 55 + 7 + 1 + 3);
  buffer.clear();
  EXPECT_EQ(buffer.size(), 0U);
}

TEST(MessagingFieldBuffer, ASecondValueReplacesTheFirst) {
  FieldBuffer buffer;
  buffer.set("a", "1");
  buffer.set("b", "2");
  buffer.set("a", "three");
  ASSERT_EQ(buffer.size(), 2U);
  EXPECT_EQ(std::string(buffer[0].value, buffer[0].value_length), "three");
  EXPECT_TRUE(buffer.contains("b"));
  EXPECT_FALSE(buffer.contains("c"));
}

TEST(MessagingFieldBuffer, TellsContextFromBaggageAndKnownNamesFromOthers) {
  FieldBuffer buffer;
  buffer.set("baggage", "a=1");
  EXPECT_FALSE(buffer.has_context());
  EXPECT_FALSE(buffer.has_others(fields));
  buffer.set("uberctx-a", "1");
  EXPECT_FALSE(buffer.has_context());
  EXPECT_TRUE(buffer.has_others(fields));
  buffer.set("traceparent", "t");
  EXPECT_TRUE(buffer.has_context());
}

TEST(MessagingFieldBuffer, HoldsAHeaderForEveryMemberOfAFullBaggage) {
  set_propagator(make_propagator("tracecontext,baggage,b3,b3multi,jaeger", [](std::string_view) {}));
  Context context;
  context.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  context.span.trace_state = TraceState::parse("a=1");
  for (std::size_t i = 0; i < Baggage::max_members; ++i)
    context.baggage = context.baggage.with("k" + std::to_string(i), "v");
  FieldBuffer buffer;
  propagator().inject(context, buffer);
  set_propagator(nullptr);
  EXPECT_TRUE(buffer.complete());
  EXPECT_EQ(buffer.size(), 3 + 1 + 3 + 1 + Baggage::max_members);
}

TEST(MessagingFieldBuffer, TooManyFieldsAreNotSentInPart) {
  FieldBuffer buffer;
  for (int i = 0; i < 81; ++i)
    buffer.set("field" + std::to_string(i), "v");
  EXPECT_FALSE(buffer.complete());
}

}  // namespace
}  // namespace midtrace
