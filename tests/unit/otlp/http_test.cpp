// What goes over the wire when all is well: requests as OTLP/HTTP wants them.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "fixture.h"
#include "support/child_process.h"

namespace {

using midtrace::otlp::Compression;
using midtrace::otlp::ExporterOptions;
using midtrace::otlp::Protocol;
using midtrace_test::OtlpHttp;
using midtrace_test::span_names;
using midtrace_test::unzipped;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST_F(OtlpHttp, PostsABatchAsProtobuf) {
  HttpServer server;
  ASSERT_TRUE(start(to(server)).ok());
  trace(2);
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].target, "/v1/traces");
  EXPECT_EQ(requests[0].headers.at("content-type"), "application/x-protobuf");
  EXPECT_THAT(requests[0].headers.at("user-agent"), StartsWith("midtrace-OTLP-Exporter-Cpp/0."));
  EXPECT_EQ(requests[0].headers.count("content-encoding"), 0U);
  EXPECT_EQ(requests[0].headers.count("expect"), 0U);
  EXPECT_THAT(span_names(requests[0].body), ElementsAre("work", "work"));
  EXPECT_EQ(counted(Counter::spans_exported), 2U);
  EXPECT_THAT(reports(), IsEmpty());
}

TEST_F(OtlpHttp, PostsABatchAsJson) {
  HttpServer server;
  ExporterOptions options = to(server);
  options.protocol = Protocol::http_json;
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].headers.at("content-type"), "application/json");
  const auto batch = nlohmann::json::parse(requests[0].body);
  EXPECT_EQ(batch["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "work");
}

TEST_F(OtlpHttp, CompressesWhereAskedTo) {
  HttpServer server;
  ExporterOptions options = to(server);
  options.compression = Compression::gzip;
  ASSERT_TRUE(start(std::move(options)).ok());
  for (int i = 0; i < 3; ++i) {
    trace(100);
    EXPECT_TRUE(flush());
  }
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3U);
  for (const auto& request : requests) {
    EXPECT_EQ(request.headers.at("content-encoding"), "gzip");
    const std::string body = unzipped(request.body);
    EXPECT_LT(request.body.size(), body.size() * 2 / 3) << "a third of it are random ids";
    EXPECT_EQ(span_names(body).size(), 100U);
  }
}

TEST_F(OtlpHttp, KeepsItsConnection) {
  HttpServer server;
  ASSERT_TRUE(start(to(server)).ok());
  for (int i = 0; i < 5; ++i) {
    trace();
    EXPECT_TRUE(flush());
  }
  ASSERT_EQ(server.requests().size(), 5U);
  EXPECT_EQ(server.requests().back().connection, 1U);
}

TEST_F(OtlpHttp, ConnectsAnewWhereTheReceiverEndedTheConnection) {
  HttpServer server({{.fault = Fault::close_after}});
  ASSERT_TRUE(start(to(server)).ok());
  for (int i = 0; i < 3; ++i) {
    trace();
    EXPECT_TRUE(flush());
  }
  ASSERT_EQ(server.requests().size(), 3U);
  EXPECT_EQ(server.requests().back().connection, 3U);
  EXPECT_EQ(counted(Counter::dropped_export_failed), 0U);
}

TEST_F(OtlpHttp, SendsTheHeadersItWasGiven) {
  HttpServer server;
  ExporterOptions options = to(server);
  options.headers = {
      {"Authorization", "Bearer token"}, {"x-empty", ""}, {"X-Tenant", "one"}, {"x-tenant", "two"}};
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  EXPECT_TRUE(flush());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].headers.at("authorization"), "Bearer token");
  EXPECT_EQ(requests[0].headers.at("x-empty"), "");
  EXPECT_EQ(requests[0].headers.at("x-tenant"), "two") << "the later of two with the same name holds";
}

TEST_F(OtlpHttp, SplitsWhatIsTooLargeForOneRequest) {
  HttpServer server;
  ExporterOptions options = to(server);
  options.request_bytes = 2000;
  ASSERT_TRUE(start(std::move(options)).ok());
  trace(100);
  EXPECT_TRUE(flush());
  std::size_t spans = 0;
  for (const auto& request : server.requests()) {
    EXPECT_LE(request.body.size(), 2000U);
    spans += span_names(request.body).size();
  }
  EXPECT_EQ(spans, 100U);
  EXPECT_GT(server.requests().size(), 3U);
}

TEST_F(OtlpHttp, ASpanThatIsTooLargeByItselfIsLostAndCounted) {
  HttpServer server;
  ExporterOptions options = to(server);
  options.request_bytes = 2000;
  ASSERT_TRUE(start(std::move(options)).ok());
  midtrace::Span span = midtrace::Tracer::get("otlp_test").start("huge");
  span.set("value", std::string(3000, 'v'));
  span.end();
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_EQ(counted(Counter::export_lost_size), 1U);
  EXPECT_THAT(reports(), ElementsAre(HasSubstr("exceeds the largest OTLP request of 2000 bytes")));
}

// --- TLS

class OtlpTls : public OtlpHttp {
 protected:
  void SetUp() override {
    std::string why_not;
    ASSERT_TRUE(midtrace::test::make_certificates(directory_.path(), why_not)) << why_not;
  }
  std::string file(const char* name) const { return (directory_.path() / name).string(); }
  midtrace::test::TlsFiles server_files(const char* client_authority = "") const {
    midtrace::test::TlsFiles files{file("server.pem"), file("server.key")};
    if (*client_authority != '\0') files.client_authority = file(client_authority);
    return files;
  }

  midtrace::test::TemporaryDirectory directory_;
};

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

TEST_F(OtlpTls, WithoutACertificateOfItsOwnItIsRefused) {
  HttpServer server({{}}, server_files("authority.pem"));
  ExporterOptions options = to(server);
  options.certificate = file("authority.pem");
  ASSERT_TRUE(start(std::move(options)).ok());
  trace();
  EXPECT_FALSE(flush());
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_EQ(counted(Counter::dropped_export_failed), 1U);
}

}  // namespace
