// What happens when the receiver refuses, breaks, hangs or is not there. Every batch is delivered, or counted
// with its reason; nobody but the collector thread ever waits.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <thread>

#include "fixture.h"
#include "support/child_process.h"
#include "support/waits.h"

namespace {

using midtrace::BatchOptions;
using midtrace::otlp::ExporterOptions;
using midtrace::otlp::Protocol;
using midtrace_test::OtlpHttp;
using midtrace_test::quick_retry;
using midtrace_test::span_names;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

std::string encoded(const google::protobuf::Message& message) { return message.SerializeAsString(); }

std::string partial_success(std::int64_t rejected, const std::string& text) {
  midtrace_test::otlp::ExportTraceServiceResponse response;
  response.mutable_partial_success()->set_rejected_spans(rejected);
  response.mutable_partial_success()->set_error_message(text);
  return encoded(response);
}

// --- answers

class OtlpStatus : public OtlpHttp, public testing::WithParamInterface<int> {};

using OtlpRetryable = OtlpStatus;
TEST_P(OtlpRetryable, IsTriedAgainUntilItGoesWell) {
  HttpServer server({{.status = GetParam()}, {.status = GetParam()}, {}});
  ASSERT_TRUE(start(to(server)).ok());
  trace(2);
  EXPECT_TRUE(flush());
  EXPECT_THAT(server.requests(), SizeIs(3));
  EXPECT_EQ(server.requests()[0].body, server.requests()[2].body);
  EXPECT_EQ(counted(Counter::export_retries), 2U);
  EXPECT_EQ(counted(Counter::spans_exported), 2U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 0U);
  EXPECT_THAT(reports(), IsEmpty());
}
TEST_P(OtlpRetryable, IsGivenUpAfterTheLastAttempt) {
  HttpServer server({{.status = GetParam()}});
  ASSERT_TRUE(start(to(server)).ok());
  trace(2);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), SizeIs(3));
  EXPECT_EQ(counted(Counter::export_retries), 2U);
  EXPECT_EQ(counted(Counter::export_lost_refused), 2U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 2U);
  EXPECT_THAT(reports(), ElementsAre(AllOf(HasSubstr("answered " + std::to_string(GetParam())),
                                           HasSubstr("(attempt 3)"), HasSubstr(server.url()))));
}
INSTANTIATE_TEST_SUITE_P(Statuses, OtlpRetryable, testing::Values(429, 502, 503, 504),
                         testing::PrintToStringParamName());

using OtlpFinal = OtlpStatus;
TEST_P(OtlpFinal, IsNeverTriedAgain) {
  HttpServer server({{.status = GetParam(), .headers = {{"Retry-After", "1"}, {"Location", "/other"}}}});
  ASSERT_TRUE(start(to(server)).ok());
  trace(2);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(counted(Counter::export_retries), 0U);
  EXPECT_EQ(counted(Counter::export_lost_refused), 2U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 2U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("answered " + std::to_string(GetParam()))));
}
INSTANTIATE_TEST_SUITE_P(Statuses, OtlpFinal,
                         testing::Values(301, 307, 400, 401, 403, 404, 408, 413, 500, 501),
                         testing::PrintToStringParamName());

TEST_F(OtlpHttp, AnErrorsMessageIsReported) {
  midtrace_test::otlp::RpcStatus status;
  status.set_message("span 3 has no name");
  HttpServer server({{.status = 400, .body = encoded(status)}});
  ASSERT_TRUE(start(to(server)).ok());
  trace();
  EXPECT_FALSE(flush());
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("answered 400 \"span 3 has no name\"")));
}

TEST_F(OtlpHttp, TheNextBatchIsSentAfterOneWasLost) {
  HttpServer server({{.status = 400}, {}});
  ASSERT_TRUE(start(to(server)).ok());
  trace(1, "lost");
  EXPECT_FALSE(flush());
  trace(1, "delivered");
  EXPECT_TRUE(flush());
  ASSERT_THAT(server.requests(), SizeIs(2));
  EXPECT_THAT(span_names(server.requests()[1].body), ElementsAre("delivered"));
}

