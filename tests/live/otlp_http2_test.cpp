// HTTP/2 over TLS, as the exporter speaks it to whoever offers it: nginx stands between the exporter and the
// server of the test. Nothing that HTTP/1.1 keeps may get lost: batches arrive whole, over one connection,
// what can go better is tried again, and every deadline holds.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "support/certificates.h"
#include "support/http2_proxy.h"
#include "unit/otlp/fixture.h"

namespace {

using midtrace::otlp::Compression;
using midtrace::otlp::ExporterOptions;
using midtrace::test::Http2Proxy;
using midtrace::test::HttpRequest;
using midtrace_test::OtlpHttp;
using midtrace_test::quick_retry;
using midtrace_test::span_names;
using midtrace_test::unzipped;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ResultOf;
using testing::SizeIs;

std::string header(const HttpRequest& request, const char* name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? "none" : found->second;
}
std::string connection_of(const HttpRequest& request) { return header(request, "x-client-connection"); }

auto came_by_http2() {
  return ResultOf(
      "protocol", [](const HttpRequest& request) { return header(request, "x-client-protocol"); },
      "HTTP/2.0");
}

// How many sockets of this process are connected to that port.
int connections_to(std::uint16_t port) {
  int count = 0;
  for (int number = 3; number < 200; ++number) {
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    if (getpeername(number, reinterpret_cast<sockaddr*>(&peer), &size) == 0 && peer.sin_family == AF_INET &&
        ntohs(peer.sin_port) == port)
      ++count;
  }
  return count;
}

template <class Condition>
bool eventually(Condition&& condition) {
  const auto deadline = steady_clock::now() + seconds(20);
  while (!condition() && steady_clock::now() < deadline)
    std::this_thread::sleep_for(milliseconds(1));
  return condition();
}

class OtlpHttp2 : public OtlpHttp {
 protected:
  void SetUp() override {
    std::string why_not;
    const bool spoken = (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2) != 0;
    if (!spoken) why_not = "this libcurl has no HTTP/2";
    if (!spoken || !Http2Proxy::available(&why_not)) {
      const char* ci = std::getenv("CI");
      ASSERT_FALSE(ci != nullptr && std::string_view(ci) == "true") << why_not;
      GTEST_SKIP() << "not run: OTLP over HTTP/2: " << why_not;
    }
    ASSERT_TRUE(midtrace::test::make_certificates(directory_.path(), why_not)) << why_not;
  }

  // In front of `server`; null, and a failure, when it does not start.
  std::unique_ptr<Http2Proxy> proxy_to(const HttpServer& server, const char* directives = "") const {
    std::string why_not;
    auto proxy = Http2Proxy::start({.backend_port = server.port(),
                                    .tls = {file("server.pem"), file("server.key")},
                                    .directives = directives},
                                   &why_not);
    EXPECT_NE(proxy, nullptr) << why_not;
    return proxy;
  }
  ExporterOptions to_proxy(const Http2Proxy& proxy) const {
    ExporterOptions options;
    options.endpoint = proxy.url() + "/v1/traces";
    options.certificate = file("authority.pem");
    options.retry = quick_retry();
    return options;
  }
  std::string file(const char* name) const { return directory_.path() / name; }
  // Spans with names of their own, to tell each from the others.
  void trace_numbered(int spans) {
    for (int i = 0; i < spans; ++i)
      trace(1, std::to_string(numbered_++).c_str());
  }
  std::set<std::string> numbers() const {
    std::set<std::string> all;
    for (int i = 0; i < numbered_; ++i)
      all.insert(std::to_string(i));
    return all;
  }
  static std::set<std::string> delivered_to(const HttpServer& server) {
    std::set<std::string> all;
    for (const HttpRequest& request : server.requests()) {
      const auto names = span_names(request.body);
      all.insert(names.begin(), names.end());
    }
    return all;
  }

