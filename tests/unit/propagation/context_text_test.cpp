// Contexts as text, for places without headers.

#include <midtrace/propagation/context_text.h>

#include <gtest/gtest.h>

#include <string>

#include <midtrace/propagation/propagator.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
namespace {

constexpr const char* traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Context full_context() {
  Context context;
  context.span = parse_traceparent(traceparent);
  context.baggage = Baggage().with("tenant", "a b").with("region", "north", "since=2024");
  return context;
}

TEST(ContextText, IsOneLineForEachField) {
  EXPECT_EQ(context_to_text(full_context()),
            std::string("traceparent: ") + traceparent + "\nbaggage: tenant=a%20b,region=north;since=2024");
}

TEST(ContextText, IsEmptyWithoutAContext) {
  EXPECT_EQ(context_to_text(Context()), "");
  EXPECT_EQ(context_to_text(), "") << "nothing is current";
  EXPECT_EQ(context_from_text(""), Context());
}

TEST(ContextText, ReadsWhatItWrote) {
  const Context context = full_context();
  const Context read = context_from_text(context_to_text(context));
  EXPECT_EQ(read.span, context.span);
  EXPECT_EQ(read.baggage, context.baggage);
  EXPECT_TRUE(read.span.remote);
}

TEST(ContextText, KeepsTheTracestate) {
  const std::string text = std::string("traceparent: ") + traceparent + "\ntracestate: a=1,b=2";
  EXPECT_EQ(context_to_text(context_from_text(text)), text);
}

TEST(ContextText, TakesABareTraceparentAndOtherWritersLines) {
  const SpanContext expected = parse_traceparent(traceparent);
  for (const std::string& text :
       {std::string(traceparent), std::string("  ") + traceparent + " \r\n",
        std::string("x: y\r\ntraceparent:") + traceparent + "\r\n", std::string("\n\n") + traceparent})
    EXPECT_EQ(context_from_text(text).span, expected) << text;
}

TEST(ContextText, MalformedValuesAreAbsentAndCounted) {
  const Counters before = counters();
  EXPECT_FALSE(context_from_text("not a context").span.valid());
  EXPECT_FALSE(context_from_text("traceparent: 00-0-0-0").span.valid());
  EXPECT_EQ(counters()[Counter::extract_malformed_traceparent],
            before[Counter::extract_malformed_traceparent] + 2);
}

}  // namespace
}  // namespace midtrace
