// Several formats in one message: what a service that reads `OTEL_PROPAGATORS` in this order takes from it,
// as headers in, and as headers out of the same formats.
//
// Source: OpenTelemetry Context, Composite Propagator (in the order of the list, the last one overwrites),
// and common/README.md for what the specification leaves open.
#include <midtrace/propagation/propagator.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::Context;
using midtrace_test::ListCarrier;
using Field = ListCarrier::Field;

const std::string ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
const std::string jaeger_ids = "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7";
const std::string other_ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

Field traceparent(const char* flags) { return {"traceparent", "00-" + ids + "-" + flags}; }
Field b3(const std::string& value) { return {"b3", value}; }
Field jaeger(const char* flags) { return {"uber-trace-id", jaeger_ids + ":0:" + flags}; }
const Field state{"tracestate", "a=1"};

std::string forwarded(const char* names, const std::vector<Field>& fields, bool like_http = false) {
  const auto propagator = midtrace::make_propagator(names, [](std::string_view) {});
  Context context;
  propagator->extract(ListCarrier(fields, like_http), context);
  EXPECT_TRUE(context.span.flags.sampled() || !context.span.flags.debug()) << "debug includes sampled";
  ListCarrier out;
  propagator->inject(context, out);
  return out.text();
}

// The value of the line `baggage: ...`.
std::string baggage_of(const std::string& text) {
  const std::string name = "baggage: ";
  const std::size_t at = text.find(name);
  return at == std::string::npos ? "" : text.substr(at + name.size(), text.find('\n', at) - at - name.size());
}

std::string lines(const std::vector<Field>& fields) { return ListCarrier(fields).text(); }

struct Row {
  const char* rule;
  std::vector<Field> fields;
  std::vector<Field> trace_context_first;  // with tracecontext,b3
  std::vector<Field> b3_first;             // with b3,tracecontext; in the order of tracecontext,b3 here
};

TEST(W3cAndB3, TheLastOfTheListCounts) {
  const std::vector<Field> by_traceparent{traceparent("01"), state, b3(ids + "-1")};
  const Row rows[] = {
      {"nothing", {}, {}, {}},
      {"a traceparent alone", {traceparent("01"), state}, by_traceparent, by_traceparent},
      {"B3 alone",
       {b3(ids + "-1")},
       {traceparent("01"), b3(ids + "-1")},
       {traceparent("01"), b3(ids + "-1")}},
      {"the same ids and decision",
       {traceparent("01"), state, b3(ids + "-1")},
       by_traceparent,
       by_traceparent},
      {"other ids, whose trace has no tracestate",
       {traceparent("01"), state, b3(other_ids + "-0")},
       {{"traceparent", "00-" + other_ids + "-00"}, b3(other_ids + "-0")},
       by_traceparent},
      {"the same ids, another decision",
       {traceparent("01"), state, b3(ids + "-0")},
       {traceparent("00"), state, b3(ids + "-0")},
       by_traceparent},
      {"no decision in B3: that of the traceparent",
       {traceparent("01"), state, b3(ids)},
       by_traceparent,
       by_traceparent},
      {"force is kept, which a traceparent cannot say",
       {traceparent("01"), state, b3(ids + "-d")},
       {traceparent("01"), state, b3(ids + "-d")},
       {traceparent("01"), state, b3(ids + "-d")}},
      {"but not against the decision of the last",
       {traceparent("00"), state, b3(ids + "-d")},
       {traceparent("01"), state, b3(ids + "-d")},
       {traceparent("00"), state, b3(ids + "-0")}},
      {"the random flag is kept, which B3 cannot say",
       {traceparent("03"), b3(ids + "-1")},
       {traceparent("03"), b3(ids + "-1")},
       {traceparent("03"), b3(ids + "-1")}},
      {"a denial without ids gives way to a traceparent, in either order",
       {traceparent("01"), state, b3("0")},
       by_traceparent,
       by_traceparent},
      {"and so does force",
       {traceparent("00"), b3("d")},
       {traceparent("00"), b3(ids + "-0")},
       {traceparent("00"), b3(ids + "-0")}},
      {"without a traceparent it holds", {b3("0"), state}, {b3("0")}, {b3("0")}},
      {"also next to one that cannot be read",
       {{"traceparent", "00-bad"}, state, b3("0")},
       {b3("0")},
       {b3("0")}},
      {"ids next to one that cannot be read",
       {{"traceparent", "00-bad"}, state, b3(ids + "-1")},
       {traceparent("01"), b3(ids + "-1")},
       {traceparent("01"), b3(ids + "-1")}},
      {"B3 that cannot be read", {traceparent("01"), state, b3("x")}, by_traceparent, by_traceparent},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(forwarded("tracecontext,b3", row.fields), lines(row.trace_context_first)) << row.rule;
    std::vector<Field> sent;  // b3,tracecontext writes B3 first
    for (const auto& field : row.b3_first)
      sent.insert(field.first == "b3" ? sent.begin() : sent.end(), field);
    EXPECT_EQ(forwarded("b3,tracecontext", row.fields), lines(sent)) << row.rule << ", b3 first";
  }
}

