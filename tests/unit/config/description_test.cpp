// describe(): every setting with where it came from, and no secret.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/description.h"
#include "config/ready_options.h"
#include "support/child_process.h"
#include "variables.h"

#include <midtrace/export/exporters.h>
#include <midtrace/setup.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace {

using midtrace::SetupOptions;
using testing::HasSubstr;
using testing::Not;

std::string described(std::initializer_list<std::pair<const std::string, std::string>> variables,
                      SetupOptions options = {}) {
  midtrace_test::Variables environment(variables);
  return midtrace::to_text(midtrace::make_ready(std::move(options), environment.environment()).description,
                           "\n") +
         "\n";
}

TEST(Description, NamesDefaults) {
  const std::string text = described({{"OTEL_TRACES_EXPORTER", "none"}});
  EXPECT_THAT(text, HasSubstr("tracing = off  (there is no exporter)\n"));
  EXPECT_THAT(text, HasSubstr("service.name = \"unknown_service:midtrace_config_test\"  (default)\n"));
  EXPECT_THAT(text, HasSubstr("exporters = none  (OTEL_TRACES_EXPORTER)\n"));
  EXPECT_THAT(text, HasSubstr("queue size per thread = 2048  (default)\n"));
  EXPECT_THAT(text, HasSubstr("attributes per span = 128  (default)\n"));
  EXPECT_THAT(text, HasSubstr("characters per attribute value = unlimited  (default)\n"));
  EXPECT_THAT(text, HasSubstr("propagated fields = traceparent, tracestate, baggage  (default)\n"));
  EXPECT_THAT(text, HasSubstr("exit timeout = 2000 ms  (default)\n"));
  EXPECT_THAT(text, Not(HasSubstr("module kafka")));
}

