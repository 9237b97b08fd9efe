// The pauses between attempts, and an answer's body, as pure functions.
#include "retry.h"

#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "response.h"
#include "trace_request.pb.h"

namespace {

using midtrace::otlp::pause_after;
using midtrace::otlp::Protocol;
using midtrace::otlp::read_error_message;
using midtrace::otlp::read_partial_success;
using midtrace::otlp::RetryOptions;
using std::chrono::milliseconds;
using testing::ElementsAre;

std::vector<std::int64_t> pauses(const RetryOptions& retry, double random) {
  std::vector<std::int64_t> result;
  for (std::uint32_t attempts = 1; attempts <= 6; ++attempts)
    result.push_back(pause_after(retry, attempts, random).count());
  return result;
}

TEST(OtlpRetry, PausesGrowUntilTheLongest) {
  EXPECT_THAT(pauses({}, 0.5), ElementsAre(1000, 1500, 2250, 3375, 5000, 5000));
}

TEST(OtlpRetry, PausesAreRandomWithinAFifth) {
  EXPECT_THAT(pauses({}, 0), ElementsAre(800, 1200, 1800, 2700, 4000, 4000));
  EXPECT_THAT(pauses({}, 1), ElementsAre(1200, 1800, 2700, 4050, 6000, 6000));
}

TEST(OtlpRetry, PausesDifferFromEachOtherAndFromAnotherProcess) {
  const RetryOptions retry{.first_pause = milliseconds(10000000), .longest_pause = milliseconds(10000000)};
  midtrace::otlp::Pauses one;
  midtrace::otlp::Pauses other;
  std::set<std::int64_t> seen;
  for (int i = 0; i < 100; ++i) {
    for (midtrace::otlp::Pauses* pauses : {&one, &other}) {
      const milliseconds pause = pauses->after(retry, 1);
      EXPECT_GE(pause, milliseconds(8000000));
      EXPECT_LE(pause, milliseconds(12000000));
      seen.insert(pause.count());
    }
  }
  // Of four million possible ones.
  EXPECT_GT(seen.size(), 190U);
  EXPECT_LT(*seen.begin(), 9000000);
  EXPECT_GT(*seen.rbegin(), 11000000);
}

TEST(OtlpRetry, SenselessOptionsGiveTheNearestSensiblePause) {
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  const double infinite = std::numeric_limits<double>::infinity();
  EXPECT_EQ(pause_after({.growth = not_a_number}, 9, 0.5), milliseconds(1000));
  EXPECT_EQ(pause_after({.growth = -2}, 9, 0.5), milliseconds(1000));
  EXPECT_EQ(pause_after({.growth = infinite}, 9, 0.5), milliseconds(5000));
  EXPECT_EQ(pause_after({.first_pause = milliseconds(0), .growth = infinite}, 9, 0.5), milliseconds(0));
  EXPECT_EQ(pause_after({.first_pause = milliseconds(-5)}, 1, 0.5), milliseconds(0));
  EXPECT_EQ(pause_after({.longest_pause = milliseconds(-5)}, 1, 0.5), milliseconds(0));
  EXPECT_EQ(
      pause_after({.first_pause = milliseconds::max(), .longest_pause = milliseconds::max()}, 4000000000U, 1),
      milliseconds(1000000000));
}

struct JsonCase {
  const char* body;
  std::uint64_t rejected;
  const char* message;
};
TEST(OtlpResponse, PartialSuccessInJsonAsReceiversWriteIt) {
  for (
      const JsonCase& one : {
          JsonCase{"", 0, ""},
          JsonCase{"{}", 0, ""},
          JsonCase{R"({"partialSuccess":{}})", 0, ""},
          JsonCase{R"({"partialSuccess":{"rejectedSpans":"12","errorMessage":"old"}})", 12, "old"},
          JsonCase{" {\n \"partialSuccess\" : { \"rejectedSpans\" : 12 } }", 12, ""},
          JsonCase{
              R"({"other":[{"rejectedSpans":1},"]}",null,-1.5],"partialSuccess":{"x":{},"rejectedSpans":2}})",
              2, ""},
          JsonCase{R"({"partialSuccess":{"errorMessage":"a\"\\\u0042\u20ac\n"}})", 0, "a\"\\B? "},
          JsonCase{R"({"partialSuccess":{"rejectedSpans":-3}})", 0, ""},
          JsonCase{R"({"partialSuccess":{"rejectedSpans":"many"}})", 0, ""},
          JsonCase{R"({"partialSuccess":[1]})", 0, ""},
          JsonCase{"<html>", 0, ""},
      }) {
    const auto partial = read_partial_success(Protocol::http_json, one.body);
    EXPECT_EQ(partial.rejected_spans, one.rejected) << one.body;
    EXPECT_EQ(partial.message, one.message) << one.body;
  }
}

TEST(OtlpResponse, PartialSuccessInProtobufWithFieldsOfAnotherVersion) {
  midtrace_test::otlp::ExportTraceServiceResponse response;
  response.mutable_partial_success()->set_rejected_spans(7);
  response.mutable_partial_success()->set_error_message("old");
  // Field 9, a varint, before and behind.
  const std::string body = "\x48\x01" + response.SerializeAsString() + "\x48\x02";
  const auto partial = read_partial_success(Protocol::http_protobuf, body);
  EXPECT_EQ(partial.rejected_spans, 7U);
  EXPECT_EQ(partial.message, "old");
}

TEST(OtlpResponse, AnErrorsMessage) {
  EXPECT_EQ(read_error_message(Protocol::http_json, R"({"code":3,"message":"bad","details":[]})"), "bad");
  EXPECT_EQ(read_error_message(Protocol::http_json, "<html>Bad Gateway</html>"), "");
  midtrace_test::otlp::RpcStatus status;
  status.set_code(3);
  status.set_message("bad");
  EXPECT_EQ(read_error_message(Protocol::http_protobuf, status.SerializeAsString()), "bad");
  EXPECT_EQ(read_error_message(Protocol::http_protobuf, "<html>Bad Gateway</html>"), "");
}

}  // namespace
