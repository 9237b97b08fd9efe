// Over TLS: whom the exporter trusts, how it shows itself, and what becomes of a batch when the handshake
// goes wrong.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tls_fixture.h"

namespace {

using midtrace::otlp::ExporterOptions;
using midtrace_test::OtlpTls;
using midtrace_test::quick_retry;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(OtlpTls, TrustsTheAuthorityItWasGiven) {
  HttpServer server({{}}, server_files());
  ExporterOptions options = to(server);
  options.certificate = file("authority.pem");
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  EXPECT_TRUE(flush());
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(OtlpTls, AnUnknownAuthorityLosesTheBatchAtOnceAndIsCounted) {
  HttpServer server({{}}, server_files());
  ASSERT_TRUE(start(to(server)).ok());
  trace(3);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_EQ(counted(Counter::export_lost_tls), 3U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 3U);
  EXPECT_EQ(counted(Counter::export_retries), 0U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("OTEL_EXPORTER_OTLP_CERTIFICATE")));
}

TEST_F(OtlpTls, ShowsItsOwnCertificate) {
  HttpServer server({{}}, server_files("authority.pem"));
  ExporterOptions options = to(server);
  options.certificate = file("authority.pem");
  options.client_certificate = file("client.pem");
  options.client_key = file("client.key");
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  EXPECT_TRUE(flush());
  EXPECT_EQ(server.requests().size(), 1U);
}

// With TLS 1.3 the refusal comes when the handshake is already over, as an alert in place of the answer.
TEST_F(OtlpTls, WithoutACertificateOfItsOwnItIsRefusedAsTlsAfterEveryAttempt) {
  HttpServer server({{}}, server_files("authority.pem"));
  ASSERT_TRUE(start(trusting(server)).ok());
  trace(2);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_EQ(counted(Counter::export_lost_tls), 2U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 2U);
  EXPECT_EQ(counted(Counter::export_retries), 2U);
  EXPECT_THAT(reports(), ElementsAre(AllOf(HasSubstr("alert"), HasSubstr("(attempt 3)"),
                                           HasSubstr("_CLIENT_CERTIFICATE"))));
}

// --- what is wrong with the receiver

// Takes connections and speaks no TLS. With a greeting it says that, whatever it is sent, and ends the
// connection; without, it leaves every connection alone.
class PlainServer {
 public:
  explicit PlainServer(std::string greeting = {}) : greeting_(std::move(greeting)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    // Without a greeting the kernel connects, and nobody is there.
    if (!greeting_.empty()) thread_ = std::thread([this] { greet(); });
  }
  ~PlainServer() {
    ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    close(listener_);
  }
  PlainServer(const PlainServer&) = delete;
  PlainServer& operator=(const PlainServer&) = delete;

  std::string endpoint(const char* scheme = "https") const {
    return std::string(scheme) + "://127.0.0.1:" + std::to_string(port_) + "/v1/traces";
  }
  int connections() const { return connections_.load(); }

 private:
  void greet() {
    for (;;) {
      const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (descriptor < 0) return;
      connections_.fetch_add(1);
      char bytes[4096];
      static_cast<void>(recv(descriptor, bytes, sizeof(bytes), 0));
      static_cast<void>(send(descriptor, greeting_.data(), greeting_.size(), MSG_NOSIGNAL));
      ::shutdown(descriptor, SHUT_WR);
      while (recv(descriptor, bytes, sizeof(bytes), 0) > 0) {
      }
      close(descriptor);
    }
  }

