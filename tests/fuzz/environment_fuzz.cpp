// Whatever the variables of the environment hold, the options that come out are in range and consistent, and
// the warnings name the variable.
//
// Each line of the input is one variable: its first character chooses which, the rest is the value.
#include <array>
#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "check.h"
#include "config/ready_options.h"
#include "trace/named_samplers.h"

namespace {

// Without those that name files.
constexpr std::array<const char*, 21> variables{
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_PROPAGATORS",
    "OTEL_LOG_LEVEL",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN",
    "OTEL_CONFIG_FILE",
};

void check_arguments(std::string_view text) {
  for (const char* const name : {"traceidratio", "probability", "parentbased_rate_limiting"}) {
    const midtrace::SamplerChoice choice = midtrace::find_sampler(name);
    FUZZ_CHECK(choice.sampler != nullptr);
    if (const auto argument = midtrace::read_argument(*choice.sampler, text)) {
      FUZZ_CHECK(*argument >= choice.sampler->least && *argument <= choice.sampler->most);
      FUZZ_CHECK(midtrace::make_sampler(choice, *argument) != nullptr);
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::map<std::string, std::string, std::less<>> values{{"OTEL_TRACES_EXPORTER", "none"},
                                                         {"MIDTRACE_RESOURCE_DETECTORS", "none"}};
  for (std::string_view input = midtrace_fuzz::text_of(bytes, size); !input.empty();) {
    const std::string_view line = midtrace_fuzz::take_line(input);
    if (!line.empty()) {
      const auto which = static_cast<unsigned char>(line.front() - 'a') % variables.size();
      values[variables[which]] = line.substr(1);
      check_arguments(line.substr(1));
    }
  }
  const midtrace::Environment environment(
      [&](const char* variable) -> const char* {
        const auto found = values.find(std::string_view(variable));
        return found == values.end() ? nullptr : found->second.c_str();
      },
      [&](std::string_view cause, std::string_view sentence) {
        // A sampler may miss its argument.
        FUZZ_CHECK(values.contains(cause) || cause == "OTEL_TRACES_SAMPLER_ARG");
        FUZZ_CHECK(sentence.find(cause) != std::string_view::npos);
        for (const char c : sentence)
          FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
      });
  const midtrace::ReadyOptions ready = midtrace::make_ready({}, environment);

  FUZZ_CHECK(ready.error.empty());
  FUZZ_CHECK(ready.sampler != nullptr && ready.propagator != nullptr && ready.logger != nullptr);
  FUZZ_CHECK(ready.exporters.empty());
  FUZZ_CHECK(ready.resource.find("service.name") != nullptr);
  constexpr auto year = std::chrono::hours(24 * 366);
  FUZZ_CHECK(ready.batch.export_batch_size >= 1 && ready.batch.export_batch_size <= ready.batch.queue_size);
  FUZZ_CHECK(ready.batch.schedule_delay >= std::chrono::milliseconds(1) &&
             ready.batch.schedule_delay <= year);
  FUZZ_CHECK(ready.batch.export_timeout >= std::chrono::milliseconds(1) &&
             ready.batch.export_timeout <= year);
  return 0;
}
