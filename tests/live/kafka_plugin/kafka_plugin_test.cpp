// The plugin, in programs that know nothing of midtrace: what they send carries a context, their spans
// arrive, and whatever is wrong with the plugin's configuration, they work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/mock_cluster.h"

namespace midtrace::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Properties = std::vector<std::string>;

struct ExportedSpan {
  std::string name, trace_id, span_id, parent_span_id, service, process;
  int kind = 0;
  std::map<std::string, std::string> attributes;
  std::vector<std::string> links;  // "trace id-span id"
};

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
    const auto status = run_process(options, std::chrono::seconds(60), &why_not);
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
  Outcome consume(const Properties& properties) {
    return run({MIDTRACE_TEST_PLAIN_CLIENT, "consume", "3"}, properties);
  }

  std::vector<ExportedSpan> spans() const {
    std::vector<ExportedSpan> result;
    std::ifstream stream(spans_file());
    for (std::string line; std::getline(stream, line);) {
      const auto document = nlohmann::json::parse(line);
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
    return result;
  }

  // What a consumer without the plugin finds on the messages.
  std::vector<std::string> traceparents_on_the_wire() {
    const Outcome outcome = consume({bootstrap(), "group.id=g"});
    EXPECT_EQ(outcome.code, 0) << outcome.text();
    EXPECT_THAT(outcome.beginning_with("own="), SizeIs(3)) << "the application's own headers stay";
    return outcome.beginning_with("traceparent=");
  }

  TemporaryDirectory directory_;
  std::unique_ptr<MockCluster> cluster_;
  int runs_ = 0;
};

constexpr int producer_kind = 4;
constexpr int client_kind = 3;

void expect_three_sends(const std::vector<ExportedSpan>& spans, const std::vector<std::string>& wire) {
  ASSERT_THAT(spans, SizeIs(3));
  ASSERT_THAT(wire, SizeIs(3));
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const ExportedSpan& span = spans[i];
    EXPECT_EQ(span.name, "send orders");
    EXPECT_EQ(span.kind, producer_kind);
    EXPECT_EQ(span.service, "plain");
    EXPECT_EQ(span.attributes.at("messaging.system"), "\"kafka\"");
    EXPECT_EQ(span.attributes.at("messaging.kafka.offset"), "\"" + std::to_string(i) + "\"");
    EXPECT_THAT(wire[i], HasSubstr(span.trace_id + "-" + span.span_id));
  }
}

TEST_F(KafkaPlugin, TracesAPlainProgramInC) {
  const Outcome outcome = produce(with_plugin());
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, IsEmpty()) << "nothing is said where nothing is wrong";
  expect_three_sends(spans(), traceparents_on_the_wire());
}

TEST_F(KafkaPlugin, TracesAPythonProgram) {
  std::string why_not;
  ProcessOptions trial;
  trial.arguments = {"/usr/bin/python3", "-c", "import confluent_kafka"};
  const auto possible = run_process(trial, std::chrono::seconds(30), &why_not);
  if (!possible || !possible->success()) {
    const char* ci = std::getenv("CI");
    ASSERT_STRNE(ci != nullptr ? ci : "", "true") << "CI=true forbids to leave Python out";
    GTEST_SKIP() << "not run: python3-confluent-kafka is not installed";
  }
  const Outcome outcome = run({"/usr/bin/python3", MIDTRACE_TEST_PLAIN_PYTHON, "3"}, with_plugin());
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  expect_three_sends(spans(), traceparents_on_the_wire());
}

TEST_F(KafkaPlugin, ExportsWhatEndedWhenAProgramLeavesWithoutDestroyingItsClient) {
  const Outcome outcome = run({MIDTRACE_TEST_PLAIN_CLIENT, "leave", "3"}, with_plugin());
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, IsEmpty());
  expect_three_sends(spans(), traceparents_on_the_wire());
}

TEST_F(KafkaPlugin, TracesTheWorkersOfAServerThatForks) {
  const Outcome outcome = run({MIDTRACE_TEST_PLAIN_CLIENT, "fork", "3"}, with_plugin());
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, IsEmpty());
  std::map<std::string, int> processes;  // spans by the process that made them
  for (const ExportedSpan& span : spans()) {
    EXPECT_EQ(span.name, "send orders");
    ++processes[span.process];
  }
  EXPECT_THAT(processes, ::testing::UnorderedElementsAre(::testing::Pair(::testing::_, 3),
                                                         ::testing::Pair(::testing::_, 3)));
}

