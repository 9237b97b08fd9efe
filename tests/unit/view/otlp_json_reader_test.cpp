#include "otlp_json_reader.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace midtrace::view {
namespace {

using waterfall::Kind;
using waterfall::Span;
using waterfall::Status;

Reading read(std::string_view text) {
  Reading reading;
  read_otlp_json(text, reading);
  return reading;
}

// A document with one span; `members` are further members of that span.
std::string document(const std::string& members = "", const std::string& id = "00f067aa0ba902b7") {
  return R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},)"
         R"("scopeSpans":[{"scope":{"name":"x"},"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":")" +
         id + R"(","name":"GET")" + (members.empty() ? "" : ",") + members + "}]}]}]}";
}

Span only_span(const std::string& members) {
  Reading reading = read(document(members));
  EXPECT_EQ(reading.problems.size(), 0U) << (reading.problems.empty() ? "" : reading.problems[0].reason);
  EXPECT_EQ(reading.spans.size(), 1U);
  return reading.spans.empty() ? Span() : reading.spans.front();
}

std::string attribute_text(const std::string& any_value) {
  const Span span = only_span(R"("attributes":[{"key":"k","value":)" + any_value + "}]");
  return span.attributes.empty() ? "nothing" : span.attributes.front().second;
}

TEST(Reader, FillsEveryFieldOfASpan) {
  const Span span =
      only_span(R"("parentSpanId":"b7ad6b7169203331","kind":4,"startTimeUnixNano":"1763705642120000000",
      "endTimeUnixNano":"1763705642130000000","status":{"code":2,"message":"timed out"},"droppedLinksCount":3,
      "links":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203332"}],
      "attributes":[{"key":"error.type","value":{"stringValue":"timeout"}}])");
  EXPECT_EQ(span.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(span.span_id, "00f067aa0ba902b7");
  EXPECT_EQ(span.parent_span_id, "b7ad6b7169203331");
  EXPECT_EQ(span.name, "GET");
  EXPECT_EQ(span.service, "shop");
  EXPECT_EQ(span.kind, Kind::kProducer);
  EXPECT_EQ(span.start_unix_nanos, 1763705642120000000);
  EXPECT_EQ(span.end_unix_nanos, 1763705642130000000);
  EXPECT_EQ(span.status, Status::kError);
  EXPECT_EQ(span.status_message, "timed out");
  EXPECT_EQ(span.dropped_links, 3U);
  ASSERT_EQ(span.links.size(), 1U);
  EXPECT_EQ(span.links[0].trace_id, "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(span.links[0].span_id, "b7ad6b7169203332");
  EXPECT_EQ(span.attributes, (std::vector<std::pair<std::string, std::string>>{{"error.type", "timeout"}}));
}

TEST(Reader, TakesIdsInEitherCaseAndInBase64) {
  EXPECT_EQ(read(document("", "00F067AA0BA902B7")).spans.at(0).span_id, "00f067aa0ba902b7");
  EXPECT_EQ(read(document("", "APBnqgupArc=")).spans.at(0).span_id, "00f067aa0ba902b7");
  EXPECT_EQ(read(R"({"resourceSpans":[{"scopeSpans":[{"spans":[
      {"traceId":"S/kvNXezTaajzpKdDg5HNg==","spanId":"APBnqgupArc="}]}]}]})")
                .spans.at(0)
                .trace_id,
            "4bf92f3577b34da6a3ce929d0e0e4736");
}

TEST(Reader, TakesAnAllZeroOrEmptyParentForNone) {
  EXPECT_EQ(only_span(R"("parentSpanId":"0000000000000000")").parent_span_id, "");
  EXPECT_EQ(only_span(R"("parentSpanId":"")").parent_span_id, "");
  EXPECT_EQ(only_span(R"("parentSpanId":null)").parent_span_id, "");
}

