// What B3Propagator does beside the format itself, which tests/conformance/b3_test.cpp has by rows.
#include <midtrace/propagation/b3.h>

#include <gtest/gtest.h>

#include <string>

#include "list_carrier.h"
#include "support/watched_malloc.h"

namespace {

using midtrace::B3Format;
using midtrace::B3Propagator;
using midtrace::Baggage;
using midtrace::CompositePropagator;
using midtrace::Context;
using midtrace::Counter;
using midtrace::TraceContextPropagator;
using midtrace::TraceFlags;
using midtrace::TraceState;
using midtrace_test::Counted;
using midtrace_test::ListCarrier;

const std::string trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string span_id = "00f067aa0ba902b7";
const std::string ids = trace_id + "-" + span_id;

Context extracted(const ListCarrier& carrier, Context into = {}) {
  B3Propagator().extract(carrier, into);
  return into;
}

Context local_context(const std::string& flags) {
  Context context;
  context.span = midtrace::parse_traceparent("00-" + ids + "-" + flags);
  context.span.trace_state = TraceState::parse("vendor=1");
  context.baggage = Baggage().with("a", "1");
  return context;
}

TEST(B3Extract, MakesARemoteSpanContext) {
  const Context context = extracted({{"b3", ids + "-1"}});
  EXPECT_EQ(context.span.trace_id.to_string(), trace_id);
  EXPECT_EQ(context.span.span_id.to_string(), span_id);
  EXPECT_EQ(context.span.flags.bits, TraceFlags::sampled_bit);
  EXPECT_TRUE(context.span.remote);
}

TEST(B3Extract, KeepsTheStateInTheFlags) {
  EXPECT_EQ(extracted({{"b3", ids + "-0"}}).span.flags.bits, 0);
  EXPECT_EQ(extracted({{"b3", ids}}).span.flags.bits, TraceFlags::deferred_bit);
  EXPECT_EQ(extracted({{"b3", ids + "-d"}}).span.flags.bits, TraceFlags::sampled_bit | TraceFlags::debug_bit);
}

TEST(B3Extract, KeepsADecisionWithoutIds) {
  const Context denied = extracted({{"b3", "0"}});
  EXPECT_FALSE(denied.span.valid());
  EXPECT_TRUE(denied.span.decision_only());
  EXPECT_FALSE(denied.span.sampled());
  EXPECT_TRUE(extracted({{"b3", "1"}}).span.sampled());
  EXPECT_TRUE(extracted({{"b3", "d"}}).span.flags.debug());
  EXPECT_FALSE(extracted({}).span.decision_only());
}

TEST(B3Extract, LeavesWhatIsThereWhenItFindsNothing) {
  const Context before = local_context("03");
  for (const auto& carrier :
       {ListCarrier{}, ListCarrier{{"b3", "broken"}}, ListCarrier{{"x-b3-spanid", span_id}},
        ListCarrier{{"b3", "0"}}, ListCarrier{{"x-b3-sampled", "0"}}}) {
    EXPECT_EQ(extracted(carrier, before), before) << carrier.text();
  }
}

TEST(B3Extract, ReplacesAnotherTraceWithItsTracestate) {
  Context before = local_context("03");
  before.span.span_id.value ^= 1U;
  const Context context = extracted({{"b3", ids + "-0"}}, before);
  EXPECT_TRUE(context.span.trace_state.empty());
  EXPECT_EQ(context.span.flags.bits, 0);
  EXPECT_EQ(context.baggage, before.baggage);
}

struct BothRow {
  const char* rule;
  const char* traceparent_flags;
  const char* b3_state;
  unsigned flags;
};

// A sender that writes both formats is heard in both, in whichever order they are read.
TEST(B3Extract, AddsToTheTraceparentOfTheSameSpan) {
  constexpr unsigned debug = TraceFlags::debug_bit;
  const BothRow rows[] = {
      {"both say sampled", "03", "-1", 3},
      {"neither does", "02", "-0", 2},
      {"a deferred decision is the traceparent's", "03", "", 3},
      {"a forced trace is sampled", "03", "-d", 3 | debug},
  };
  for (const auto& row : rows) {
    const ListCarrier carrier{{"traceparent", "00-" + ids + "-" + row.traceparent_flags},
                              {"tracestate", "vendor=1"},
                              {"b3", ids + row.b3_state}};
    const auto w3c = std::make_shared<TraceContextPropagator>();
    const auto b3 = std::make_shared<B3Propagator>();
    for (const CompositePropagator& both : {CompositePropagator({w3c, b3}), CompositePropagator({b3, w3c})}) {
      Context context;
      both.extract(carrier, context);
      EXPECT_EQ(context.span.flags.bits, row.flags) << row.rule;
      EXPECT_EQ(context.span.trace_state.header(), "vendor=1") << row.rule;
    }
  }
}

TEST(B3Extract, CountsAndNamesWhatItCannotRead) {
  const Counted counted;
  extracted({{"b3", "x"}, {"b3", ""}});
  EXPECT_EQ(counted[Counter::extract_malformed_b3], 2U);
  extracted({{"x-b3-traceid", trace_id}});
  EXPECT_EQ(counted[Counter::extract_malformed_b3], 3U) << "half of the ids";
}

TEST(B3Inject, WritesNothingWithoutASpan) {
  ListCarrier carrier;
  B3Propagator().inject({{}, Baggage().with("a", "1"), false}, carrier);
  B3Propagator(B3Format::multi).inject(Context(), carrier);
  EXPECT_EQ(carrier.text(), "");
}

TEST(B3Inject, DebugAndDeferredStayOutOfTheTraceparent) {
  for (const char* const state : {"-d", ""}) {
    ListCarrier carrier;
    TraceContextPropagator().inject(extracted({{"b3", ids + state}}), carrier);
    EXPECT_EQ(carrier.text(), "traceparent: 00-" + ids + (*state == '-' ? "-01\n" : "-00\n"));
  }
}

TEST(B3Memory, IsNeverAllocated) {
  const ListCarrier incoming[] = {
      {{"b3", ids + "-1-" + span_id}},
      {{"x-b3-traceid", trace_id}, {"x-b3-spanid", span_id}, {"x-b3-sampled", "1"}},
      {{"b3", "0"}}};
  for (const auto format : {B3Format::single, B3Format::multi}) {
    midtrace::MapCarrier::Map map;
    const B3Propagator propagator(format);
    for (const auto field : propagator.fields())
      map.emplace(field, std::string(80, ' '));
    midtrace::MapCarrier outgoing(map);
    for (const auto& carrier : incoming) {
      Context context;
      const auto before = midtrace::test::allocations();
      propagator.extract(carrier, context);
      propagator.inject(context, outgoing);
      EXPECT_EQ(midtrace::test::allocations(), before) << carrier.text();
    }
  }
}

}  // namespace