TEST_F(KafkaPlugin, TakesItsConfigurationFromTheEnvironmentToo) {
  const Outcome outcome = produce({"plugin.library.paths=" MIDTRACE_TEST_PLUGIN, bootstrap()},
                                  {"OTEL_TRACES_EXPORTER=otlp_file",
                                   "MIDTRACE_OTLP_FILE=" + spans_file().string(), "OTEL_SERVICE_NAME=plain"});
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  expect_three_sends(spans(), traceparents_on_the_wire());
}

TEST_F(KafkaPlugin, LinksPollsToTheSendsWhenAsked) {
  ASSERT_EQ(produce(with_plugin()).code, 0);
  const auto sends = spans();
  ASSERT_THAT(sends, SizeIs(3));
  const Outcome outcome = consume(with_plugin({"group.id=g", "midtrace.kafka.poll.spans=true"}));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  const auto all = spans();
  ASSERT_THAT(all, SizeIs(6));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(all[3 + i].name, "poll orders");
    EXPECT_EQ(all[3 + i].kind, client_kind);
    EXPECT_THAT(all[3 + i].links, ElementsAre(sends[i].trace_id + "-" + sends[i].span_id));
  }
}

TEST_F(KafkaPlugin, ShowsCommitsAndHeadersWhenAsked) {
  ASSERT_EQ(produce(with_plugin()).code, 0);
  const Outcome outcome =
      consume(with_plugin({"group.id=g", "midtrace.kafka.poll.spans=true", "midtrace.kafka.commit.spans=true",
                           "midtrace.kafka.headers=*, x", "midtrace.kafka.queue.time=false"}));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  std::size_t commits = 0;
  for (const ExportedSpan& span : spans()) {
    EXPECT_EQ(span.attributes.count("messaging.header.own"), span.name == "poll orders" ? 1U : 0U);
    EXPECT_EQ(span.attributes.count("midtrace.messaging.queue_time"), 0U);
    if (span.name != "commit orders") continue;
    ++commits;
    EXPECT_EQ(span.kind, client_kind);
    EXPECT_EQ(span.parent_span_id, "");
    EXPECT_EQ(span.attributes.at("messaging.kafka.offset"), "\"3\"");
  }
  EXPECT_EQ(commits, 1U) << "the automatic one at the end";
}

TEST_F(KafkaPlugin, MakesNoPollSpansUnlessAsked) {
  ASSERT_EQ(produce(with_plugin()).code, 0);
  EXPECT_EQ(consume(with_plugin({"group.id=g"})).code, 0);
  EXPECT_THAT(spans(), SizeIs(3));
}

TEST_F(KafkaPlugin, PropagatesWithoutSpans) {
  const Outcome outcome = produce(with_plugin({"midtrace.kafka.mode=propagate"}));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(spans(), IsEmpty());
}

TEST_F(KafkaPlugin, ThatIsOffLeavesTheMessagesAlone) {
  EXPECT_EQ(produce(with_plugin({"midtrace.kafka.mode=off"})).code, 0);
  EXPECT_THAT(spans(), IsEmpty());
  EXPECT_THAT(traceparents_on_the_wire(), IsEmpty());
}

TEST_F(KafkaPlugin, LeavesOutTheTopicsOfAPattern) {
  EXPECT_EQ(produce(with_plugin({"midtrace.kafka.untraced.topics=audit, ord*"})).code, 0);
  EXPECT_THAT(spans(), IsEmpty());
}

TEST_F(KafkaPlugin, AddsNothingToTheMessagesOfATopicOfAPattern) {
  EXPECT_EQ(produce(with_plugin({"midtrace.kafka.unpropagated.topics=orders"})).code, 0);
  ASSERT_THAT(spans(), SizeIs(3));
  EXPECT_EQ(spans()[0].kind, client_kind);
  EXPECT_THAT(traceparents_on_the_wire(), IsEmpty());
}

