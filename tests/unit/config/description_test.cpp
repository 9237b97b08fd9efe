// describe(): every setting with where it came from, and no secret.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "config/ready_options.h"
#include "variables.h"

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace {

using midtrace::SetupOptions;
using testing::HasSubstr;
using testing::Not;

std::string described(std::initializer_list<std::pair<const std::string, std::string>> variables,
                      SetupOptions options = {}) {
  midtrace_test::Variables environment(variables);
  return midtrace::make_ready(std::move(options), environment.environment()).description;
}

TEST(Description, NamesDefaults) {
  const std::string text = described({{"OTEL_TRACES_EXPORTER", "none"}});
  EXPECT_THAT(text, HasSubstr("tracing = off, without an exporter  (default)\n"));
  EXPECT_THAT(text, HasSubstr("service.name = \"unknown_service:midtrace_config_test\"  (default)\n"));
  EXPECT_THAT(text, HasSubstr("exporters = none  (OTEL_TRACES_EXPORTER)\n"));
  EXPECT_THAT(text, HasSubstr("queue size per thread = 2048  (default)\n"));
  EXPECT_THAT(text, HasSubstr("SPAN_ATTRIBUTE_COUNT_LIMIT = 128  (default)\n"));
  EXPECT_THAT(text, HasSubstr("SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT = unlimited  (default)\n"));
  EXPECT_THAT(text, HasSubstr("propagated fields = traceparent, tracestate, baggage  (default)\n"));
}

TEST(Description, NamesTheVariableThatDecided) {
  const std::string text = described({{"OTEL_TRACES_EXPORTER", "console"},
                                      {"OTEL_SERVICE_NAME", "shop"},
                                      {"OTEL_TRACES_SAMPLER", "always_off"},
                                      {"OTEL_BSP_SCHEDULE_DELAY", "250"},
                                      {"OTEL_ATTRIBUTE_COUNT_LIMIT", "7"},
                                      {"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "3"}});
  EXPECT_THAT(text, HasSubstr("tracing = on  (default)\n"));
  EXPECT_THAT(text, HasSubstr("service.name = \"shop\"  (OTEL_SERVICE_NAME)\n"));
  EXPECT_THAT(text, HasSubstr("sampler = AlwaysOffSampler  (OTEL_TRACES_SAMPLER)\n"));
  EXPECT_THAT(text, HasSubstr("schedule delay = 250 ms  (OTEL_BSP_SCHEDULE_DELAY)\n"));
  EXPECT_THAT(text, HasSubstr("SPAN_ATTRIBUTE_COUNT_LIMIT = 7  (OTEL_ATTRIBUTE_COUNT_LIMIT)\n"));
  EXPECT_THAT(text, HasSubstr("LINK_ATTRIBUTE_COUNT_LIMIT = 3  (OTEL_LINK_ATTRIBUTE_COUNT_LIMIT)\n"));
}

TEST(Description, SaysWhichVariableIsInvalidBesideWhatIsUsedInstead) {
  const std::string text = described({{"OTEL_TRACES_EXPORTER", "none"},
                                      {"OTEL_BSP_MAX_QUEUE_SIZE", "many"},
                                      {"OTEL_TRACES_SAMPLER", "sometimes"}});
  EXPECT_THAT(text, HasSubstr("queue size per thread = 2048  (OTEL_BSP_MAX_QUEUE_SIZE, which is partly or "
                              "wholly invalid)\n"));
  EXPECT_THAT(text, HasSubstr("  (OTEL_TRACES_SAMPLER, which is partly or wholly invalid)\n"));
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
  EXPECT_THAT(midtrace::describe(), HasSubstr("Tracing is off"));
  {
    midtrace::testing::Recorder recorder({.service_name = "shop"});
    EXPECT_THAT(midtrace::describe(), HasSubstr("service.name = \"shop\"  (code)\n"));
  }
  EXPECT_THAT(midtrace::describe(), HasSubstr("Tracing is off"));
}

// Keeps what is logged.
struct KeptLog final : midtrace::Logger {
  std::string text;
  void log(midtrace::Severity severity, std::string_view message) noexcept override {
    if (severity == midtrace::Severity::debug) text.append(message).append("\n");
  }
};

TEST(Describe, IsLoggedForDebuggingAndSoAreTheCounters) {
  const auto log = std::make_shared<KeptLog>();
  {
    SetupOptions options;
    options.service_name = "shop";
    options.exporters.push_back(std::make_shared<midtrace::testing::MemoryExporter>());
    options.logger = log;
    options.read_environment = false;
    midtrace::Telemetry telemetry = midtrace::setup(std::move(options));
    midtrace::Tracer::get("description_test").start("span").end();
  }
  EXPECT_THAT(log->text, HasSubstr("midtrace is set up:\ntracing = on"));
  EXPECT_THAT(log->text, HasSubstr("midtrace was shut down: spans_started="));
}

}  // namespace