// --- Retry-After

TEST_F(OtlpHttp, RetryAfterInSecondsReplacesThePause) {
  HttpServer server({{.status = 503, .headers = {{"Retry-After", "1"}}}, {}});
  ASSERT_TRUE(start(to(server)).ok());
  trace();
  const auto begin = steady_clock::now();
  EXPECT_TRUE(flush());
  EXPECT_GE(steady_clock::now() - begin, milliseconds(950));
  EXPECT_THAT(server.requests(), SizeIs(2));
}

TEST_F(OtlpHttp, RetryAfterAsADateReplacesThePause) {
  const std::time_t soon = std::time(nullptr) + 2;
  std::tm parts{};
  gmtime_r(&soon, &parts);
  char date[64];
  std::strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  HttpServer server({{.status = 429, .headers = {{"Retry-After", date}}}, {}});
  ASSERT_TRUE(start(to(server)).ok());
  trace();
  const auto begin = steady_clock::now();
  EXPECT_TRUE(flush());
  EXPECT_GE(steady_clock::now() - begin, milliseconds(900));
  EXPECT_THAT(server.requests(), SizeIs(2));
}

TEST_F(OtlpHttp, ARetryAfterBeyondTheDeadlineIsNotWaitedFor) {
  HttpServer server({{.status = 503, .headers = {{"Retry-After", "3600"}}}});
  ASSERT_TRUE(start(to(server)).ok());
  trace();
  const auto begin = steady_clock::now();
  EXPECT_FALSE(flush());
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
  EXPECT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(counted(Counter::export_lost_refused), 1U);
}

// --- partial success

TEST_F(OtlpHttp, PartialSuccessIsCountedAndReportedAndNotRepeated) {
  HttpServer server({{.body = partial_success(2, "two are too old")}});
  ASSERT_TRUE(start(to(server)).ok());
  trace(5);
  EXPECT_TRUE(flush());
  EXPECT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(counted(Counter::spans_rejected), 2U);
  EXPECT_EQ(counted(Counter::spans_exported), 5U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("rejected 2 spans of a batch: \"two are too old\"")));
}

TEST_F(OtlpHttp, AMessageWithoutRejectedSpansIsAWarning) {
  HttpServer server({{.body = partial_success(0, "use version 2")}});
  ASSERT_TRUE(start(to(server)).ok());
  trace();
  EXPECT_TRUE(flush());
  EXPECT_EQ(counted(Counter::spans_rejected), 0U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("accepted a batch with a warning: \"use version 2\"")));
}

TEST_F(OtlpHttp, PartialSuccessInJson) {
  HttpServer server(
      {{.body = R"({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too \"old\""}})"}});
  ExporterOptions options = to(server);
  options.protocol = Protocol::http_json;
  ASSERT_TRUE(start(std::move(options)).ok());
  trace(5);
  EXPECT_TRUE(flush());
  EXPECT_EQ(counted(Counter::spans_rejected), 3U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("rejected 3 spans of a batch: \"too \"old\"\"")));
}

TEST_F(OtlpHttp, AnEmptyOrSenselessAnswerOf200IsSuccess) {
  HttpServer server({{}, {.body = "<html>welcome</html>"}, {.body = std::string("\x0A\xFF\xFF", 3)}});
  ASSERT_TRUE(start(to(server)).ok());
  for (int i = 0; i < 3; ++i) {
    trace();
    EXPECT_TRUE(flush());
  }
  EXPECT_EQ(counted(Counter::spans_exported), 3U);
  EXPECT_THAT(reports(), IsEmpty());
}

// --- connections