TEST_F(KafkaPlugin, SaysWhatIsWrongWithAPropertyAndGoesOn) {
  const Outcome outcome =
      produce(with_plugin({"midtrace.kafka.mode=sideways", "midtrace.kafka.colour=MARKER"}));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.text(),
              HasSubstr("midtrace.kafka.mode is \"sideways\", which is not off, propagate or on; "
                        "using the default"));
  EXPECT_THAT(outcome.text(), HasSubstr("\"midtrace.kafka.colour\" is no property of midtrace; ignored."));
  EXPECT_THAT(outcome.text(), Not(HasSubstr("MARKER")));
  EXPECT_THAT(spans(), SizeIs(3));
}

TEST_F(KafkaPlugin, SaysWhichPropertyNobodyReads) {
  const Outcome outcome = produce(with_plugin({"midtrace.traces.smapler=MARKER"}));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, SizeIs(1)) << outcome.text();
  EXPECT_THAT(outcome.text(), HasSubstr("Nothing reads \"midtrace.traces.smapler\": misspelt,"));
  EXPECT_THAT(outcome.text(), Not(HasSubstr("MARKER")));
  EXPECT_THAT(spans(), SizeIs(3));
}

TEST_F(KafkaPlugin, ThatCannotWriteItsSpansDoesNotStopTheProgram) {
  const Outcome outcome =
      produce({"plugin.library.paths=" MIDTRACE_TEST_PLUGIN, bootstrap(),
               "midtrace.traces.exporter=otlp_file", "midtrace.otlp.file=/nowhere/at/all"});
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.text(), HasSubstr("Cannot open the trace file"));
}

TEST_F(KafkaPlugin, NamedTwiceTracesOnce) {
  Properties properties = with_plugin();
  properties.insert(properties.begin() + 1, "plugin.library.paths=" MIDTRACE_TEST_PLUGIN);
  const Outcome outcome = produce(properties);
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  expect_three_sends(spans(), traceparents_on_the_wire());
}

// The program's own tracing is the one there is: its spans are parents, its exporter gets everything, and
// what instrument() traces the plugin leaves alone.
class KafkaPluginBesideTracing : public KafkaPlugin, public ::testing::WithParamInterface<const char*> {};
TEST_P(KafkaPluginBesideTracing, IsOneTraceAndNothingTwice) {
  const std::filesystem::path elsewhere = directory_.path() / "elsewhere.jsonl";
  const Outcome outcome =
      run({MIDTRACE_TEST_TRACED_CLIENT, GetParam()},
          {"plugin.library.paths=" MIDTRACE_TEST_PLUGIN, bootstrap(),
           "midtrace.otlp.file=" + elsewhere.string(), "midtrace.service.name=plugin"},
          {"OTEL_TRACES_EXPORTER=otlp_file", "MIDTRACE_OTLP_FILE=" + spans_file().string()});
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_FALSE(std::filesystem::exists(elsewhere));
  const auto all = spans();
  ASSERT_THAT(all, SizeIs(4));
  const auto order =
      std::find_if(all.begin(), all.end(), [](const ExportedSpan& span) { return span.name == "order"; });
  ASSERT_NE(order, all.end());
  const auto wire = traceparents_on_the_wire();
  ASSERT_THAT(wire, SizeIs(3));
  std::size_t sent = 0;
  for (const ExportedSpan& span : all) {
    EXPECT_EQ(span.service, "traced");
    EXPECT_EQ(span.trace_id, order->trace_id);
    if (span.name == "order") continue;
    EXPECT_EQ(span.name, "send orders");
    EXPECT_EQ(span.parent_span_id, order->span_id);
    EXPECT_THAT(wire[sent++], HasSubstr(span.trace_id + "-" + span.span_id));
  }
}
INSTANTIATE_TEST_SUITE_P(Programs, KafkaPluginBesideTracing, ::testing::Values("bare", "instrumented"),
                         [](const auto& program) { return std::string(program.param); });

// What the dynamic linker would look for when the plugin is loaded.
TEST_F(KafkaPlugin, NeedsNoLibrdkafkaOfItsOwn) {
  const Outcome outcome = run({"readelf", "--dynamic", "--wide", MIDTRACE_TEST_PLUGIN}, {});
  ASSERT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.text(), HasSubstr("NODELETE"));
  EXPECT_THAT(outcome.text(), Not(HasSubstr("librdkafka")));
}

}  // namespace
}  // namespace midtrace::test
