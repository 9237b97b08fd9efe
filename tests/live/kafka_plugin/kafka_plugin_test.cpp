// The plugin, in programs that know nothing of midtrace: what they send carries a context, their spans
// arrive, and whatever is wrong with the plugin's configuration, they work.
#include "kafka_plugin_fixture.h"

#include <algorithm>
#include <cstdlib>

namespace midtrace::test {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(KafkaPlugin, TracesAPlainProgramInC) {
  const Outcome outcome = produce(with_plugin());
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, IsEmpty()) << "nothing is said where nothing is wrong";
  expect_three_sends(spans(), traceparents_on_the_wire());
}

TEST_F(KafkaPlugin, TracesAPlainProgramInCpp) {
  const Outcome outcome = run({MIDTRACE_TEST_PLAIN_CPP_CLIENT, "3"}, with_plugin());
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, IsEmpty()) << "nothing is said where nothing is wrong";
  const auto made = spans();
  expect_three_sends(made, traceparents_on_the_wire());
  for (const ExportedSpan& span : made)
    EXPECT_EQ(span.attributes.at("messaging.kafka.message.key"), "\"customer\"");
}

// Several clients in one program: midtrace.kafka.* is each one's own, the rest is the first one's.
class KafkaPluginClients : public KafkaPlugin {
 protected:
  // A program with two of them, of which each sends three messages.
  Outcome produce_by_two(const Properties& first, const Properties& second) {
    Properties both = with_plugin(first);
    both.emplace_back("--");
    const Properties others = with_plugin(second);
    both.insert(both.end(), others.begin(), others.end());
    return run({MIDTRACE_TEST_PLAIN_CPP_CLIENT, "3"}, both);
  }
  std::vector<ExportedSpan> spans_of(const std::string& client) const {
    std::vector<ExportedSpan> found;
    for (const ExportedSpan& span : spans()) {
      if (span.attributes.at("messaging.client.id") == "\"" + client + "\"") found.push_back(span);
    }
    return found;
  }
};

TEST_F(KafkaPluginClients, OfWhichOneIsOff) {
  const Outcome outcome =
      produce_by_two({"client.id=silent", "midtrace.kafka.mode=off"}, {"client.id=spoken"});
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, IsEmpty());
  EXPECT_THAT(spans(), SizeIs(3));
  const auto spoken = spans_of("spoken");
  const auto wire = traceparents_on_the_wire(6);
  ASSERT_THAT(spoken, SizeIs(3));
  ASSERT_THAT(wire, SizeIs(3));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(spoken[i].attributes.at("messaging.kafka.offset"), "\"" + std::to_string(3 + i) + "\"");
    EXPECT_THAT(wire[i], HasSubstr(spoken[i].trace_id + "-" + spoken[i].span_id));
  }
}

TEST_F(KafkaPluginClients, HaveOptionsOfTheirOwn) {
  const Outcome outcome = produce_by_two({"client.id=keyless", "midtrace.kafka.message.key=false"},
                                         {"client.id=sized", "midtrace.kafka.message.body.size=true"});
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, IsEmpty()) << "options of a client may differ";
  const auto keyless = spans_of("keyless");
  const auto sized = spans_of("sized");
  ASSERT_THAT(keyless, SizeIs(3));
  ASSERT_THAT(sized, SizeIs(3));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(keyless[i].attributes.count("messaging.kafka.message.key"), 0U);
    EXPECT_EQ(keyless[i].attributes.count("messaging.message.body.size"), 0U);
    EXPECT_EQ(sized[i].attributes.count("messaging.kafka.message.key"), 1U);
    EXPECT_EQ(sized[i].attributes.at("messaging.message.body.size"), "\"7\"");
  }
  EXPECT_THAT(traceparents_on_the_wire(6), SizeIs(6));
}

TEST_F(KafkaPluginClients, ShareWhatTheFirstSaysOfTheProcess) {
  const Outcome outcome =
      produce_by_two({"client.id=first"}, {"client.id=second", "midtrace.service.name=MARKER"});
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  ASSERT_THAT(outcome.lines, SizeIs(1)) << outcome.text();
  EXPECT_THAT(outcome.lines[0],
              AllOf(HasSubstr("A Kafka client has other midtrace.* properties than the first one"),
                    HasSubstr("the first client's are used"), Not(HasSubstr("MARKER"))));
  EXPECT_THAT(spans_of("first"), SizeIs(3));
  EXPECT_THAT(spans_of("second"), SizeIs(3));
  for (const ExportedSpan& span : spans())
    EXPECT_EQ(span.service, "plain");
}