TEST_F(OtlpHttp, NobodyListeningIsTriedAgainAndCounted) {
  ExporterOptions options;
  options.endpoint =
      "http://127.0.0.1:" + std::to_string(midtrace::test::free_loopback_port()) + "/v1/traces";
  options.retry = quick_retry();
  ASSERT_TRUE(start(std::move(options)).ok());
  trace(4);
  EXPECT_FALSE(flush());
  EXPECT_EQ(counted(Counter::export_retries), 2U);
  EXPECT_EQ(counted(Counter::export_lost_connection), 4U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 4U);
  EXPECT_THAT(reports(),
              ElementsAre(HasSubstr("start the receiver, or correct OTEL_EXPORTER_OTLP_ENDPOINT")));
}

TEST_F(OtlpHttp, AHostThatDoesNotExistIsCounted) {
  ExporterOptions options;
  options.endpoint = "http://nowhere.invalid:4318/v1/traces";
  options.retry = quick_retry(1);
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  EXPECT_FALSE(flush());
  EXPECT_EQ(counted(Counter::export_lost_connection), 1U);
}

TEST_F(OtlpHttp, AConnectionThatIsResetIsTriedAgain) {
  HttpServer server({{.fault = Fault::reset_before_answer}, {}});
  ASSERT_TRUE(start(to(server)).ok());
  trace();
  EXPECT_TRUE(flush());
  EXPECT_THAT(server.requests(), SizeIs(2));
  EXPECT_EQ(counted(Counter::export_retries), 1U);
}

TEST_F(OtlpHttp, AnAnswerThatBreaksOffIsTriedAgain) {
  HttpServer server({{.body = std::string(1000, 'x'), .fault = Fault::reset_in_body}, {}});
  ASSERT_TRUE(start(to(server)).ok());
  trace();
  EXPECT_TRUE(flush());
  EXPECT_THAT(server.requests(), SizeIs(2));
}

// One batch that fits into no socket's buffers, so that the request is still being written when the receiver
// fails.
constexpr std::uint32_t large_batch = 80;
constexpr BatchOptions one_large_batch{
    .export_batch_size = large_batch, .schedule_delay = seconds(60), .memory_bytes = 256U << 20U};
void trace_large_batch() {
  const std::string value(250000, 'v');
  for (std::uint32_t i = 0; i < large_batch; ++i) {
    midtrace::Span span = midtrace::Tracer::get("otlp_test").start("large");
    span.set("value", value);
  }
}

TEST_F(OtlpHttp, ARequestThatIsResetHalfWayIsTriedAgain) {
  HttpServer server({{.fault = Fault::reset_in_request}, {}});
  ASSERT_TRUE(start(to(server), one_large_batch).ok());
  trace_large_batch();
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_LT(requests[0].body.size(), requests[1].body.size());
  EXPECT_GT(requests[1].body.size(), 20000000U);
  EXPECT_THAT(span_names(requests[1].body), SizeIs(large_batch));
  EXPECT_EQ(counted(Counter::export_retries), 1U);
  EXPECT_EQ(counted(Counter::spans_exported), large_batch);
}

TEST_F(OtlpHttp, ARequestThatIsAlwaysResetIsLostAndCounted) {
  HttpServer server({{.fault = Fault::reset_in_request}});
  ASSERT_TRUE(start(to(server), one_large_batch).ok());
  trace_large_batch();
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), SizeIs(3));
  EXPECT_EQ(counted(Counter::export_retries), 2U);
  EXPECT_EQ(counted(Counter::export_lost_connection), large_batch);
  EXPECT_EQ(counted(Counter::dropped_export_failed), large_batch);
}

TEST_F(OtlpHttp, AReceiverThatStopsReadingEndsWithTheTimeout) {
  HttpServer server({{.fault = Fault::stop_reading}, {}});
  ExporterOptions options = to(server);
  options.timeout = milliseconds(2000);
  options.retry = quick_retry(1);
  ASSERT_TRUE(start(std::move(options), one_large_batch).ok());
  trace_large_batch();
  EXPECT_FALSE(flush());
  EXPECT_EQ(counted(Counter::export_lost_timeout), large_batch);
  trace(1, "next");
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_THAT(span_names(requests[1].body), ElementsAre("next"));
  EXPECT_EQ(requests[1].connection, 2U);
}