TEST(Reader, TakesTimesAsStringsAndAsNumbers) {
  EXPECT_EQ(only_span(R"("startTimeUnixNano":1763705642120000000)").start_unix_nanos, 1763705642120000000);
  EXPECT_EQ(only_span(R"("startTimeUnixNano":1.5e18)").start_unix_nanos, 1500000000000000000);
  EXPECT_EQ(only_span(R"("startTimeUnixNano":"18446744073709551615")").start_unix_nanos,
            std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(only_span(R"("startTimeUnixNano":1e300)").start_unix_nanos,
            std::numeric_limits<std::int64_t>::max());
}

TEST(Reader, TakesEnumsByNumberAndByName) {
  EXPECT_EQ(only_span(R"("kind":"SPAN_KIND_CONSUMER")").kind, Kind::kConsumer);
  EXPECT_EQ(only_span(R"("kind":"CLIENT")").kind, Kind::kClient);
  EXPECT_EQ(only_span(R"("kind":"2")").kind, Kind::kServer);
  EXPECT_EQ(only_span(R"("kind":77)").kind, Kind::kUnspecified);
  EXPECT_EQ(only_span(R"("kind":"SPAN_KIND_NEW")").kind, Kind::kUnspecified);
  EXPECT_EQ(only_span(R"("status":{"code":"STATUS_CODE_ERROR"})").status, Status::kError);
  EXPECT_EQ(only_span(R"("status":{})").status, Status::kUnset);
}

TEST(Reader, RendersEveryKindOfAttributeValue) {
  EXPECT_EQ(attribute_text(R"({"stringValue":"a b"})"), "a b");
  EXPECT_EQ(attribute_text(R"({"intValue":"-9007199254740993"})"), "-9007199254740993");
  EXPECT_EQ(attribute_text(R"({"intValue":42})"), "42");
  EXPECT_EQ(attribute_text(R"({"boolValue":true})"), "true");
  EXPECT_EQ(attribute_text(R"({"doubleValue":0.25})"), "0.25");
  EXPECT_EQ(attribute_text(R"({"doubleValue":"NaN"})"), "NaN");
  EXPECT_EQ(attribute_text(R"({"bytesValue":"AQI="})"), "AQI=");
  EXPECT_EQ(attribute_text(R"({"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"b"}]}})"), "[1, b]");
  EXPECT_EQ(
      attribute_text(R"({"kvlistValue":{"values":[{"key":"x","value":{"intValue":"1"}},{"key":"y"}]}})"),
      "{x: 1, y: }");
  EXPECT_EQ(attribute_text("{}"), "");
}

TEST(Reader, CutsAttributeValuesThatNestWithoutEnd) {
  std::string value = R"({"intValue":"1"})";
  for (int i = 0; i < 5000; ++i) {
    value = R"({"arrayValue":{"values":[)" + value + "]}}";
  }
  EXPECT_LT(attribute_text(value).size(), 100U);
}

TEST(Reader, ReadsTheSameFromLinesFromOnePrettyDocumentAndFromSeveralInARow) {
  const std::string first = document("", "0000000000000001");
  const std::string second = document("", "0000000000000002");
  std::string pretty;
  for (const char c : first) {
    pretty += c;
    pretty += c == '{' || c == ',' || c == '[' ? "\n  " : "";
  }
  for (const std::string& text :
       {first + "\n" + second + "\n", first + "\r\n\r\n" + second, first + second, pretty + "\n" + second,
        "\xEF\xBB\xBF" + first + second, "[" + first + ",\n" + second + "]"}) {
    const Reading reading = read(text);
    EXPECT_EQ(reading.problems.size(), 0U) << text;
    ASSERT_EQ(reading.spans.size(), 2U) << text;
    EXPECT_EQ(reading.spans[1].span_id, "0000000000000002");
  }
}

TEST(Reader, IgnoresUnknownFieldsAndOtherSignals) {
  EXPECT_EQ(only_span(R"("flags":257,"traceState":"a=b","future":{"x":[1]})").name, "GET");
  const Reading reading = read("{\"resourceMetrics\":[]}\n{\"resourceLogs\":[{}]}\n{}\n");
  EXPECT_TRUE(reading.spans.empty());
  EXPECT_TRUE(reading.problems.empty());
}