TEST(Description, NamesTheVariableThatDecided) {
  const std::string text = described({{"OTEL_TRACES_EXPORTER", "console"},
                                      {"OTEL_SERVICE_NAME", "shop"},
                                      {"OTEL_TRACES_SAMPLER", "always_off"},
                                      {"OTEL_BSP_SCHEDULE_DELAY", "250"},
                                      {"OTEL_ATTRIBUTE_COUNT_LIMIT", "7"},
                                      {"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "3"},
                                      {"MIDTRACE_KAFKA", "propagate"}});
  EXPECT_THAT(text, HasSubstr("tracing = on  (setup())\n"));
  EXPECT_THAT(text, HasSubstr("service.name = \"shop\"  (OTEL_SERVICE_NAME)\n"));
  EXPECT_THAT(text, HasSubstr("sampler = AlwaysOffSampler  (OTEL_TRACES_SAMPLER)\n"));
  EXPECT_THAT(text, HasSubstr("console = standard output  (OTEL_TRACES_EXPORTER)\n"));
  EXPECT_THAT(text, HasSubstr("schedule delay = 250 ms  (OTEL_BSP_SCHEDULE_DELAY)\n"));
  EXPECT_THAT(text, HasSubstr("attributes per span = 7  (OTEL_ATTRIBUTE_COUNT_LIMIT)\n"));
  EXPECT_THAT(text, HasSubstr("attributes per link = 3  (OTEL_LINK_ATTRIBUTE_COUNT_LIMIT)\n"));
  EXPECT_THAT(text, HasSubstr("module kafka = \"propagate\"  (MIDTRACE_KAFKA)\n"));
}

TEST(Description, NamesTheFileThatSpansGoTo) {
  const midtrace::test::TemporaryDirectory directory;
  const std::string path = (directory.path() / "spans.jsonl").string();
  EXPECT_THAT(described({{"OTEL_TRACES_EXPORTER", "otlp_file"}, {"MIDTRACE_OTLP_FILE", path}}),
              HasSubstr("OTLP file = \"" + path + "\"  (MIDTRACE_OTLP_FILE)\n"));
  SetupOptions options;
  options.exporters.push_back(midtrace::otlp_file_exporter(path));
  EXPECT_THAT(described({}, std::move(options)), HasSubstr("OTLP file = \"" + path + "\"  (code)\n"));
}

TEST(Description, SaysWhichVariableIsInvalidBesideWhatIsUsedInstead) {
  const std::string text = described({{"OTEL_TRACES_EXPORTER", "none"},
                                      {"OTEL_BSP_MAX_QUEUE_SIZE", "many"},
                                      {"OTEL_TRACES_SAMPLER", "sometimes"}});
  EXPECT_THAT(
      text, HasSubstr("queue size per thread = 2048  (OTEL_BSP_MAX_QUEUE_SIZE, invalid: see the warning)\n"));
  EXPECT_THAT(text, HasSubstr("  (OTEL_TRACES_SAMPLER, invalid: see the warning)\n"));
}

TEST(Description, SaysWhySetUpFailed) {
  const std::string text =
      described({{"OTEL_TRACES_EXPORTER", "otlp_file"}, {"MIDTRACE_OTLP_FILE", "/nowhere/at/all"}});
  EXPECT_THAT(text, HasSubstr("tracing = off  (setup() failed: Cannot open the trace file"));
}

// An exporter of the application's, whose settings() does not work.
struct Throwing final : midtrace::Exporter {
  std::vector<midtrace::Setting> settings() const override { throw 1; }
  midtrace::ExportResult export_batch(const midtrace::ExportBatch&) noexcept override {
    return midtrace::ExportResult::success;
  }
};

TEST(Description, SurvivesAnExporterThatThrows) {
  SetupOptions options;
  options.exporters.push_back(std::make_shared<Throwing>());
  const std::string text = described({}, std::move(options));
  EXPECT_THAT(text, HasSubstr("tracing = on  (setup())\n"));
  EXPECT_THAT(text, HasSubstr("exporter = settings() threw an exception  (code)\n"));
}

TEST(Description, SaysThatCodeDecided) {
  SetupOptions options;
  options.service_name = "shop";
  options.exporters.push_back(std::make_shared<midtrace::testing::MemoryExporter>());
  options.sampler = midtrace::always_on_sampler();
  options.batch = midtrace::BatchOptions{.queue_size = 64, .export_batch_size = 8};
  const std::string text =
      described({{"OTEL_SERVICE_NAME", "other"}, {"OTEL_TRACES_SAMPLER", "always_off"}}, std::move(options));
  EXPECT_THAT(text, HasSubstr("service.name = \"shop\"  (code)\n"));
  EXPECT_THAT(text, HasSubstr("exporters = 1  (code)\n"));
  EXPECT_THAT(text, HasSubstr("sampler = AlwaysOnSampler  (code)\n"));
  EXPECT_THAT(text, HasSubstr("queue size per thread = 64  (code)\n"));
}

TEST(Description, SaysThatTracingIsDisabled) {
  EXPECT_THAT(described({{"OTEL_SDK_DISABLED", "true"}}), HasSubstr("tracing = off  (OTEL_SDK_DISABLED)\n"));
}

TEST(Description, HoldsNoSecretOfTheEnvironment) {
  const std::string text =
      described({{"OTEL_TRACES_EXPORTER", "none"},
                 {"OTEL_RESOURCE_ATTRIBUTES", "token=MARKER-1"},
                 {"OTEL_EXPORTER_OTLP_HEADERS", "authorization=MARKER-2"},
                 {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:MARKER-3@127.0.0.1:4318"}});
  EXPECT_THAT(text, Not(HasSubstr("MARKER")));
}

TEST(Describe, TellsTheConfigurationInEffectWhileThereIsOne) {
  EXPECT_THAT(midtrace::describe(), HasSubstr("tracing = off  ("));
  {
    midtrace::testing::Recorder recorder({.service_name = "shop"});
    EXPECT_THAT(midtrace::describe(), HasSubstr("service.name = \"shop\"  (code)\n"));
  }
  EXPECT_THAT(midtrace::describe(), HasSubstr("tracing = off  (shut down)\n"));
}

// Keeps what is logged.
struct KeptLog final : midtrace::Logger {
  std::string text;
  void log(midtrace::Severity severity, std::string_view message) noexcept override {
    if (severity == midtrace::Severity::debug) text.append(message).append("\n");
  }
};

std::string logged_at(const char* level) {
  const auto log = std::make_shared<KeptLog>();
  ::setenv("OTEL_LOG_LEVEL", level, 1);
  {
    SetupOptions options;
    options.service_name = "shop";
    options.exporters.push_back(std::make_shared<midtrace::testing::MemoryExporter>());
    options.logger = log;
    midtrace::Telemetry telemetry = midtrace::setup(std::move(options));
    midtrace::Tracer::get("description_test").start("span").end();
  }
  ::unsetenv("OTEL_LOG_LEVEL");
  return log->text;
}

TEST(Describe, IsLoggedForDebuggingAndSoAreTheCounters) {
  const std::string text = logged_at("debug");
  EXPECT_THAT(text, HasSubstr("configuration: tracing = on  (setup()); service.name = \"shop\"  (code); "));
  EXPECT_THAT(text, HasSubstr("counters at the end: spans_started="));
}

TEST(Describe, IsNotLoggedOtherwise) { EXPECT_EQ(logged_at("info"), ""); }

TEST(Describe, SaysWhyTheLastSetUpFailed) {
  SetupOptions options;
  options.exporters.push_back(midtrace::otlp_file_exporter("/nowhere/at/all"));
  options.logger = std::make_shared<KeptLog>();
  options.read_environment = false;
  const midtrace::Telemetry telemetry = midtrace::setup(std::move(options));
  EXPECT_FALSE(telemetry.ok());
  EXPECT_THAT(midtrace::describe(), HasSubstr("tracing = off  (setup() failed: Cannot open the trace file"));
}

}  // namespace