TEST_F(OtlpHttp, AShutdownEndsARequestThatIsNotRead) {
  HttpServer server({{.fault = Fault::stop_reading}});
  ExporterOptions options = to(server);
  options.timeout = milliseconds(0);
  ASSERT_TRUE(start(std::move(options), one_large_batch).ok());
  trace_large_batch();
  std::thread flushing([this] { EXPECT_FALSE(flush()); });  // as one batch, at once
  EXPECT_TRUE(server.wait_for_requests(1));
  const auto begin = steady_clock::now();
  telemetry_.shutdown(milliseconds(300));
  EXPECT_LT(steady_clock::now() - begin, seconds(3));
  flushing.join();
  EXPECT_EQ(counted(Counter::export_lost_timeout), large_batch);
}

TEST_F(OtlpHttp, ARefusalThatBreaksOffIsARefusal) {
  HttpServer server({{.status = 400, .body = std::string(1000, 'x'), .fault = Fault::reset_in_body}});
  ASSERT_TRUE(start(to(server)).ok());
  trace();
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(counted(Counter::export_lost_refused), 1U);
}

TEST_F(OtlpHttp, AnAnswerOverTheLimitIsNotRead) {
  HttpServer server({{.body = std::string(100000, 'x')}});
  ExporterOptions options = to(server);
  options.response_bytes = 5000;
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(counted(Counter::export_lost_size), 1U);
}

// --- time

TEST_F(OtlpHttp, AnAttemptEndsWithItsTimeout) {
  HttpServer server({{.fault = Fault::never}, {}});
  ExporterOptions options = to(server);
  options.timeout = milliseconds(200);
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  EXPECT_TRUE(flush());
  EXPECT_THAT(server.requests(), SizeIs(2));
  EXPECT_EQ(counted(Counter::export_retries), 1U);
}

TEST_F(OtlpHttp, AnAnswerThatDripsEndsWithTheTimeoutToo) {
  HttpServer server({{.body = std::string(10000, 'x'), .fault = Fault::drip}});
  ExporterOptions options = to(server);
  options.timeout = milliseconds(300);
  options.retry = quick_retry(1);
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  const auto begin = steady_clock::now();
  EXPECT_FALSE(flush());
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
  EXPECT_EQ(counted(Counter::export_lost_timeout), 1U);
}

TEST_F(OtlpHttp, ABatchsDeadlineEndsEverything) {
  HttpServer server({{.fault = Fault::never}});
  ExporterOptions options = to(server);
  options.timeout = milliseconds(0);  // no limit of its own
  ASSERT_TRUE(start(std::move(options), {.export_timeout = milliseconds(300)}).ok());
  trace();
  const auto begin = steady_clock::now();
  EXPECT_FALSE(flush());
  const auto took = steady_clock::now() - begin;
  EXPECT_GE(took, milliseconds(250));
  EXPECT_LT(took, seconds(5));
  EXPECT_EQ(counted(Counter::export_lost_timeout), 1U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("OTEL_BSP_EXPORT_TIMEOUT")));
}

TEST_F(OtlpHttp, AShutdownEndsAnAttemptInTime) {
  HttpServer server({{.fault = Fault::never}});
  ExporterOptions options = to(server);
  options.timeout = milliseconds(0);
  ASSERT_TRUE(start(std::move(options), {.schedule_delay = milliseconds(10)}).ok());
  trace();
  ASSERT_TRUE(server.wait_for_requests(1));
  const auto begin = steady_clock::now();
  EXPECT_FALSE(telemetry_.shutdown(milliseconds(300)));
  EXPECT_LT(steady_clock::now() - begin, seconds(3));
  EXPECT_EQ(counted(Counter::export_lost_timeout), 1U)
      << "what is given up is counted before shutdown returns, so the collector thread waits for nothing any "
         "more";
}