TEST(Reader, TakesTheOldNameOfScopes) {
  const Reading reading = read(R"({"resourceSpans":[{"instrumentationLibrarySpans":[{"spans":[
      {"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7"}]}]}]})");
  EXPECT_EQ(reading.spans.size(), 1U);
}

TEST(Reader, DescribesAMalformedLineAndReadsTheRest) {
  const Reading reading = read(document() + "\n{\"resourceSpans\":oops}\n" + document() + "\n");
  EXPECT_EQ(reading.spans.size(), 2U);
  ASSERT_EQ(reading.problems.size(), 1U);
  EXPECT_EQ(reading.problems[0].line, 2U);
  EXPECT_TRUE(reading.problems[0].reason.starts_with("column 18: syntax error"))
      << reading.problems[0].reason;
}

TEST(Reader, DescribesANumberBeyondEveryDoubleAndReadsTheRest) {
  for (const char* number : {"1e309", "-1e30000000"}) {
    const Reading reading = read(document() + "\n{\"resourceSpans\":" + number + "}\n" + document() + "\n");
    EXPECT_EQ(reading.spans.size(), 2U);
    ASSERT_EQ(reading.problems.size(), 1U);
    EXPECT_EQ(reading.problems[0].line, 2U);
    EXPECT_EQ(reading.problems[0].reason, "number overflow parsing '" + std::string(number) + "'");
  }
}

TEST(Reader, LosesOnlyTheLineAWriterWasCutOffIn) {
  const std::string line = document();
  for (std::size_t cut = 1; cut < line.size(); ++cut) {
    const Reading reading = read(line + "\n" + line.substr(0, cut) + "\n" + line + "\n");
    ASSERT_EQ(reading.spans.size(), 2U) << cut;
    ASSERT_EQ(reading.problems.size(), 1U) << cut;
    ASSERT_EQ(reading.problems[0].line, 2U) << cut;
  }
}

TEST(Reader, SaysHowFarItHadToSkip) {
  const Reading reading = read("starting up\nlistening\n" + document());
  EXPECT_EQ(reading.spans.size(), 1U);
  ASSERT_EQ(reading.problems.size(), 1U);
  EXPECT_NE(reading.problems[0].reason.find("(left out up to line 2)"), std::string::npos);
}

TEST(Reader, FindsTheLineOfAMistakeInAPrettyDocument) {
  const Reading reading = read("{\n  \"resourceSpans\": [\n    oops\n  ]\n}\n" + document());
  EXPECT_EQ(reading.spans.size(), 1U);
  ASSERT_EQ(reading.problems.size(), 1U);
  EXPECT_EQ(reading.problems[0].line, 3U);
}

TEST(Reader, LeavesOutSpansWithoutIdsAndSaysSo) {
  const Reading reading = read(document("", "xyz") + "\n" + document());
  EXPECT_EQ(reading.spans.size(), 1U);
  ASSERT_EQ(reading.problems.size(), 1U);
  EXPECT_EQ(reading.problems[0].reason, "span \"GET\" has no valid spanId");
}

TEST(Reader, SurvivesFieldsOfTheWrongType) {
  for (const char* text :
       {"42", "\"text\"", "null", "[1]", R"({"resourceSpans":7})", R"({"resourceSpans":[7]})",
        R"({"resourceSpans":[{"resource":3,"scopeSpans":{}}]})"}) {
    EXPECT_TRUE(read(text).spans.empty()) << text;
  }
  EXPECT_EQ(read(document(R"("links":[1],"attributes":{},"status":5,"kind":[],"startTimeUnixNano":{})"))
                .spans.size(),
            1U);
}

TEST(Reader, TakesLinearTimeForBracketsThatNeverClose) {
  std::string braces;
  for (int i = 0; i < 50000; ++i) {
    braces += "{\n";
  }
  EXPECT_TRUE(read(braces).spans.empty());
  EXPECT_TRUE(read(std::string(1000000, '[')).spans.empty());
}

}  // namespace
}  // namespace midtrace::view