  midtrace::test::TemporaryDirectory directory_;
  int numbered_ = 0;
};

// --- batches

class OtlpHttp2Bodies : public OtlpHttp2, public testing::WithParamInterface<bool> {};

TEST_P(OtlpHttp2Bodies, ArriveWholeAndOverOneConnection) {
  HttpServer server;
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ExporterOptions options = to_proxy(*proxy);
  const bool zipped = GetParam();
  options.compression = zipped ? Compression::gzip : Compression::none;
  ASSERT_TRUE(start(std::move(options)).ok());
  for (int i = 0; i < 4; ++i) {
    trace_numbered(10);
    EXPECT_TRUE(flush());
  }
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(4));
  EXPECT_THAT(requests, Each(came_by_http2()));
  EXPECT_THAT(requests, Each(ResultOf("connection", connection_of, connection_of(requests[0]))));
  std::set<std::string> delivered;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(header(requests[i], "x-connection-requests"), std::to_string(i + 1));
    EXPECT_EQ(requests[i].method, "POST");
    EXPECT_EQ(requests[i].target, "/v1/traces");
    EXPECT_EQ(header(requests[i], "content-type"), "application/x-protobuf");
    EXPECT_EQ(header(requests[i], "content-encoding"), zipped ? "gzip" : "none");
    const auto names = span_names(zipped ? unzipped(requests[i].body) : requests[i].body);
    delivered.insert(names.begin(), names.end());
  }
  EXPECT_EQ(delivered, numbers());
  EXPECT_EQ(counted(Counter::spans_exported), 40U);
  EXPECT_EQ(counted(Counter::export_retries), 0U);
  EXPECT_THAT(reports(), IsEmpty());
}
INSTANTIATE_TEST_SUITE_P(Compressions, OtlpHttp2Bodies, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "gzip" : "none"; });

TEST_F(OtlpHttp2, ABodyBeyondTheFlowControlWindowArrivesWhole) {
  HttpServer server({{.status = 503}, {}});
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ASSERT_TRUE(start(to_proxy(*proxy)).ok());
  constexpr std::size_t spans = 400;
  constexpr std::size_t length = 4000;
  std::mt19937 random(1);
  std::vector<std::string> texts;
  const auto tracer = midtrace::Tracer::get("otlp_test");
  for (std::size_t i = 0; i < spans; ++i) {
    std::string text(length, ' ');
    for (char& c : text)
      c = static_cast<char>('a' + random() % 26);
    midtrace::Span span = tracer.start("large");
    span.set("text", text);
    texts.push_back(std::move(text));
  }
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(2)) << "the first attempt was refused";
  EXPECT_THAT(requests, Each(came_by_http2()));
  EXPECT_EQ(requests[0].body, requests[1].body);
  EXPECT_GT(requests[1].body.size(), spans * length);
  midtrace_test::otlp::ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(requests[1].body));
  std::vector<std::string> arrived;
  for (const auto& span : request.resource_spans(0).scope_spans(0).spans())
    arrived.push_back(span.attributes(0).value().string_value());
  EXPECT_TRUE(arrived == texts) << arrived.size() << " texts, or others than were sent";
}

// --- refusals

TEST_F(OtlpHttp2, ARefusalWithRetryAfterIsTriedAgainOverTheSameConnection) {
  HttpServer server({{.status = 503, .headers = {{"Retry-After", "1"}}}, {}});
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ASSERT_TRUE(start(to_proxy(*proxy)).ok());
  trace(2);
  const auto begin = steady_clock::now();
  EXPECT_TRUE(flush());
  EXPECT_GE(steady_clock::now() - begin, milliseconds(950)) << "the pause is the one that was asked for";
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_THAT(requests, Each(came_by_http2()));
  EXPECT_EQ(requests[0].body, requests[1].body);
  EXPECT_EQ(connection_of(requests[0]), connection_of(requests[1]));
  EXPECT_EQ(counted(Counter::export_retries), 1U);
  EXPECT_EQ(counted(Counter::spans_exported), 2U);
  EXPECT_THAT(reports(), IsEmpty());
}

TEST_F(OtlpHttp2, ARefusalForGoodIsCounted) {
  HttpServer server({{.status = 400}});
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ASSERT_TRUE(start(to_proxy(*proxy)).ok());
  trace(2);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), ElementsAre(came_by_http2()));
  EXPECT_EQ(counted(Counter::export_lost_refused), 2U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("answered 400")));
}

