#include <midtrace/propagation/propagator.h>

#include <gtest/gtest.h>

#include <string>

#include "list_carrier.h"
#include "support/watched_malloc.h"

namespace {

using midtrace::Baggage;
using midtrace::Context;
using midtrace::Counter;
using midtrace::SpanContext;
using midtrace::TraceContextPropagator;
using midtrace::TraceState;
using midtrace_test::Counted;
using midtrace_test::ListCarrier;

const std::string valid_header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

SpanContext span_context(std::uint8_t flags = 1, const char* state = "") {
  SpanContext context;
  context.trace_id = {0x4bf92f3577b34da6, 0xa3ce929d0e0e4736};
  context.span_id = {0x00f067aa0ba902b7};
  context.flags = {flags};
  context.trace_state = TraceState::parse(state);
  return context;
}

std::string written(const SpanContext& context) {
  char out[midtrace::traceparent_length];
  midtrace::write_traceparent(context, out);
  return std::string(out, sizeof out);
}

TEST(Traceparent, IsWrittenAsFiftyFiveCharacters) {
  EXPECT_EQ(written(span_context()), valid_header);
  EXPECT_EQ(written(SpanContext()), "00-00000000000000000000000000000000-0000000000000000-00");
}

TEST(Traceparent, CarriesTheTwoKnownFlagsOnly) {
  EXPECT_EQ(written(span_context(0x03)).substr(53), "03");
  EXPECT_EQ(written(span_context(0xFE)).substr(53), "02");
  EXPECT_EQ(written(span_context(0xFC)).substr(53), "00");
}

TEST(Traceparent, ReadsBackAsARemoteContext) {
  const SpanContext context = midtrace::parse_traceparent(valid_header);
  EXPECT_EQ(context.trace_id, span_context().trace_id);
  EXPECT_EQ(context.span_id, span_context().span_id);
  EXPECT_TRUE(context.sampled());
  EXPECT_TRUE(context.remote);
  EXPECT_EQ(midtrace::parse_traceparent("nothing of the kind"), SpanContext());
}

// Each single byte of a right header replaced by each other byte: only digits in digit places survive.
TEST(Traceparent, AcceptsNoOtherByteAnywhere) {
  for (std::size_t position = 0; position < valid_header.size(); ++position) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string header = valid_header;
      header[position] = static_cast<char>(byte);
      const bool dash = position == 2 || position == 35 || position == 52;
      const bool digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
      EXPECT_EQ(midtrace::parse_traceparent(header).valid(), dash ? byte == '-' : digit)
          << "byte " << byte << " at " << position;
    }
  }
}

TEST(TraceContextInject, WritesTraceparentAndTracestate) {
  ListCarrier carrier;
  TraceContextPropagator().inject({span_context(1, "rojo=1,congo=2"), {}, false}, carrier);
  EXPECT_EQ(carrier.text(), "traceparent: " + valid_header + "\ntracestate: rojo=1,congo=2\n");
}

TEST(TraceContextInject, OmitsAnEmptyTracestate) {
  ListCarrier carrier;
  TraceContextPropagator().inject({span_context(), {}, false}, carrier);
  EXPECT_EQ(carrier.text(), "traceparent: " + valid_header + "\n");
}

TEST(TraceContextInject, WritesNothingWithoutASpan) {
  ListCarrier carrier;
  TraceContextPropagator().inject(Context(), carrier);
  SpanContext half = span_context();
  half.span_id = {};
  TraceContextPropagator().inject({half, {}, false}, carrier);
  EXPECT_EQ(carrier.text(), "");
}

TEST(TraceContextInject, SendsAtMostFiveHundredAndTwelveCharactersOfTracestate) {
  TraceState state;
  for (int i = 0; i < 32; ++i)
    state = state.with("key" + std::to_string(i), "a value of some length");
  ASSERT_GT(state.header().size(), 512U);
  SpanContext context = span_context();
  context.trace_state = state;
  ListCarrier carrier;
  TraceContextPropagator().inject({context, {}, false}, carrier);
  const std::string sent = carrier.fields().at(1).second;
  EXPECT_LE(sent.size(), 512U);
  EXPECT_EQ(state.header().substr(0, sent.size() + 1), sent + ",") << "whole members, from the left";
}

TEST(TraceContextExtract, MakesARemoteSpanContext) {
  const ListCarrier carrier{{"traceparent", valid_header}, {"tracestate", "a=1"}};
  Context context;
  TraceContextPropagator().extract(carrier, context);
  SpanContext expected = span_context(1, "a=1");
  expected.remote = true;
  EXPECT_EQ(context.span, expected);
}

