// The plugin's spans on their way to a collector by OTLP/HTTP, and programs whose collector is not there.
#include <cstdint>

#include "kafka_plugin_fixture.h"
#include "support/http_server.h"
#include "trace_request.pb.h"

namespace midtrace::test {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class KafkaPluginOtlp : public KafkaPlugin {
 protected:
  Properties to_collector(const std::string& url, const Properties& more = {}) const {
    Properties properties{"plugin.library.paths=" MIDTRACE_TEST_PLUGIN, bootstrap(),
                          "midtrace.traces.exporter=otlp", "midtrace.exporter.otlp.endpoint=" + url,
                          "midtrace.service.name=plain"};
    properties.insert(properties.end(), more.begin(), more.end());
    return properties;
  }
  // What is the same for every protocol.
  static void expect_posts(const std::vector<HttpRequest>& requests, const std::string& content_type) {
    EXPECT_FALSE(requests.empty());
    for (const HttpRequest& request : requests) {
      EXPECT_EQ(request.method, "POST");
      EXPECT_EQ(request.target, "/v1/traces");
      EXPECT_EQ(request.headers.at("content-type"), content_type);
    }
  }
};

TEST_F(KafkaPluginOtlp, SendsJsonWhenAsked) {
  const HttpServer collector;
  const Outcome outcome =
      produce(to_collector(collector.url(), {"midtrace.exporter.otlp.protocol=http/json",
                                             "midtrace.exporter.otlp.headers=x-tenant=shop"}));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, SizeIs(0)) << outcome.text();
  const auto requests = collector.requests();
  expect_posts(requests, "application/json");
  std::vector<ExportedSpan> received;
  for (const HttpRequest& request : requests) {
    EXPECT_EQ(request.headers.at("x-tenant"), "shop");
    add_spans(request.body, received);
  }
  expect_three_sends(received, traceparents_on_the_wire());
}

TEST_F(KafkaPluginOtlp, SendsProtobufAlsoWhenTheProgramLeavesItsClientBehind) {
  const HttpServer collector;
  const Outcome outcome = run({MIDTRACE_TEST_PLAIN_CLIENT, "leave", "3"}, to_collector(collector.url()));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, SizeIs(0)) << outcome.text();
  const auto requests = collector.requests();
  expect_posts(requests, "application/x-protobuf");
  std::vector<std::string> names;
  for (const HttpRequest& request : requests) {
    midtrace_test::otlp::ExportTraceServiceRequest decoded;
    ASSERT_TRUE(decoded.ParseFromString(request.body));
    for (const auto& resource : decoded.resource_spans()) {
      for (const auto& scope : resource.scope_spans()) {
        for (const auto& span : scope.spans())
          names.push_back(span.name());
      }
    }
  }
  EXPECT_THAT(names, SizeIs(3));
  EXPECT_THAT(names, Each("send orders"));
}

// A collector is given a minute for each answer, and no program waits that long: ending takes what the
// plugin allows itself.
class KafkaPluginWithoutCollector : public KafkaPluginOtlp,
                                    public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    KafkaPluginOtlp::SetUp();
    longest_run_ = std::chrono::seconds(20);
  }
  Outcome run_with(const std::string& url) {
    return run(
        {MIDTRACE_TEST_PLAIN_CLIENT, GetParam(), "3"},
        to_collector(url, {"midtrace.exporter.otlp.timeout=60000", "midtrace.bsp.export.timeout=60000"}));
  }
};

TEST_P(KafkaPluginWithoutCollector, EndsThoughNobodyListens) {
  std::string nobody;
  {
    const HttpServer gone;
    nobody = gone.url();
  }
  const Outcome outcome = run_with(nobody);
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.text(), HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT"));
  EXPECT_THAT(traceparents_on_the_wire(), SizeIs(3)) << "the messages do not depend on the collector";
}

TEST_P(KafkaPluginWithoutCollector, EndsThoughNoAnswerComes) {
  const HttpServer silent({{.fault = HttpAnswer::Fault::never}});
  const Outcome outcome = run_with(silent.url());
  EXPECT_EQ(outcome.code, 0) << "delivered: " << outcome.text();
  EXPECT_FALSE(silent.requests().empty());
}
INSTANTIATE_TEST_SUITE_P(Ends, KafkaPluginWithoutCollector, ::testing::Values("produce", "leave"),
                         [](const auto& way) { return std::string(way.param); });

}  // namespace
}  // namespace midtrace::test
