// Log lines find their trace: the current ids as text.
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include <midtrace/context/log_ids.h>
#include <midtrace/export/json_string.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

TEST(LogIds, areThoseOfTheCurrentSpan) {
  Context context;
  context.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const Scope scope(context);
  const LogIds ids = current_log_ids();
  EXPECT_FALSE(ids.empty());
  EXPECT_EQ(ids.trace_id(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(ids.span_id(), "b7ad6b7169203331");
  EXPECT_EQ(ids.trace_flags(), "01");
}

TEST(LogIds, areThereForSpansThatAreNotSampled) {
  const LogIds ids(parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
  EXPECT_EQ(ids.trace_id(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(ids.trace_flags(), "00");
}

TEST(LogIds, showNoFlagThatStaysInThisProcess) {
  for (const std::uint8_t own : {TraceFlags::debug_bit, TraceFlags::deferred_bit}) {
    SpanContext context = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03");
    context.flags.bits |= own;
    EXPECT_EQ(LogIds(context).trace_flags(), "03");
  }
}

TEST(LogIds, areEmptyWithoutASpan) {
  const LogIds ids = current_log_ids();
  EXPECT_TRUE(ids.empty());
  EXPECT_EQ(ids.trace_id(), "");
  EXPECT_EQ(ids.span_id(), "");
  EXPECT_EQ(ids.trace_flags(), "");
}

TEST(JsonString, isEscapedAndAddedToWhatIsThere) {
  std::string out = "x";
  append_json_string(out, "a \"quote\"\n\x01\xFF");
  EXPECT_EQ(out, "x\"a \\\"quote\\\"\\n\\u0001\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace midtrace