// --- connections that end

TEST_F(OtlpHttp2, AReceiverThatComesBackGetsEverySpan) {
  HttpServer server;
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ExporterOptions options = to_proxy(*proxy);
  options.retry = quick_retry(1000);
  ASSERT_TRUE(start(std::move(options), {.export_batch_size = 64, .schedule_delay = milliseconds(10)}).ok());
  for (int round = 0; round < 3; ++round) {
    trace_numbered(200);
    const std::uint64_t retries = counted(Counter::export_retries);
    proxy->stop();
    trace_numbered(200);
    ASSERT_TRUE(eventually([&] { return counted(Counter::export_retries) > retries; }));
    std::string why_not;
    ASSERT_TRUE(proxy->start_again(&why_not)) << why_not;
  }
  EXPECT_TRUE(flush());
  EXPECT_EQ(delivered_to(server), numbers());
  EXPECT_THAT(server.requests(), Each(came_by_http2()));
  EXPECT_EQ(counted(Counter::spans_exported), 1200U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 0U);
  EXPECT_THAT(reports(), IsEmpty());
}

TEST_F(OtlpHttp2, AConnectionThatBreaksBeforeTheAnswerIsTriedAgain) {
  HttpServer server({{.fault = Fault::never}, {}});
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ExporterOptions options = to_proxy(*proxy);
  options.retry = quick_retry(1000);
  ASSERT_TRUE(start(std::move(options), {.schedule_delay = milliseconds(10)}).ok());
  trace(2);
  ASSERT_TRUE(server.wait_for_requests(1));
  proxy->stop();
  ASSERT_TRUE(eventually([&] { return counted(Counter::export_retries) > 0; }));
  std::string why_not;
  ASSERT_TRUE(proxy->start_again(&why_not)) << why_not;
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_THAT(requests, Each(came_by_http2()));
  EXPECT_EQ(requests[0].body, requests[1].body);
  EXPECT_EQ(counted(Counter::spans_exported), 2U);
}

TEST_F(OtlpHttp2, AReceiverThatStaysAwayIsCounted) {
  HttpServer server;
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ASSERT_TRUE(start(to_proxy(*proxy)).ok());
  trace();
  ASSERT_TRUE(flush());
  proxy->stop();
  trace(4);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(counted(Counter::export_retries), 2U);
  EXPECT_EQ(counted(Counter::export_lost_connection), 4U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 4U);
  EXPECT_THAT(reports(), ElementsAre(AllOf(HasSubstr("(attempt 3)"), HasSubstr("start the receiver"))));
}

// The proxy says GOAWAY with the second answer of a connection.
TEST_F(OtlpHttp2, AReceiverThatEndsItsConnectionsInOrderGetsEverySpanOnce) {
  HttpServer server;
  const auto proxy = proxy_to(server, "keepalive_requests 2;");
  ASSERT_NE(proxy, nullptr);
  ASSERT_TRUE(start(to_proxy(*proxy), {.export_batch_size = 1}).ok());
  trace_numbered(20);
  EXPECT_TRUE(flush());
  for (int i = 0; i < 5; ++i) {  // also with time between them
    trace_numbered(1);
    EXPECT_TRUE(flush());
  }
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(25));
  EXPECT_THAT(requests, Each(came_by_http2()));
  EXPECT_EQ(delivered_to(server), numbers());
  std::set<std::string> connections;
  for (const HttpRequest& request : requests)
    connections.insert(connection_of(request));
  EXPECT_GE(connections.size(), 13U) << "the proxy did end them";
  EXPECT_EQ(counted(Counter::spans_exported), 25U);
  EXPECT_EQ(counted(Counter::export_retries), 0U) << "an orderly end is no failure";
  EXPECT_THAT(reports(), IsEmpty());
}

// --- time

