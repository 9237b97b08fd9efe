// What goes over the wire when all is well: requests as OTLP/HTTP wants them.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "fixture.h"

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

}  // namespace