TEST(W3cAndB3, B3CountsWhereARepeatedTraceparentDoesNot) {
  const std::vector<Field> fields{traceparent("01"), traceparent("01"), state, {"B3", other_ids + "-1"}};
  EXPECT_EQ(forwarded("tracecontext,b3", fields, true),
            lines({{"traceparent", "00-" + other_ids + "-01"}, b3(other_ids + "-1")}));
  EXPECT_EQ(forwarded("b3,tracecontext", fields, true),
            lines({b3(other_ids + "-1"), {"traceparent", "00-" + other_ids + "-01"}}));
}

struct JaegerRow {
  const char* rule;
  const char* names;
  std::vector<Field> fields;
  std::vector<Field> sent;
};

TEST(B3AndJaeger, AgreeOnForce) {
  const JaegerRow rows[] = {
      {"forced by both", "b3,jaeger", {b3(ids + "-d"), jaeger("3")}, {b3(ids + "-d"), jaeger("3")}},
      {"forced by the first", "b3,jaeger", {b3(ids + "-d"), jaeger("1")}, {b3(ids + "-d"), jaeger("3")}},
      {"denied by the last", "b3,jaeger", {b3(ids + "-d"), jaeger("0")}, {b3(ids + "-0"), jaeger("0")}},
      {"denied by the first", "jaeger,b3", {jaeger("0"), b3(ids + "-d")}, {jaeger("3"), b3(ids + "-d")}},
      {"left open by the last", "jaeger,b3", {jaeger("3"), b3(ids)}, {jaeger("3"), b3(ids + "-d")}},
  };
  for (const auto& row : rows)
    EXPECT_EQ(forwarded(row.names, row.fields), lines(row.sent)) << row.rule;
}

struct BaggageRow {
  const char* rule;
  const char* names;
  std::vector<Field> fields;
  std::string baggage;  // sent in the format of W3C
};

TEST(W3cBaggageAndJaeger, W3cReplacesAndJaegerAdds) {
  const std::vector<Field> both{{"baggage", "a=1;p,b=2"}, {"uberctx-b", "3"}, {"uberctx-c", "4"}};
  const BaggageRow rows[] = {
      {"Jaeger adds, and overwrites", "baggage,jaeger", both, "a=1;p,b=3,c=4"},
      {"W3C replaces", "jaeger,baggage", both, "a=1;p,b=2"},
      {"the same value keeps its metadata",
       "baggage,jaeger",
       {{"baggage", "a=x%20y;p"}, {"uberctx-a", "x y"}},
       "a=x%20y;p"},
      {"another value has none", "baggage,jaeger", {{"baggage", "a=1;p"}, {"uberctx-a", "2"}}, "a=2"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(baggage_of(forwarded(row.names, row.fields)), row.baggage) << row.rule;

  const BaggageRow on_http[] = {
      {"W3C knows the case",
       "baggage,jaeger",
       {{"baggage", "userId=1"}, {"Uberctx-Userid", "1"}},
       "userId=1"},
      {"and keeps its metadata",
       "baggage,jaeger",
       {{"baggage", "userId=x%20y;p"}, {"Uberctx-Userid", "x+y"}},
       "userId=x%20y;p"},
      {"the same name first",
       "baggage,jaeger",
       {{"baggage", "a=1,A=2"}, {"uberctx-A", "3"}, {"uberctx-a", "4"}},
       "a=4,A=3"},
      {"in lower case what W3C does not know",
       "baggage,jaeger",
       {{"baggage", "a=1"}, {"Uberctx-B", "2"}},
       "a=1,b=2"},
  };
  for (const auto& row : on_http)
    EXPECT_EQ(baggage_of(forwarded(row.names, row.fields, true)), row.baggage) << row.rule << ", on HTTP";
}

}  // namespace