TEST_F(OtlpHttp, AShutdownEndsAPauseInTime) {
  HttpServer server({{.status = 503, .headers = {{"Retry-After", "25"}}}});
  ASSERT_TRUE(start(to(server), {.schedule_delay = milliseconds(10)}).ok());
  trace();
  ASSERT_TRUE(server.wait_for_requests(1));
  const auto begin = steady_clock::now();
  EXPECT_FALSE(telemetry_.shutdown(milliseconds(2000)));
  EXPECT_LT(steady_clock::now() - begin, milliseconds(1500))
      << "a pause that cannot end in time is not waited for";
  EXPECT_EQ(counted(Counter::export_lost_refused), 1U);
}

TEST_F(OtlpHttp, AnExporterMayBeUsedAgainAfterAShutdown) {
  HttpServer server;
  ExporterOptions options = to(server);
  options.read_environment = false;
  const auto exporter = midtrace::otlp::exporter(std::move(options));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(start_with(exporter).ok());
    trace();
    EXPECT_TRUE(flush());
    stop();
  }
  EXPECT_THAT(server.requests(), SizeIs(2));
}

// --- the application

TEST_F(OtlpHttp, AReceiverThatNeverAnswersCostsTheApplicationNothingButSpans) {
  HttpServer server({{.fault = Fault::never}});
  ExporterOptions options = to(server);
  options.timeout = milliseconds(0);
  constexpr std::uint64_t budget = 4U << 20U;
  ASSERT_TRUE(start(std::move(options),
                    {.queue_size = 1U << 16U, .schedule_delay = milliseconds(10), .memory_bytes = budget})
                  .ok());
  trace(1000);
  ASSERT_TRUE(server.wait_for_requests(1));
  constexpr int spans = 200000;
  const long waits = midtrace::test::waits_of_this_thread();
  trace(spans);
  // One wait for each batch would be 400.
  EXPECT_LT(midtrace::test::waits_of_this_thread() - waits, 100);
  EXPECT_GT(counted(Counter::dropped_no_record), 100000U);
  EXPECT_LE(spans + 1000 - counted(Counter::dropped_no_record), budget / 1024)
      << "what waits is bounded by the byte budget";
  EXPECT_FALSE(telemetry_.shutdown(milliseconds(200)));
  EXPECT_EQ(
      counted(Counter::spans_sampled),
      counted(Counter::spans_exported) + midtrace::counters().dropped_spans() - before_.dropped_spans());
}

#ifndef __SANITIZE_ADDRESS__  // its allocator may be locked for ever in a child of several threads
TEST_F(OtlpHttp, AForkedChildHasAConnectionOfItsOwn) {
  HttpServer server;
  ASSERT_TRUE(start(to(server)).ok());
  trace(1, "parent");
  ASSERT_TRUE(flush());
  const pid_t child = fork();
  if (child == 0) {
    trace(1, "child");
    _exit(flush() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  trace(1, "parent again");
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(3));
  EXPECT_THAT(span_names(requests[1].body), ElementsAre("child"));
  EXPECT_EQ(requests[1].connection, 2U);
  EXPECT_THAT(span_names(requests[2].body), ElementsAre("parent again"));
  EXPECT_EQ(requests[2].connection, 1U) << "the child did not end the parent's connection";
}

TEST_F(OtlpHttp, AProcessThatEndsWaitsNoLongerThanItsExitTimeout) {
  HttpServer server({{.fault = Fault::never}});
  const auto begin = steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    ExporterOptions options = to(server);
    options.timeout = milliseconds(0);
    start(std::move(options));
    trace();
    std::exit(42);  // without the fixture's destructor, and so without the handle's
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_LT(steady_clock::now() - begin, seconds(4)) << "the fixture's exit timeout is one second";
  EXPECT_EQ(server.requests().size(), 1U) << "it tried, nevertheless";
}
#endif

}  // namespace