// False after it said why; with CI=true that is a failure.
bool python_has_a_client() {
  ProcessOptions trial;
  trial.arguments = {"/usr/bin/python3", "-c", "import confluent_kafka"};
  std::string why_not;
  const auto possible = run_process(trial, std::chrono::seconds(30), &why_not);
  if (possible && possible->success()) return true;
  const char* ci = std::getenv("CI");
  EXPECT_STRNE(ci != nullptr ? ci : "", "true") << "CI=true forbids to leave Python out";
  return false;
}
constexpr const char* no_python = "not run: python3-confluent-kafka is not installed";

TEST_F(KafkaPlugin, TracesAPythonProgram) {
  if (!python_has_a_client()) GTEST_SKIP() << no_python;
  const Outcome outcome =
      run({"/usr/bin/python3", MIDTRACE_TEST_PLAIN_PYTHON, "produce", "3"}, with_plugin());
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  expect_three_sends(spans(), traceparents_on_the_wire());
}

void expect_polls_linked_to(const std::vector<ExportedSpan>& sends, const std::vector<ExportedSpan>& all) {
  ASSERT_THAT(sends, SizeIs(3));
  ASSERT_THAT(all, SizeIs(6));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(all[3 + i].name, "poll orders");
    EXPECT_EQ(all[3 + i].kind, client_kind);
    EXPECT_THAT(all[3 + i].links, ElementsAre(sends[i].trace_id + "-" + sends[i].span_id));
  }
}

TEST_F(KafkaPlugin, LinksThePollsOfAPythonProgramToTheSends) {
  if (!python_has_a_client()) GTEST_SKIP() << no_python;
  ASSERT_EQ(produce(with_plugin()).code, 0);
  const auto sends = spans();
  const Outcome outcome = run({"/usr/bin/python3", MIDTRACE_TEST_PLAIN_PYTHON, "consume", "3"},
                              with_plugin({"group.id=g", "midtrace.kafka.poll.spans=true"}));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.lines, ElementsAre("order 0", "order 1", "order 2"));
  expect_polls_linked_to(sends, spans());
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
  const Outcome outcome = consume(with_plugin({"group.id=g", "midtrace.kafka.poll.spans=true"}));
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  expect_polls_linked_to(sends, spans());
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

// What tells the modes apart where there is a context: the span of the program that traces by itself.
struct Mode {
  const char* mode;
  std::size_t spans;  // the program's own among them
  bool carries_the_programs_span;
  bool carries_anything;
};
class KafkaPluginMode : public KafkaPlugin, public ::testing::WithParamInterface<Mode> {};
TEST_P(KafkaPluginMode, DecidesWhatTravels) {
  const Outcome outcome =
      run({MIDTRACE_TEST_TRACED_CLIENT, "bare"},
          {"plugin.library.paths=" MIDTRACE_TEST_PLUGIN, bootstrap(),
           std::string("midtrace.kafka.mode=") + GetParam().mode},
          {"OTEL_TRACES_EXPORTER=otlp_file", "MIDTRACE_OTLP_FILE=" + spans_file().string()});
  EXPECT_EQ(outcome.code, 0) << outcome.text();
  const auto all = spans();
  ASSERT_THAT(all, SizeIs(GetParam().spans));
  const auto order =
      std::find_if(all.begin(), all.end(), [](const ExportedSpan& span) { return span.name == "order"; });
  ASSERT_NE(order, all.end());
  const auto wire = traceparents_on_the_wire();
  ASSERT_THAT(wire, SizeIs(GetParam().carries_anything ? 3 : 0));
  EXPECT_THAT(wire, Each(HasSubstr(order->trace_id)));
  for (const std::string& traceparent : wire) {
    EXPECT_EQ(traceparent.find(order->trace_id + "-" + order->span_id) != std::string::npos,
              GetParam().carries_the_programs_span)
        << traceparent;
  }
}
INSTANTIATE_TEST_SUITE_P(Modes, KafkaPluginMode,
                         ::testing::Values(Mode{"off", 1, false, false}, Mode{"propagate", 1, true, true},
                                           Mode{"on", 4, false, true}),
                         [](const auto& each) { return std::string(each.param.mode); });

// What the dynamic linker would look for when the plugin is loaded.
TEST_F(KafkaPlugin, NeedsNoLibrdkafkaOfItsOwn) {
  const Outcome outcome = run({"readelf", "--dynamic", "--wide", MIDTRACE_TEST_PLUGIN}, {});
  ASSERT_EQ(outcome.code, 0) << outcome.text();
  EXPECT_THAT(outcome.text(), HasSubstr("NODELETE"));
  EXPECT_THAT(outcome.text(), Not(HasSubstr("librdkafka")));
}

}  // namespace
}  // namespace midtrace::test
