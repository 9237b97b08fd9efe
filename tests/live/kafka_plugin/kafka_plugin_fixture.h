// KafkaPlugin: a mock cluster, programs that are run beside it with the plugin, and what they exported.
//
// Each case has a cluster and a directory of its own. A program that cannot be run fails the case.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/child_process.h"
#include "support/mock_cluster.h"

namespace midtrace::test {

using Properties = std::vector<std::string>;

struct ExportedSpan {
  std::string name, trace_id, span_id, parent_span_id, service, process;
  int kind = 0;
  std::map<std::string, std::string> attributes;
  std::vector<std::string> links;  // "trace id-span id"
};

// Those of one ExportTraceServiceRequest in JSON.
inline void add_spans(const std::string& request, std::vector<ExportedSpan>& result) {
  const auto document = nlohmann::json::parse(request);
  for (const auto& resource : document.at("resourceSpans")) {
    std::string service;
    std::string process;
    for (const auto& attribute : resource.at("resource").at("attributes")) {
      if (attribute.at("key") == "service.name") service = attribute.at("value").at("stringValue");
      if (attribute.at("key") == "process.pid") process = attribute.at("value").at("intValue");
    }
    for (const auto& scope : resource.at("scopeSpans")) {
      for (const auto& span : scope.at("spans")) {
        ExportedSpan made;
        made.name = span.at("name");
        made.trace_id = span.at("traceId");
        made.span_id = span.at("spanId");
        made.parent_span_id = span.value("parentSpanId", "");
        made.kind = span.at("kind");
        made.service = service;
        made.process = process;
        for (const auto& attribute : span.value("attributes", nlohmann::json::array()))
          made.attributes[attribute.at("key")] = attribute.at("value").begin()->dump();
        for (const auto& link : span.value("links", nlohmann::json::array()))
          made.links.push_back(link.at("traceId").get<std::string>() + "-" +
                               link.at("spanId").get<std::string>());
        result.push_back(std::move(made));
      }
    }
  }
}

struct Outcome {
  int code = -1;
  std::vector<std::string> lines;  // of standard output and error

  std::string text() const {
    std::string all;
    for (const std::string& line : lines)
      all += line + "\n";
    return all;
  }
  std::vector<std::string> beginning_with(const std::string& begin) const {
    std::vector<std::string> found;
    for (const std::string& line : lines) {
      if (line.starts_with(begin)) found.push_back(line.substr(begin.size()));
    }
    return found;
  }
};

class KafkaPlugin : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    cluster_ = MockCluster::start(1, &why_not);
    ASSERT_NE(cluster_, nullptr) << why_not;
    ASSERT_TRUE(cluster_->create_topic("orders", 1));
  }

  std::string bootstrap() const { return "bootstrap.servers=" + cluster_->bootstrap_servers(); }
  std::filesystem::path spans_file() const { return directory_.path() / "spans.jsonl"; }
  // The properties that load the plugin and send its spans to a file.
  Properties with_plugin(const Properties& more = {}) const {
    Properties properties{"plugin.library.paths=" MIDTRACE_TEST_PLUGIN, bootstrap(),
                          "midtrace.traces.exporter=otlp_file", "midtrace.otlp.file=" + spans_file().string(),
                          "midtrace.service.name=plain"};
    properties.insert(properties.end(), more.begin(), more.end());
    return properties;
  }

  Outcome run(std::vector<std::string> arguments, const Properties& properties,
              const std::vector<std::string>& environment = {}) {
    const std::filesystem::path log = directory_.path() / ("log" + std::to_string(++runs_));
    ProcessOptions options;
    arguments.insert(arguments.end(), properties.begin(), properties.end());
    options.arguments = std::move(arguments);
    options.environment = environment;
    options.log_file = log;
    std::string why_not;
    const auto status = run_process(options, longest_run_, &why_not);
    Outcome outcome;
    if (!status) {
      ADD_FAILURE() << why_not;
      return outcome;
    }
    outcome.code = status->signal == 0 ? status->code : -status->signal;
    std::ifstream stream(log);
    for (std::string line; std::getline(stream, line);)
      outcome.lines.push_back(line);
    return outcome;
  }
  Outcome produce(const Properties& properties, const std::vector<std::string>& environment = {}) {
    return run({MIDTRACE_TEST_PLAIN_CLIENT, "produce", "3"}, properties, environment);
  }
  Outcome consume(const Properties& properties, int messages = 3) {
    return run({MIDTRACE_TEST_PLAIN_CLIENT, "consume", std::to_string(messages)}, properties);
  }

  std::vector<ExportedSpan> spans() const {
    std::vector<ExportedSpan> result;
    std::ifstream stream(spans_file());
    for (std::string line; std::getline(stream, line);)
      add_spans(line, result);
    return result;
  }

  // What a consumer without the plugin finds on the messages.
  std::vector<std::string> traceparents_on_the_wire(int messages = 3) {
    const Outcome outcome = consume({bootstrap(), "group.id=g"}, messages);
    EXPECT_EQ(outcome.code, 0) << outcome.text();
    EXPECT_THAT(outcome.beginning_with("own="), ::testing::SizeIs(static_cast<std::size_t>(messages)))
        << "the application's own headers stay";
    return outcome.beginning_with("traceparent=");
  }

  TemporaryDirectory directory_;
  std::unique_ptr<MockCluster> cluster_;
  int runs_ = 0;
  std::chrono::seconds longest_run_{60};  // what lasts longer hangs
};

inline constexpr int producer_kind = 4;
inline constexpr int client_kind = 3;

inline void expect_three_sends(const std::vector<ExportedSpan>& spans, const std::vector<std::string>& wire) {
  ASSERT_THAT(spans, ::testing::SizeIs(3));
  ASSERT_THAT(wire, ::testing::SizeIs(3));
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const ExportedSpan& span = spans[i];
    EXPECT_EQ(span.name, "send orders");
    EXPECT_EQ(span.kind, producer_kind);
    EXPECT_EQ(span.service, "plain");
    EXPECT_EQ(span.attributes.at("messaging.system"), "\"kafka\"");
    EXPECT_EQ(span.attributes.at("messaging.kafka.offset"), "\"" + std::to_string(i) + "\"");
    EXPECT_THAT(wire[i], ::testing::HasSubstr(span.trace_id + "-" + span.span_id));
  }
}

}  // namespace midtrace::test
