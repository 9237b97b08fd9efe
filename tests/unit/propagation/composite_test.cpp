#include <midtrace/propagation/propagator.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "list_carrier.h"

namespace {

using midtrace::Baggage;
using midtrace::BaggagePropagator;
using midtrace::CompositePropagator;
using midtrace::Context;
using midtrace::Propagator;
using midtrace::TraceContextPropagator;
using midtrace_test::ListCarrier;

const std::string valid_header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

std::string fields(const Propagator& propagator) {
  std::string result;
  for (const auto field : propagator.fields())
    result += std::string(field) + " ";
  return result;
}

TEST(CompositePropagator, AppliesItsPartsInOrder) {
  const CompositePropagator both(
      {std::make_shared<BaggagePropagator>(), std::make_shared<TraceContextPropagator>()});
  Context context;
  both.extract(ListCarrier{{"baggage", "a=1"}, {"traceparent", valid_header}}, context);
  EXPECT_TRUE(context.span.valid());
  EXPECT_EQ(context.baggage, Baggage().with("a", "1"));
  ListCarrier out;
  both.inject(context, out);
  EXPECT_EQ(out.text(), "baggage: a=1\ntraceparent: " + valid_header + "\n");
}

TEST(CompositePropagator, NamesEveryFieldOnceAndIgnoresNullParts) {
  const CompositePropagator three({std::make_shared<TraceContextPropagator>(), nullptr,
                                   std::make_shared<BaggagePropagator>(),
                                   std::make_shared<TraceContextPropagator>()});
  EXPECT_EQ(fields(three), "traceparent tracestate baggage ");
}

TEST(CompositePropagator, OfNothingDoesNothing) {
  const CompositePropagator nothing({});
  Context context;
  nothing.extract(ListCarrier{{"traceparent", valid_header}}, context);
  EXPECT_EQ(context, Context());
  EXPECT_EQ(fields(nothing), "");
}

#define B3_FIELDS "b3 x-b3-traceid x-b3-spanid x-b3-parentspanid x-b3-sampled x-b3-flags "

struct Choice {
  const char* names;
  const char* fields;
  const char* unknown;
};

TEST(MakePropagator, FollowsTheRulesOfOtelPropagators) {
  const Choice choices[] = {
      {"tracecontext,baggage", "traceparent tracestate baggage ", ""},
      {"tracecontext", "traceparent tracestate ", ""},
      {"baggage", "baggage ", ""},
      {" TraceContext ,\tBAGGAGE ", "traceparent tracestate baggage ", ""},
      {"baggage,baggage", "baggage ", ""},
      {"none", "", ""},
      {"NONE", "", ""},
      {"none,baggage", "baggage ", "none;"},
      {"b3,tracecontext", B3_FIELDS "traceparent tracestate ", ""},
      {"b3multi", B3_FIELDS, ""},
      {"b3,B3Multi,b3", B3_FIELDS, ""},
      {"Jaeger,b3", "uber-trace-id " B3_FIELDS, ""},
      {"tracecontext,baggage,b3,b3multi,jaeger", "traceparent tracestate baggage " B3_FIELDS "uber-trace-id ",
       ""},
      {"xray,ottrace,baggage", "baggage ", "xray;ottrace;"},
      {"tracecontxt", "traceparent tracestate baggage ", "tracecontxt;"},
      {"none,xray", "", "xray;"},
      {"b3,none", B3_FIELDS, "none;"},
      {"", "traceparent tracestate baggage ", ""},
      {" , ", "traceparent tracestate baggage ", ""},
  };
  for (const auto& choice : choices) {
    std::string unknown;
    const auto made = midtrace::make_propagator(
        choice.names, [&unknown](std::string_view name) { unknown += std::string(name) + ";"; });
    ASSERT_NE(made, nullptr);
    EXPECT_EQ(fields(*made), choice.fields) << choice.names;
    EXPECT_EQ(unknown, choice.unknown) << choice.names;
  }
}

}  // namespace