TEST(TraceContextExtract, LeavesWhatIsThereWhenItFindsNothing) {
  const Context before{span_context(3, "x=1"), Baggage().with("a", "1"), true};
  for (const auto& carrier :
       {ListCarrier{}, ListCarrier{{"traceparent", "00-broken"}}, ListCarrier{{"tracestate", "a=1"}}}) {
    Context context = before;
    TraceContextPropagator().extract(carrier, context);
    EXPECT_EQ(context, before) << carrier.text();
  }
}

TEST(TraceContextExtract, ReplacesAnEarlierTracestate) {
  Context context{span_context(3, "x=1"), {}, false};
  TraceContextPropagator().extract(ListCarrier{{"traceparent", valid_header}}, context);
  EXPECT_TRUE(context.span.trace_state.empty());
}

TEST(TraceContextExtract, CountsEveryCauseUnderItsName) {
  const Counted counted;
  Context context;
  const TraceContextPropagator propagator;
  propagator.extract(ListCarrier{{"traceparent", "x"}, {"traceparent", ""}}, context);
  EXPECT_EQ(counted[Counter::extract_malformed_traceparent], 2U);
  propagator.extract(ListCarrier({{"traceparent", valid_header}, {"traceparent", valid_header}}, true),
                     context);
  EXPECT_EQ(counted[Counter::extract_duplicate_traceparent], 1U);
  propagator.extract(ListCarrier{{"traceparent", valid_header}, {"tracestate", "bad"}}, context);
  EXPECT_EQ(counted[Counter::extract_malformed_tracestate], 1U);
}

TEST(TraceContextExtract, CountsNoMistakeForAnEmptyTracestate) {
  const Counted counted;
  for (const char* const empty : {"", " ", ",", " , ,\t"}) {
    Context context;
    TraceContextPropagator().extract(ListCarrier{{"traceparent", valid_header}, {"tracestate", empty}},
                                     context);
    EXPECT_TRUE(context.span.valid());
  }
  EXPECT_EQ(counted[Counter::extract_malformed_tracestate], 0U);
}

TEST(TraceContextExtract, DropsATracestateOfHostileSize) {
  const Counted counted;
  Context context;
  const std::string megabytes(3 << 20, ',');
  TraceContextPropagator().extract(ListCarrier{{"traceparent", valid_header}, {"tracestate", megabytes}},
                                   context);
  EXPECT_TRUE(context.span.valid());
  EXPECT_TRUE(context.span.trace_state.empty());

  std::vector<ListCarrier::Field> many{{"traceparent", valid_header}};
  for (int i = 0; i < 3000; ++i)
    many.emplace_back("tracestate", "a=1                               ");
  TraceContextPropagator().extract(ListCarrier(many), context);
  EXPECT_TRUE(context.span.trace_state.empty());
  EXPECT_EQ(counted[Counter::extract_malformed_tracestate], 2U);
}

TEST(TraceContextExtract, KeepsTheTraceWhenThereIsNoMemoryForItsTracestate) {
  for (const auto& carrier :
       {ListCarrier{{"traceparent", valid_header}, {"tracestate", "a=1"}},
        ListCarrier{{"traceparent", valid_header}, {"tracestate", "a=1"}, {"tracestate", "b=1"}}}) {
    const Counted counted;
    Context context;
    {
      const midtrace::test::NoMemory no_memory;
      TraceContextPropagator().extract(carrier, context);
    }
    EXPECT_TRUE(context.span.valid());
    EXPECT_TRUE(context.span.trace_state.empty());
    EXPECT_EQ(counted[Counter::extract_malformed_tracestate], 0U);
  }
}

TEST(TraceContextMemory, IsNotAllocatedWithoutTracestate) {
  const ListCarrier incoming{{"traceparent", valid_header}};
  midtrace::MapCarrier::Map map{{"traceparent", std::string(60, ' ')}};
  midtrace::MapCarrier outgoing(map);
  Context context;
  const auto before = midtrace::test::allocations();
  TraceContextPropagator().extract(incoming, context);
  TraceContextPropagator().inject(context, outgoing);
  EXPECT_EQ(midtrace::test::allocations(), before);
  EXPECT_EQ(map["traceparent"], valid_header);
}

TEST(TraceContextMemory, IsOneBlockForATracestate) {
  const ListCarrier incoming{{"traceparent", valid_header}, {"tracestate", "a=1,b=2"}};
  Context context;
  const auto before = midtrace::test::allocations();
  TraceContextPropagator().extract(incoming, context);
  EXPECT_EQ(midtrace::test::allocations() - before, 1U);
}

TEST(TraceContextFields, AreTheTwoHeaders) {
  const TraceContextPropagator propagator;
  const auto fields = propagator.fields();
  EXPECT_EQ(std::vector<std::string_view>(fields.begin(), fields.end()),
            (std::vector<std::string_view>{"traceparent", "tracestate"}));
}

}  // namespace