  const std::string greeting_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::thread thread_;
};

struct Unacceptable {
  const char* certificate;
  const char* words;  // of libcurl's
};
class OtlpTlsServer : public OtlpTls, public testing::WithParamInterface<Unacceptable> {};
TEST_P(OtlpTlsServer, WithAWrongCertificateLosesTheBatchAtOnceAndIsCounted) {
  HttpServer server({{}}, server_files("", GetParam().certificate));
  ASSERT_TRUE(start(trusting(server)).ok());
  trace(3);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_EQ(counted(Counter::export_lost_tls), 3U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 3U);
  EXPECT_EQ(counted(Counter::export_retries), 0U);
  EXPECT_THAT(reports(), ElementsAre(AllOf(HasSubstr(GetParam().words), HasSubstr("_CERTIFICATE"))));
}
INSTANTIATE_TEST_SUITE_P(Certificates, OtlpTlsServer,
                         testing::Values(Unacceptable{"elsewhere", "127.0.0.1"},
                                         Unacceptable{"expired", "certificate has expired"}),
                         [](const auto& one) { return std::string(one.param.certificate); });

TEST_F(OtlpTls, AServerThatNeverShakesHandsEndsWithTheTimeout) {
  const PlainServer server;
  ExporterOptions options;
  options.endpoint = server.endpoint();
  options.timeout = milliseconds(200);
  options.retry = quick_retry(2);
  ASSERT_TRUE(start(std::move(options)).ok());
  trace(2);
  EXPECT_FALSE(flush());
  EXPECT_EQ(counted(Counter::export_retries), 1U);
  EXPECT_EQ(counted(Counter::export_lost_timeout), 2U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 2U);
}

TEST_F(OtlpTls, AShutdownEndsAHandshakeInTime) {
  const PlainServer server;
  ExporterOptions options;
  options.endpoint = server.endpoint();
  options.timeout = milliseconds(0);
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  const auto begin = steady_clock::now();
  EXPECT_FALSE(telemetry_.shutdown(milliseconds(300)));
  EXPECT_LT(steady_clock::now() - begin, seconds(3));
  EXPECT_EQ(counted(Counter::export_lost_timeout), 1U);
}

TEST_F(OtlpTls, HttpsToAPlainPortIsLostAsTlsAfterEveryAttempt) {
  const PlainServer server("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  ExporterOptions options;
  options.endpoint = server.endpoint();
  options.retry = quick_retry();
  ASSERT_TRUE(start(std::move(options)).ok());
  trace(2);
  EXPECT_FALSE(flush());
  EXPECT_EQ(server.connections(), 3);
  EXPECT_EQ(counted(Counter::export_lost_tls), 2U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("check the scheme of OTEL_EXPORTER_OTLP_ENDPOINT")));
}

TEST_F(OtlpTls, HttpToATlsPortIsLostAsAConnection) {
  HttpServer server({{}}, server_files());
  ExporterOptions options = to(server);
  options.endpoint.replace(0, 5, "http");
  ASSERT_TRUE(start(std::move(options)).ok());
  trace(2);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_EQ(counted(Counter::export_lost_connection), 2U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("correct OTEL_EXPORTER_OTLP_ENDPOINT")));
}

TEST_F(OtlpTls, AConnectionThatIsResetIsTriedAgain) {
  HttpServer server({{.fault = Fault::reset_before_answer}, {}}, server_files());
  ASSERT_TRUE(start(trusting(server)).ok());
  trace();
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].body, requests[1].body);
  EXPECT_EQ(requests[1].connection, 2U);
  EXPECT_EQ(counted(Counter::export_retries), 1U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 0U);
}

TEST_F(OtlpTls, AnAnswerThatBreaksOffIsTriedAgain) {
  HttpServer server({{.body = std::string(1000, 'x'), .fault = Fault::reset_in_body}, {}}, server_files());
  ASSERT_TRUE(start(trusting(server)).ok());
  trace();
  EXPECT_TRUE(flush());
  EXPECT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(counted(Counter::export_retries), 1U);
}

// --- files that setup() cannot know to be wrong: they have a line that begins as PEM does

struct WrongFiles {
  const char* name;
  const char* authority;
  const char* certificate;
  const char* key;
};
class OtlpTlsFiles : public OtlpTls, public testing::WithParamInterface<WrongFiles> {};
TEST_P(OtlpTlsFiles, LoseTheBatchAtOnceAndAreCounted) {
  for (const char* kind : {"CERTIFICATE", "PRIVATE KEY"}) {
    std::ofstream(file(std::string("garbage of a ") + kind))
        << "-----BEGIN " << kind << "-----\nthis is no base64!\n-----END " << kind << "-----\n";
  }
  HttpServer server({{}}, server_files("authority.pem"));
  ExporterOptions options = to(server);
  options.certificate = file(GetParam().authority);
  options.client_certificate = file(GetParam().certificate);
  options.client_key = file(GetParam().key);
  ASSERT_TRUE(start(std::move(options)).ok());
  trace(3);
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_EQ(counted(Counter::export_lost_tls), 3U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 3U);
  EXPECT_EQ(counted(Counter::export_retries), 0U);
  EXPECT_THAT(reports(), ElementsAre(AllOf(HasSubstr("check the scheme"), HasSubstr("_CLIENT_KEY"))));
}
INSTANTIATE_TEST_SUITE_P(
    Wrong, OtlpTlsFiles,
    testing::Values(WrongFiles{"Authority", "garbage of a CERTIFICATE", "client.pem", "client.key"},
                    WrongFiles{"Certificate", "authority.pem", "garbage of a CERTIFICATE", "client.key"},
                    WrongFiles{"Key", "authority.pem", "client.pem", "garbage of a PRIVATE KEY"},
                    WrongFiles{"KeyOfAnother", "authority.pem", "client.pem", "server.key"}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
