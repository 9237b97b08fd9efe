// From what code and environment say to what setup() uses.
#include "config/ready_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <midtrace/export/exporters.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/rate_limiting_sampler.h>

#include "variables.h"

namespace {

using midtrace::make_ready;
using midtrace::ReadyOptions;
using midtrace::SetupOptions;
using midtrace_test::Variables;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path() / "midtrace-config-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// One exporter from code, so that the default of OTEL_TRACES_EXPORTER does not speak up.
SetupOptions with_exporter() {
  SetupOptions options;
  options.exporters.push_back(std::make_shared<midtrace::testing::MemoryExporter>());
  return options;
}

ReadyOptions ready(Variables& variables) { return make_ready(with_exporter(), variables.environment()); }

ReadyOptions ready_with(SetupOptions options) {
  Variables none{};
  return make_ready(std::move(options), none.environment());
}

// --- defaults
// ---------------------------------------------------------------------------------------------------

TEST(ReadyOptionsByDefault, AreTheSpecifications) {
  Variables none{};
  const ReadyOptions options = ready(none);
  EXPECT_FALSE(options.disabled);
  EXPECT_EQ(options.error, "");
  EXPECT_EQ(options.sampler->description(), midtrace::parent_based_sampler({})->description());
  EXPECT_EQ(options.limits.attribute_count, 128U);
  EXPECT_EQ(options.limits.attribute_value_length, midtrace::SpanLimits::unlimited);
  EXPECT_EQ(options.limits.event_count, 128U);
  EXPECT_EQ(options.limits.link_count, 128U);
  EXPECT_EQ(options.limits.event_attribute_count, 128U);
  EXPECT_EQ(options.limits.link_attribute_count, 128U);
  EXPECT_EQ(options.limits.module_link_count, 1024U);
  EXPECT_EQ(options.batch.schedule_delay, milliseconds(5000));
  EXPECT_EQ(options.batch.export_timeout, milliseconds(30000));
  EXPECT_EQ(options.batch.queue_size, 2048U);
  EXPECT_EQ(options.batch.export_batch_size, 512U);
  EXPECT_EQ(options.exit_timeout, milliseconds(2000));
  EXPECT_NE(options.logger, nullptr);
  EXPECT_EQ(options.clock, nullptr);
  EXPECT_EQ(options.ids, nullptr);
  EXPECT_THAT(none.warnings, IsEmpty());
}

// --- sampler
// ----------------------------------------------------------------------------------------------------

std::string parent_based(std::shared_ptr<midtrace::Sampler> root) {
  return midtrace::parent_based_sampler({.root = std::move(root)})->description();
}

TEST(TracesSampler, EachNameMeansItsSamplerInAnyCase) {
  using namespace midtrace;
  const struct {
    const char* name;
    const char* argument;
    std::string sampler;
  } rows[] = {
      {"always_on", "", always_on_sampler()->description()},
      {"Always_Off", "", always_off_sampler()->description()},
      {"traceidratio", "0.25", trace_id_ratio_sampler(0.25)->description()},
      {"TRACEIDRATIO", "1e-4", "TraceIdRatioBased{0.000100}"},
      {" traceidratio ", " 0 ", "TraceIdRatioBased{0.000000}"},
      {"parentbased_always_on", "", parent_based(always_on_sampler())},
      {"parentbased_always_off", "", parent_based(always_off_sampler())},
      {"parentbased_traceidratio", "1", parent_based(trace_id_ratio_sampler(1))},
      {"probability", "0.5", probability_sampler(0.5)->description()},
      {"ParentBased_Probability", "0.5", parent_based(probability_sampler(0.5))},
      {"rate_limiting", "0.1", "RateLimitingSampler{0.100000,burst=1}"},
      {"parentbased_rate_limiting", "20", parent_based(rate_limiting_sampler({.traces_per_second = 20}))},
      // An argument that the sampler does not take is not looked at.
      {"always_on", "nonsense", always_on_sampler()->description()},
      {"parentbased_always_on", "2", parent_based(always_on_sampler())},
      // No name: the argument says nothing.
      {"", "nonsense", parent_based(always_on_sampler())},
      {"  ", "2", parent_based(always_on_sampler())},
  };
  for (const auto& row : rows) {
    Variables variables{{"OTEL_TRACES_SAMPLER", row.name}, {"OTEL_TRACES_SAMPLER_ARG", row.argument}};
    EXPECT_EQ(ready(variables).sampler->description(), row.sampler) << row.name;
    EXPECT_THAT(variables.warnings, IsEmpty()) << row.name;
  }
}

TEST(TracesSampler, WithoutAUsableArgumentUsesItsDefaultWithOneWarning) {
  constexpr const char* ratio = " takes a number from 0 to 1; using 1";
  constexpr const char* rate = " takes a number of traces per second from 0 to 1000000000; using 100";
  const struct {
    const char* name;
    const char* argument;  // null: not set
    const char* said;
    const char* takes;
    const char* sampler;
  } rows[] = {
      {"traceidratio", "1.5", "is \"1.5\"", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", "-0.1", "is \"-0.1\"", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", "half", "is \"half\"", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", "0.5x", "is \"0.5x\"", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", "0,5", "is \"0,5\"", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", "nan", "is \"nan\"", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", "inf", "is \"inf\"", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", "1e999", "is \"1e999\"", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", "", "is not set", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", " ", "is not set", ratio, "TraceIdRatioBased{1.000000}"},
      {"traceidratio", nullptr, "is not set", ratio, "TraceIdRatioBased{1.000000}"},
      {"probability", "2", "is \"2\"", ratio, "ProbabilitySampler{1.000000}"},
      {"probability", nullptr, "is not set", ratio, "ProbabilitySampler{1.000000}"},
      {"rate_limiting", "-1", "is \"-1\"", rate, "RateLimitingSampler{100.000000,burst=100}"},
      {"rate_limiting", nullptr, "is not set", rate, "RateLimitingSampler{100.000000,burst=100}"},
  };
  for (const auto& row : rows) {
    for (const std::string prefix : {"", "parentbased_"}) {
      const std::string name = prefix + row.name;
      Variables with{{"OTEL_TRACES_SAMPLER", name},
                     {"OTEL_TRACES_SAMPLER_ARG", row.argument != nullptr ? row.argument : ""}};
      Variables without{{"OTEL_TRACES_SAMPLER", name}};
      Variables& variables = row.argument != nullptr ? with : without;
      EXPECT_THAT(
          ready(variables).sampler->description(),
          testing::StartsWith(prefix.empty() ? row.sampler : std::string("ParentBased{root=") + row.sampler));
      EXPECT_THAT(variables.warnings, ElementsAre("OTEL_TRACES_SAMPLER_ARG " + std::string(row.said) +
                                                  ", but OTEL_TRACES_SAMPLER=" + name + row.takes));
    }
  }
}

TEST(TracesSampler, AnUnknownNameMeansTheDefaultWithOneWarning) {
  for (const std::string name : {"jaeger_remote", "parentbased_jaeger_remote", "xray", "ratio",
                                 "parentbased_", "parentbased_parentbased_always_on"}) {
    Variables variables{{"OTEL_TRACES_SAMPLER", name}, {"OTEL_TRACES_SAMPLER_ARG", "endpoint=x"}};
    EXPECT_EQ(ready(variables).sampler->description(), midtrace::parent_based_sampler({})->description());
    EXPECT_THAT(
        variables.warnings,
        ElementsAre("OTEL_TRACES_SAMPLER is \"" + name +
                    "\", which is no sampler of midtrace; using parentbased_always_on. There are always_on, "
                    "always_off, traceidratio, probability, rate_limiting, parentbased_always_on, "
                    "parentbased_always_off, parentbased_traceidratio, parentbased_probability, "
                    "parentbased_rate_limiting"));
  }
}

TEST(TracesSampler, CodeBeatsTheEnvironment) {
  Variables variables{{"OTEL_TRACES_SAMPLER", "what"}};
  SetupOptions options = with_exporter();
  options.sampler = midtrace::always_off_sampler();
  const ReadyOptions result = make_ready(std::move(options), variables.environment());
  EXPECT_EQ(result.sampler->description(), midtrace::always_off_sampler()->description());
  EXPECT_THAT(variables.warnings, IsEmpty());
}

// --- limits
// -----------------------------------------------------------------------------------------------------

TEST(SpanLimitsOfTheEnvironment, EachVariableReachesItsField) {
  Variables variables{
      {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"},  {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "2"},
      {"OTEL_SPAN_EVENT_COUNT_LIMIT", "3"},      {"OTEL_SPAN_LINK_COUNT_LIMIT", "4"},
      {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "5"}, {"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "6"}};
  const midtrace::SpanLimits limits = ready(variables).limits;
  EXPECT_EQ(limits.attribute_count, 1U);
  EXPECT_EQ(limits.attribute_value_length, 2U);
  EXPECT_EQ(limits.event_count, 3U);
  EXPECT_EQ(limits.link_count, 4U);
  EXPECT_EQ(limits.module_link_count, 4U) << "the user's limit holds for modules too";
  EXPECT_EQ(limits.event_attribute_count, 5U);
  EXPECT_EQ(limits.link_attribute_count, 6U);
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(SpanLimitsOfTheEnvironment, GeneralLimitsHoldWhereNoSpecificOneIsSet) {
  Variables variables{{"OTEL_ATTRIBUTE_COUNT_LIMIT", "10"},
                      {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0"},
                      {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "20"}};
  const midtrace::SpanLimits limits = ready(variables).limits;
  EXPECT_EQ(limits.attribute_count, 10U);
  EXPECT_EQ(limits.link_attribute_count, 10U);
  EXPECT_EQ(limits.event_attribute_count, 20U);
  EXPECT_EQ(limits.attribute_value_length, 0U);
}

TEST(SpanLimitsOfTheEnvironment, ABadSpecificLimitFallsBackOnTheGeneralOne) {
  Variables variables{{"OTEL_ATTRIBUTE_COUNT_LIMIT", "10"}, {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"}};
  EXPECT_EQ(ready(variables).limits.attribute_count, 10U);
  EXPECT_THAT(variables.warnings,
              ElementsAre("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT is \"-1\", which is not a whole number "
                          "from 0 to 2147483647; using 10"));
}

TEST(SpanLimitsOfTheEnvironment, ABadLinkLimitLeavesBothLinkLimitsAtTheirDefaults) {
  Variables variables{{"OTEL_SPAN_LINK_COUNT_LIMIT", "many"}};
  const midtrace::SpanLimits limits = ready(variables).limits;
  EXPECT_EQ(limits.link_count, 128U);
  EXPECT_EQ(limits.module_link_count, 1024U);
  EXPECT_EQ(variables.warnings.size(), 1U);
}

TEST(SpanLimitsOfCode, ReplaceTheEnvironmentsWhole) {
  Variables variables{{"OTEL_SPAN_EVENT_COUNT_LIMIT", "3"}, {"OTEL_SPAN_LINK_COUNT_LIMIT", "4"}};
  SetupOptions options = with_exporter();
  options.limits = midtrace::SpanLimits{.attribute_count = 9};
  const midtrace::SpanLimits limits = make_ready(std::move(options), variables.environment()).limits;
  EXPECT_EQ(limits.attribute_count, 9U);
  EXPECT_EQ(limits.event_count, 128U);
  EXPECT_EQ(limits.link_count, 128U);
}

TEST(SpanLimitsOfCode, ALinkLimitHoldsForModulesUnlessTheirsIsSetToo) {
  SetupOptions one = with_exporter();
  one.limits = midtrace::SpanLimits{.link_count = 10};
  EXPECT_EQ(ready_with(std::move(one)).limits.module_link_count, 10U);
  SetupOptions both = with_exporter();
  both.limits = midtrace::SpanLimits{.link_count = 10, .module_link_count = 20};
  EXPECT_EQ(ready_with(std::move(both)).limits.module_link_count, 20U);
}

// --- batches
// ----------------------------------------------------------------------------------------------------

TEST(BatchOptionsOfTheEnvironment, EachVariableReachesItsField) {
  Variables variables{{"OTEL_BSP_SCHEDULE_DELAY", "100"},
                      {"OTEL_BSP_EXPORT_TIMEOUT", "200"},
                      {"OTEL_BSP_MAX_QUEUE_SIZE", "300"},
                      {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "50"}};
  const midtrace::BatchOptions batch = ready(variables).batch;
  EXPECT_EQ(batch.schedule_delay, milliseconds(100));
  EXPECT_EQ(batch.export_timeout, milliseconds(200));
  EXPECT_EQ(batch.queue_size, 300U);
  EXPECT_EQ(batch.export_batch_size, 50U);
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(BatchOptionsOfTheEnvironment, ABatchLargerThanTheQueueIsCutWithAWarning) {
  Variables variables{{"OTEL_BSP_MAX_QUEUE_SIZE", "64"}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "65"}};
  EXPECT_EQ(ready(variables).batch.export_batch_size, 64U);
  EXPECT_THAT(variables.warnings,
              ElementsAre("OTEL_BSP_MAX_EXPORT_BATCH_SIZE is 65, more than the queue of 64 spans "
                          "(OTEL_BSP_MAX_QUEUE_SIZE) holds; using 64"));
}

TEST(BatchOptionsOfTheEnvironment, ASmallQueueAloneMakesSmallBatchesSilently) {
  Variables variables{{"OTEL_BSP_MAX_QUEUE_SIZE", "64"}};
  EXPECT_EQ(ready(variables).batch.export_batch_size, 64U);
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(BatchOptionsOfTheEnvironment, BadValuesMeanTheDefaultsWithOneWarningEach) {
  Variables variables{{"OTEL_BSP_SCHEDULE_DELAY", "-5"},
                      {"OTEL_BSP_EXPORT_TIMEOUT", "1m"},
                      {"OTEL_BSP_MAX_QUEUE_SIZE", "0"},
                      {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4294967296"}};
  const midtrace::BatchOptions batch = ready(variables).batch;
  EXPECT_EQ(batch.schedule_delay, milliseconds(5000));
  EXPECT_EQ(batch.export_timeout, milliseconds(30000));
  EXPECT_EQ(batch.queue_size, 2048U);
  EXPECT_EQ(batch.export_batch_size, 512U);
  EXPECT_THAT(variables.warnings, ElementsAre("OTEL_BSP_SCHEDULE_DELAY is \"-5\", which is not a whole "
                                              "number of milliseconds from 0 to 2147483647; using 5000",
                                              "OTEL_BSP_EXPORT_TIMEOUT is \"1m\", which is not a whole "
                                              "number of milliseconds from 0 to 2147483647; using 30000",
                                              "OTEL_BSP_MAX_QUEUE_SIZE is \"0\", which is not a whole number "
                                              "of spans from 1 to 1048576; using 2048",
                                              "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is \"4294967296\", which is "
                                              "not a whole number of spans from 1 to 1048576; "
                                              "using 512"));
}

TEST(BatchOptionsOfTheEnvironment, ATimeoutOfZeroIsNoLimitAndADelayOfZeroDoesNotSpin) {
  Variables variables{{"OTEL_BSP_SCHEDULE_DELAY", "0"}, {"OTEL_BSP_EXPORT_TIMEOUT", "0"}};
  const midtrace::BatchOptions batch = ready(variables).batch;
  EXPECT_EQ(batch.schedule_delay, milliseconds(1));
  EXPECT_GE(batch.export_timeout, std::chrono::hours(24 * 300));
  // It must be possible to add it to a time.
  EXPECT_GT(std::chrono::steady_clock::now() + batch.export_timeout, std::chrono::steady_clock::now());
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(BatchOptionsOfCode, WhatCannotBeDoneIsRepairedWithAWarning) {
  Variables variables{};
  SetupOptions options = with_exporter();
  options.batch = midtrace::BatchOptions{.queue_size = 0,
                                         .export_batch_size = 5000,
                                         .schedule_delay = milliseconds(-1),
                                         .export_timeout = milliseconds::max(),
                                         .memory_bytes = 0};
  options.exit_timeout = milliseconds(-7);
  const ReadyOptions result = make_ready(std::move(options), variables.environment());
  EXPECT_EQ(result.batch.queue_size, 2048U);
  EXPECT_EQ(result.batch.export_batch_size, 512U);
  EXPECT_EQ(result.batch.schedule_delay, milliseconds(5000));
  EXPECT_EQ(result.batch.export_timeout, milliseconds(30000));
  EXPECT_EQ(result.batch.memory_bytes, 64ULL * 1024 * 1024);
  EXPECT_EQ(result.exit_timeout, milliseconds(2000));
  EXPECT_EQ(variables.warnings.size(), 6U);
  EXPECT_THAT(
      variables.warnings,
      testing::Contains("SetupOptions::batch.queue_size is 0, which is not from 1 to 1048576; using 2048"));
}

// --- propagators
// ------------------------------------------------------------------------------------------------

std::vector<std::string> fields_of(const ReadyOptions& options) {
  std::vector<std::string> result;
  for (const std::string_view field : options.propagator->fields())
    result.emplace_back(field);
  return result;
}

TEST(Propagators, AreTraceContextAndBaggageByDefault) {
  Variables none{};
  EXPECT_THAT(fields_of(ready(none)), UnorderedElementsAre("traceparent", "tracestate", "baggage"));
}

TEST(Propagators, AreChosenByNameInAnyCase) {
  Variables baggage{{"OTEL_PROPAGATORS", "BAGGAGE"}};
  EXPECT_THAT(fields_of(ready(baggage)), UnorderedElementsAre("baggage"));
  Variables none{{"OTEL_PROPAGATORS", "none"}};
  EXPECT_THAT(fields_of(ready(none)), IsEmpty());
  EXPECT_THAT(none.warnings, IsEmpty());
}

TEST(Propagators, UnknownNamesAreIgnoredWithOneWarning) {
  Variables variables{{"OTEL_PROPAGATORS", "xray,tracecontext,ottrace"}};
  EXPECT_THAT(fields_of(ready(variables)), UnorderedElementsAre("traceparent", "tracestate"));
  EXPECT_THAT(
      variables.warnings,
      ElementsAre(
          "OTEL_PROPAGATORS names \"xray\", \"ottrace\", which midtrace does not have; ignored. There are "
          "tracecontext, baggage, b3, b3multi, jaeger and none"));
}

TEST(Propagators, CodeBeatsTheEnvironment) {
  Variables variables{{"OTEL_PROPAGATORS", "xray"}};
  SetupOptions options = with_exporter();
  options.propagator = std::make_shared<midtrace::BaggagePropagator>();
  EXPECT_THAT(fields_of(make_ready(std::move(options), variables.environment())),
              UnorderedElementsAre("baggage"));
  EXPECT_THAT(variables.warnings, IsEmpty());
}

// --- exporters
// --------------------------------------------------------------------------------------------------

TEST(TracesExporter, UnsetMeansOtlpWhichIsMissingWithOneWarning) {
  Variables variables{};
  const ReadyOptions options = make_ready({}, variables.environment());
  EXPECT_THAT(options.exporters, IsEmpty());
  EXPECT_EQ(options.error, "");
  EXPECT_THAT(
      variables.warnings,
      ElementsAre(
          "OTEL_TRACES_EXPORTER is not set, which means otlp, but this program is not linked with "
          "midtrace::otlp; nothing is exported that way. Set it to otlp_file, console or none, or link "
          "midtrace::otlp"));
}

TEST(TracesExporter, NoneIsSilent) {
  Variables variables{{"OTEL_TRACES_EXPORTER", "None"}};
  EXPECT_THAT(make_ready({}, variables.environment()).exporters, IsEmpty());
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(TracesExporter, AListGivesSeveralAndUnknownNamesAreIgnoredWithOneWarning) {
  TemporaryDirectory directory;
  Variables variables{{"OTEL_TRACES_EXPORTER", "console, zipkin ,OTLP_FILE,logging"},
                      {"MIDTRACE_OTLP_FILE", directory / "spans.jsonl"}};
  const ReadyOptions options = make_ready({}, variables.environment());
  EXPECT_EQ(options.exporters.size(), 2U);
  EXPECT_EQ(options.error, "");
  EXPECT_TRUE(fs::exists(directory / "spans.jsonl"));
  ASSERT_EQ(variables.warnings.size(), 1U);
  EXPECT_THAT(variables.warnings[0],
              HasSubstr("OTEL_TRACES_EXPORTER names \"zipkin\", \"logging\", which midtrace does "
                        "not have; ignored"));
}

TEST(TracesExporter, TheFileHasADefaultNameWithAWarning) {
  TemporaryDirectory directory;
  const fs::path before = fs::current_path();
  fs::current_path(directory.path());
  Variables variables{{"OTEL_TRACES_EXPORTER", "otlp_file"}};
  const ReadyOptions options = make_ready({}, variables.environment());
  fs::current_path(before);
  EXPECT_EQ(options.exporters.size(), 1U);
  EXPECT_TRUE(fs::exists(directory / ("midtrace-" + std::to_string(getpid()) + ".jsonl")));
  ASSERT_EQ(variables.warnings.size(), 1U);
  EXPECT_THAT(
      variables.warnings[0],
      HasSubstr("MIDTRACE_OTLP_FILE is not set; using \"midtrace-%p.jsonl\" in the working directory"));
}

TEST(TracesExporter, AFileThatCannotBeWrittenIsTheErrorWithPathAndReason) {
  Variables variables{{"OTEL_TRACES_EXPORTER", "otlp_file"},
                      {"MIDTRACE_OTLP_FILE", "/no-such-directory/spans.jsonl"}};
  const ReadyOptions options = make_ready({}, variables.environment());
  EXPECT_EQ(options.error,
            "Cannot open the trace file \"/no-such-directory/spans.jsonl\" for appending: No such file or "
            "directory; "
            "create the directory, or choose another path");
  EXPECT_THAT(variables.warnings, IsEmpty()) << "setup() reports it";
}

TEST(TracesExporter, ExportersOfCodeBeatTheEnvironmentAndAreOpenedToo) {
  Variables variables{{"OTEL_TRACES_EXPORTER", "zipkin"}};
  SetupOptions options;
  options.exporters = {nullptr, midtrace::otlp_file_exporter("/no-such-directory/spans.jsonl")};
  const ReadyOptions result = make_ready(std::move(options), variables.environment());
  EXPECT_EQ(result.exporters.size(), 1U);
  EXPECT_THAT(result.error, HasSubstr("/no-such-directory/spans.jsonl"));
  EXPECT_THAT(variables.warnings, IsEmpty());
}

// Notes what setup() does with it.
struct OpenedExporter final : midtrace::Exporter {
  explicit OpenedExporter(std::string why_not = {}) : problem(std::move(why_not)) {}
  std::string open() noexcept override {
    calls += "open ";
    return problem;
  }
  midtrace::ExportResult export_batch(const midtrace::ExportBatch&) noexcept override {
    calls += "export ";
    return midtrace::ExportResult::success;
  }
  void shutdown(std::chrono::steady_clock::time_point until) noexcept override {
    calls += until <= std::chrono::steady_clock::now() ? "shutdown-now " : "shutdown-later ";
  }
  const std::string problem;
  std::string calls;
};

TEST(TracesExporter, ThoseThatAreOpenAreShutDownWhenALaterOneCannotBeOpened) {
  Variables variables{};
  const auto first = std::make_shared<OpenedExporter>();
  const auto second = std::make_shared<OpenedExporter>();
  const auto broken = std::make_shared<OpenedExporter>("no such place");
  const auto last = std::make_shared<OpenedExporter>();
  SetupOptions options;
  options.exporters = {first, second, broken, last};
  EXPECT_EQ(make_ready(std::move(options), variables.environment()).error, "no such place");
  EXPECT_EQ(first->calls, "open shutdown-now ");
  EXPECT_EQ(second->calls, "open shutdown-now ");
  EXPECT_EQ(broken->calls, "open ") << "it never was";
  EXPECT_EQ(last->calls, "") << "nobody asked it";
}

TEST(TracesExporter, ThatOpenAllStayOpen) {
  Variables variables{};
  const auto first = std::make_shared<OpenedExporter>();
  SetupOptions options;
  options.exporters = {first};
  EXPECT_EQ(make_ready(std::move(options), variables.environment()).error, "");
  EXPECT_EQ(first->calls, "open ");
}

// --- the rest
// ---------------------------------------------------------------------------------------------------

TEST(SdkDisabled, StopsSpansButNotPropagation) {
  TemporaryDirectory directory;
  Variables variables{{"OTEL_SDK_DISABLED", "True"},
                      {"OTEL_PROPAGATORS", "baggage"},
                      {"OTEL_TRACES_EXPORTER", "otlp_file"},
                      {"MIDTRACE_OTLP_FILE", directory / "spans.jsonl"}};
  const ReadyOptions options = make_ready({}, variables.environment());
  EXPECT_TRUE(options.disabled);
  EXPECT_THAT(fields_of(options), UnorderedElementsAre("baggage"));
  EXPECT_THAT(options.exporters, IsEmpty());
  EXPECT_FALSE(fs::exists(directory / "spans.jsonl")) << "nothing is opened";
  EXPECT_NE(options.sampler, nullptr);
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(WithoutEnvironment, NoVariableIsRead) {
  Variables variables{{"OTEL_SDK_DISABLED", "true"},
                      {"OTEL_SERVICE_NAME", "from the environment"},
                      {"OTEL_BSP_SCHEDULE_DELAY", "nonsense"},
                      {"OTEL_LOG_LEVEL", "nonsense"}};
  SetupOptions options = with_exporter();
  options.read_environment = false;
  const ReadyOptions result = make_ready(std::move(options), variables.environment());
  EXPECT_FALSE(result.disabled);
  EXPECT_THAT(std::get<std::string>(*result.resource.find("service.name")), HasSubstr("unknown_service:"));
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(LogLevelVariable, AnUnknownLevelMeansInfoWithAWarning) {
  Variables variables{{"OTEL_LOG_LEVEL", "loud"}};
  EXPECT_NE(ready(variables).logger, nullptr);
  EXPECT_THAT(
      variables.warnings,
      ElementsAre(
          "OTEL_LOG_LEVEL is \"loud\", which is none of none, error, warn, info and debug; using info"));
}

TEST(LogLevelVariable, TheLoggerOfCodeIsKept) {
  class Silent final : public midtrace::Logger {
    void log(midtrace::Severity, std::string_view) noexcept override {}
  };
  Variables none{};
  SetupOptions options = with_exporter();
  const auto logger = std::make_shared<Silent>();
  options.logger = logger;
  EXPECT_EQ(midtrace::choose_logger(options, none.environment()), logger);
  EXPECT_EQ(make_ready(std::move(options), none.environment()).logger, logger);
}

TEST(UnsupportedVariables, AreNotPassedOverInSilence) {
  Variables variables{{"OTEL_CONFIG_FILE", "/etc/otel.yaml"},
                      {"OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup"}};
  const ReadyOptions options = ready(variables);
  EXPECT_THAT(
      variables.warnings,
      ElementsAre(
          "OTEL_CONFIG_FILE is \"/etc/otel.yaml\", but midtrace reads no configuration file; using the "
          "other OTEL_* variables",
          "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN asks for exceptions as logs, but midtrace makes no "
          "logs; using span events"));
}

TEST(CodeOnlyOptions, ArePassedThrough) {
  SetupOptions options = with_exporter();
  options.clock = std::make_shared<midtrace::testing::ManualClock>();
  options.ids = std::make_shared<midtrace::testing::SequentialIds>();
  options.exit_timeout = milliseconds(123);
  const auto* clock = options.clock.get();
  const auto* ids = options.ids.get();
  const ReadyOptions result = ready_with(std::move(options));
  EXPECT_EQ(result.clock.get(), clock);
  EXPECT_EQ(result.ids.get(), ids);
  EXPECT_EQ(result.exit_timeout, milliseconds(123));
}

}  // namespace