// A path that lost the connection answers as little as a slow receiver does. HTTP/1.1 cannot use a connection
// again that owes an answer; HTTP/2 could, until TCP gives up after a quarter of an hour.
TEST_F(OtlpHttp2, AConnectionThatFellSilentIsNotUsedAgain) {
  HttpServer server({{}, {.fault = Fault::never}, {.fault = Fault::never}, {.fault = Fault::never}, {}});
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ExporterOptions options = to_proxy(*proxy);
  options.timeout = milliseconds(300);
  options.retry = quick_retry(4);
  ASSERT_TRUE(start(std::move(options)).ok());
  for (int i = 0; i < 4; ++i) {
    trace();
    EXPECT_TRUE(flush());
  }
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(7));
  EXPECT_THAT(requests, Each(came_by_http2()));
  std::vector<std::size_t> connections;  // numbered in the order of their first use
  std::vector<std::string> known;
  for (const HttpRequest& request : requests) {
    const auto found = std::find(known.begin(), known.end(), connection_of(request));
    connections.push_back(static_cast<std::size_t>(found - known.begin()) + 1);
    if (found == known.end()) known.push_back(connection_of(request));
  }
  EXPECT_THAT(connections, ElementsAre(1, 1, 2, 3, 4, 4, 4))
      << "a new one after a silence, kept when it is good";
  EXPECT_EQ(connections_to(proxy->port()), 1) << "the silent ones are closed";
  EXPECT_EQ(counted(Counter::export_retries), 3U);
  EXPECT_EQ(counted(Counter::spans_exported), 4U);
}

TEST_F(OtlpHttp2, AConnectionThatFellSilentUntilTheBatchsDeadlineIsNotUsedAgainEither) {
  HttpServer server({{}, {.fault = Fault::never}, {}});
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ExporterOptions options = to_proxy(*proxy);
  options.timeout = milliseconds(0);
  ASSERT_TRUE(start(std::move(options), {.export_timeout = milliseconds(300)}).ok());
  trace(1);
  EXPECT_TRUE(flush());
  trace(1);
  EXPECT_FALSE(flush());
  trace(1);
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(3));
  EXPECT_EQ(connection_of(requests[1]), connection_of(requests[0]));
  EXPECT_NE(connection_of(requests[2]), connection_of(requests[1]));
  EXPECT_EQ(counted(Counter::export_lost_timeout), 1U);
}

TEST_F(OtlpHttp2, AShutdownEndsAnAttemptInTime) {
  HttpServer server({{.fault = Fault::never}});
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ExporterOptions options = to_proxy(*proxy);
  options.timeout = milliseconds(0);
  ASSERT_TRUE(start(std::move(options), {.schedule_delay = milliseconds(10)}).ok());
  trace(2);
  ASSERT_TRUE(server.wait_for_requests(1));
  EXPECT_THAT(server.requests(), ElementsAre(came_by_http2()));
  const auto begin = steady_clock::now();
  EXPECT_FALSE(telemetry_.shutdown(milliseconds(300)));
  EXPECT_LT(steady_clock::now() - begin, seconds(3));
  EXPECT_EQ(counted(Counter::export_lost_timeout), 2U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 2U);
}

// The same without a word of HTTP/2 or TLS from the other side: over a connection that was good before, and
// in the handshake.
class OtlpHttp2Frozen : public OtlpHttp2, public testing::WithParamInterface<bool> {};

TEST_P(OtlpHttp2Frozen, ReceiversDoNotHoldUpAShutdown) {
  HttpServer server;
  const auto proxy = proxy_to(server);
  ASSERT_NE(proxy, nullptr);
  ExporterOptions options = to_proxy(*proxy);
  options.timeout = milliseconds(0);
  ASSERT_TRUE(start(std::move(options)).ok());
  const bool connected = GetParam();
  if (connected) {
    trace();
    ASSERT_TRUE(flush());
  }
  proxy->freeze();
  trace(2);
  const auto begin = steady_clock::now();
  EXPECT_FALSE(telemetry_.shutdown(milliseconds(300)));
  EXPECT_LT(steady_clock::now() - begin, seconds(3));
  EXPECT_EQ(counted(Counter::export_lost_timeout), 2U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 2U);
  EXPECT_THAT(server.requests(), SizeIs(connected ? 1 : 0));
}
INSTANTIATE_TEST_SUITE_P(Moments, OtlpHttp2Frozen, testing::Bool(), [](const auto& instance) {
  return instance.param ? "when_connected" : "before_the_handshake";
});

}  // namespace
