// What JaegerPropagator does beside the format itself, which tests/conformance/jaeger_test.cpp has by rows.
#include <midtrace/propagation/jaeger.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "list_carrier.h"
#include "support/watched_malloc.h"

namespace {

using midtrace::Baggage;
using midtrace::Context;
using midtrace::Counter;
using midtrace::JaegerPropagator;
using midtrace::TraceFlags;
using midtrace::TraceState;
using midtrace_test::Counted;
using midtrace_test::ListCarrier;

const std::string trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string span_id = "00f067aa0ba902b7";
const std::string sampled = trace_id + ":" + span_id + ":0:1";

Context extracted(const ListCarrier& carrier, Context into = {}) {
  JaegerPropagator().extract(carrier, into);
  return into;
}

TEST(JaegerExtract, MakesARemoteSpanContext) {
  const Context context = extracted({{"uber-trace-id", sampled}});
  EXPECT_EQ(context.span.trace_id.to_string(), trace_id);
  EXPECT_EQ(context.span.span_id.to_string(), span_id);
  EXPECT_EQ(context.span.flags.bits, TraceFlags::sampled_bit);
  EXPECT_TRUE(context.span.remote);
  EXPECT_TRUE(context.baggage.empty());
}

TEST(JaegerExtract, LeavesWhatIsThereWhenItFindsNothing) {
  Context before;
  before.span = midtrace::parse_traceparent("00-" + trace_id + "-" + span_id + "-03");
  before.span.trace_state = TraceState::parse("vendor=1");
  before.baggage = Baggage().with("a", "1", "p");
  for (const auto& carrier :
       {ListCarrier{}, ListCarrier{{"uber-trace-id", "broken"}}, ListCarrier{{"uberctx-", "1"}}})
    EXPECT_EQ(extracted(carrier, before), before) << carrier.text();
}

TEST(JaegerExtract, AddsToTheTraceparentOfTheSameSpan) {
  Context before;
  before.span = midtrace::parse_traceparent("00-" + trace_id + "-" + span_id + "-03");
  before.span.trace_state = TraceState::parse("vendor=1");
  const Context context = extracted({{"uber-trace-id", trace_id + ":" + span_id + ":0:3"}}, before);
  EXPECT_EQ(context.span.trace_state.header(), "vendor=1");
  EXPECT_EQ(context.span.flags.bits, 3 | TraceFlags::debug_bit);
}

TEST(JaegerExtract, AddsBaggageToWhatIsThere) {
  Context before;
  before.baggage = Baggage().with("a", "1", "p").with("b", "1");
  const Context context = extracted({{"uberctx-b", "2"}, {"uberctx-c", "3"}}, before);
  EXPECT_EQ(context.baggage, Baggage().with("a", "1", "p").with("b", "2").with("c", "3"));
}

TEST(JaegerExtract, DropsBaggageBeyondTheLimitsAndCountsIt) {
  const Counted counted;
  std::vector<ListCarrier::Field> many;
  for (int i = 0; i < 70; ++i)
    many.emplace_back("uberctx-k" + std::to_string(i), "v");
  EXPECT_EQ(extracted(ListCarrier(many)).baggage.size(), Baggage::max_members);
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 6U);
  const ListCarrier large({{"uberctx-a", std::string(9000, 'x')}, {"uberctx-b", "1"}});
  EXPECT_EQ(extracted(large).baggage, Baggage().with("b", "1"));
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 7U);
  const ListCarrier blanks({{"uberctx-a", std::string(9000, '+')}, {"uberctx-b", "+"}}, true);
  EXPECT_EQ(extracted(blanks).baggage, Baggage().with("b", " "));
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 8U);
}

TEST(JaegerExtract, KeepsNoRoomForWhatItDropped) {
  const Counted counted;
  const std::string four_thousand(4000, '+');
  const ListCarrier carrier({{"uberctx-kept", four_thousand},
                             {"Uberctx-Too-Much", std::string(4182, '+')},
                             {"Uberctx-Also", four_thousand}},
                            true);
  EXPECT_EQ(extracted(carrier).baggage,
            Baggage().with("kept", std::string(4000, ' ')).with("also", std::string(4000, ' ')));
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 1U);
}

TEST(JaegerExtract, CountsAndNamesWhatItCannotRead) {
  const Counted counted;
  extracted({{"uber-trace-id", "x"}, {"uber-trace-id", ""}, {"uberctx-", "no name"}, {"uberctx-a", "\xFF"}});
  EXPECT_EQ(counted[Counter::extract_malformed_jaeger], 2U);
  EXPECT_EQ(counted[Counter::extract_malformed_baggage], 2U);
}

TEST(JaegerInject, SendsEveryMemberThatAHeaderCanHold) {
  const Counted counted;
  ListCarrier carrier;
  const Baggage baggage =
      Baggage().with("a", "1", "metadata").with("not a token", "2").with("b", "\xC3\xA9 +%");
  JaegerPropagator().inject({{}, baggage, false}, carrier);
  EXPECT_EQ(carrier.text(), "uberctx-a: 1\nuberctx-b: \xC3\xA9 +%\n");
  ListCarrier http({}, true);
  JaegerPropagator().inject({{}, baggage, false}, http);
  EXPECT_EQ(http.text(), "uberctx-a: 1\nuberctx-b: %C3%A9%20%2B%25\n");
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 2U);
}

TEST(JaegerInject, StaysWithinTheLimitOfBaggageAfterEncoding) {
  const Counted counted;
  ListCarrier http({}, true);
  const Baggage baggage =
      Baggage().with("a", std::string(4000, '%')).with("b", std::string(2000, '%')).with("c", "1");
  JaegerPropagator().inject({{}, baggage, false}, http);
  ASSERT_EQ(http.fields().size(), 2U);
  EXPECT_EQ(http.fields()[0].second.size(), 6000U);
  EXPECT_EQ(http.fields()[1].first, "uberctx-c");
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 1U);
}

TEST(JaegerMemory, IsNotAllocatedWithoutBaggage) {
  const ListCarrier incoming{{"uber-trace-id", sampled}, {"other", "1"}};
  midtrace::MapCarrier::Map map{{"uber-trace-id", std::string(80, ' ')}};
  midtrace::MapCarrier outgoing(map);
  Context context;
  const auto before = midtrace::test::allocations();
  JaegerPropagator().extract(incoming, context);
  JaegerPropagator().inject(context, outgoing);
  EXPECT_EQ(midtrace::test::allocations(), before);
  EXPECT_EQ(map["uber-trace-id"], sampled);
}

TEST(JaegerMemory, KeepsTheTraceWhenThereIsNoneForTheBaggage) {
  const ListCarrier carrier{{"uber-trace-id", sampled}, {"uberctx-a", "1"}};
  Context context;
  {
    const midtrace::test::NoMemory no_memory;
    JaegerPropagator().extract(carrier, context);
  }
  EXPECT_TRUE(context.span.valid());
  EXPECT_TRUE(context.baggage.empty());
}

TEST(BaggageFields, AreThoseOfW3cAndOfJaeger) {
  EXPECT_TRUE(midtrace::is_baggage_field("baggage"));
  EXPECT_TRUE(midtrace::is_baggage_field("uberctx-a"));
  EXPECT_FALSE(midtrace::is_baggage_field("uber-trace-id"));
  EXPECT_FALSE(midtrace::is_baggage_field("Baggage"));
}

}  // namespace
