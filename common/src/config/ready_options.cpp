#include "ready_options.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <midtrace/export/exporters.h>

#include "../export/linked_otlp.h"
#include "../export/otlp_file.h"
#include "../trace/named_samplers.h"
#include "description.h"
#include "detectors.h"
#include "resource.h"
#include "stderr_logger.h"

namespace midtrace {
inline namespace v1 {

namespace {

using std::chrono::milliseconds;

constexpr const char* default_trace_file = "midtrace-%p.jsonl";
// One ring of pointers per thread: 8 MiB at this size.
constexpr std::uint32_t largest_queue = 1U << 20U;
// Far enough to be no limit, near enough to be added to any time.
constexpr milliseconds no_limit = std::chrono::hours(24 * 365);

std::shared_ptr<Sampler> sampler_from(const Environment& environment) {
  constexpr const char* variable = "OTEL_TRACES_SAMPLER";
  constexpr const char* argument_variable = "OTEL_TRACES_SAMPLER_ARG";
  const std::optional<std::string> name = environment.word(variable);
  if (!name) return parent_based_sampler({});
  const SamplerChoice choice = find_sampler(*name);
  if (choice.sampler == nullptr) {
    environment.warn(variable,
                     std::string(variable) + " is " + quoted(*name) +
                         ", which is no sampler of midtrace; using parentbased_always_on. There are " +
                         sampler_names());
    return parent_based_sampler({});
  }
  const NamedSampler& sampler = *choice.sampler;
  if (sampler.argument.empty()) return make_sampler(choice, 0);
  const std::optional<std::string> argument = environment.text(argument_variable);
  const std::optional<double> number = argument ? read_argument(sampler, *argument) : std::nullopt;
  if (!number) {
    // Whoever chose this sampler wanted less than the default lets through: silence would hide that.
    environment.warn(argument_variable, std::string(argument_variable) +
                                            (argument ? " is " + quoted(*argument) : " is not set") +
                                            ", but " + variable + "=" + *name + " takes " +
                                            std::string(sampler.argument) + "; using " +
                                            std::to_string(static_cast<int>(sampler.when_unset)));
  }
  return make_sampler(choice, number.value_or(sampler.when_unset));
}

std::shared_ptr<const Propagator> propagator_from(const Environment& environment) {
  constexpr const char* variable = "OTEL_PROPAGATORS";
  const std::string names = environment.word(variable).value_or("tracecontext,baggage");
  std::string unknown;
  const auto note = [&unknown](std::string_view name) {
    if (!unknown.empty()) unknown += ", ";
    unknown += quoted(name);
  };
  std::shared_ptr<const Propagator> propagator = make_propagator(names, note);
  if (!unknown.empty()) {
    environment.warn(variable, std::string(variable) + " names " + unknown +
                                   ", which midtrace does not have; ignored. There are tracecontext, "
                                   "baggage, b3, b3multi, jaeger and none");
  }
  return propagator;
}

std::shared_ptr<Exporter> file_exporter_from(const Environment& environment) {
  constexpr const char* variable = "MIDTRACE_OTLP_FILE";
  std::optional<std::string> path = environment.verbatim(variable);
  const char* origin = variable;
  if (!path) {
    origin = "default";
    path = default_trace_file;
    environment.warn(variable,
                     std::string("OTEL_TRACES_EXPORTER names otlp_file, but ") + variable +
                         " is not set; using \"" + *path +
                         "\" in the working directory. Set it to the path of the file to append to; %p in it "
                         "stands for the process id");
  }
  return otlp_file_exporter(std::move(*path), origin);
}

std::vector<std::shared_ptr<Exporter>> exporters_from(const Environment& environment) {
  constexpr const char* variable = "OTEL_TRACES_EXPORTER";
  const std::optional<std::vector<std::string>> set = environment.words(variable);
  const std::vector<std::string> names = set.value_or(std::vector<std::string>{"otlp"});
  std::vector<std::shared_ptr<Exporter>> exporters;
  std::string unknown;
  for (const std::string& name : names) {
    if (name == "console") {
      // Standard output is where the specification wants it.
      exporters.push_back(console_exporter({.to_stdout = true}));
    } else if (name == "otlp_file") {
      exporters.push_back(file_exporter_from(environment));
    } else if (name == "otlp/stdout") {
      exporters.push_back(otlp_file_exporter("-"));
    } else if (name == "otlp" && midtrace_linked_otlp_v1 != nullptr) {
      midtrace_linked_otlp_v1(environment, exporters.emplace_back());
    } else if (name == "otlp") {
      environment.warn(
          "OTEL_TRACES_EXPORTER=otlp",
          std::string(variable) + (set ? " names otlp" : " is not set, which means otlp") +
              ", but this program is not linked with midtrace::otlp; nothing is exported that way. Set it "
              "to otlp_file, console or none, or link midtrace::otlp");
    } else if (name != "none") {
      if (!unknown.empty()) unknown += ", ";
      unknown += quoted(name);
    }
  }
  if (!unknown.empty()) {
    environment.warn(variable, std::string(variable) + " names " + unknown +
                                   ", which midtrace does not have; ignored. There are otlp_file, console, "
                                   "otlp/stdout, otlp and none");
  }
  return exporters;
}

SpanLimits limits_from(const Environment& environment) {
  const NumberRange counts;
  const NumberRange characters{.unit = "characters"};
  const SpanLimits defaults;
  const auto number = [&environment](const char* variable, const NumberRange& range, std::uint32_t instead) {
    return environment.number(variable, range, instead).value_or(instead);
  };
  SpanLimits limits;
  // The general limits first: each more specific one falls back on them.
  const std::uint32_t any_count = number("OTEL_ATTRIBUTE_COUNT_LIMIT", counts, defaults.attribute_count);
  const std::uint32_t any_length =
      number("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", characters, defaults.attribute_value_length);
  limits.attribute_count = number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", counts, any_count);
  limits.attribute_value_length = number("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", characters, any_length);
  limits.event_attribute_count = number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", counts, any_count);
  limits.link_attribute_count = number("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", counts, any_count);
  limits.event_count = number("OTEL_SPAN_EVENT_COUNT_LIMIT", counts, defaults.event_count);
  if (const auto links = environment.number("OTEL_SPAN_LINK_COUNT_LIMIT", counts, defaults.link_count)) {
    limits.link_count = *links;
    limits.module_link_count = *links;
  }
  return limits;
}

SpanLimits limits_from_code(SpanLimits limits) {
  const SpanLimits defaults;
  const bool only_links_set =
      limits.link_count != defaults.link_count && limits.module_link_count == defaults.module_link_count;
  if (only_links_set) limits.module_link_count = limits.link_count;
  return limits;
}

BatchOptions batch_from(const Environment& environment) {
  constexpr const char* queue_variable = "OTEL_BSP_MAX_QUEUE_SIZE";
  constexpr const char* batch_variable = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
  const NumberRange spans{.least = 1, .most = largest_queue, .unit = "spans"};
  const NumberRange time{.unit = "milliseconds"};
  BatchOptions batch;
  const auto duration = [&](const char* variable, milliseconds instead) {
    return milliseconds(environment.number(variable, time, static_cast<std::uint32_t>(instead.count()))
                            .value_or(instead.count()));
  };
  batch.schedule_delay = duration("OTEL_BSP_SCHEDULE_DELAY", batch.schedule_delay);
  batch.export_timeout = duration("OTEL_BSP_EXPORT_TIMEOUT", batch.export_timeout);
  batch.queue_size = environment.number(queue_variable, spans, batch.queue_size).value_or(batch.queue_size);
  const std::uint32_t fitting = std::min(batch.export_batch_size, batch.queue_size);
  batch.export_batch_size = environment.number(batch_variable, spans, fitting).value_or(fitting);
  if (batch.export_batch_size > batch.queue_size) {
    const std::string queue = std::to_string(batch.queue_size);
    environment.warn(batch_variable, std::string(batch_variable) + " is " +
                                         std::to_string(batch.export_batch_size) +
                                         ", more than the queue of " + queue + " spans (" + queue_variable +
                                         ") holds; using " + queue);
    batch.export_batch_size = batch.queue_size;
  }
  return batch;
}

// What code asked for, where it can be done.
BatchOptions batch_from_code(BatchOptions batch, const Environment& environment) {
  const BatchOptions defaults;
  const auto repair = [&environment](const char* field, auto& value, auto least, auto most, auto instead) {
    if (value >= least && value <= most) return;
    const auto plain = [](const auto& number) {
      if constexpr (requires { number.count(); }) {
        return std::to_string(number.count());
      } else {
        return std::to_string(number);
      }
    };
    environment.warn(field, std::string(field) + " is " + plain(value) + ", which is not from " +
                                plain(least) + " to " + plain(most) + "; using " + plain(instead));
    value = instead;
  };
  repair("SetupOptions::batch.queue_size", batch.queue_size, 1U, largest_queue, defaults.queue_size);
  repair("SetupOptions::batch.export_batch_size", batch.export_batch_size, 1U, batch.queue_size,
         std::min(defaults.export_batch_size, batch.queue_size));
  repair("SetupOptions::batch.schedule_delay", batch.schedule_delay, milliseconds(0), no_limit,
         defaults.schedule_delay);
  repair("SetupOptions::batch.export_timeout", batch.export_timeout, milliseconds(0), no_limit,
         defaults.export_timeout);
  repair("SetupOptions::batch.memory_bytes", batch.memory_bytes, std::uint64_t{1}, ~std::uint64_t{0},
         defaults.memory_bytes);
  return batch;
}

// Variables that other SDKs obey and midtrace does not: silence would look like obedience.
void warn_about_unsupported(const Environment& environment) {
  if (const auto file = environment.text("OTEL_CONFIG_FILE")) {
    environment.warn("OTEL_CONFIG_FILE",
                     "OTEL_CONFIG_FILE is " + quoted(*file) +
                         ", but midtrace reads no configuration file; using the other OTEL_* variables");
  }
  constexpr const char* signals = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN";
  const auto chosen = environment.words(signals).value_or(std::vector<std::string>());
  const bool wants_logs = std::any_of(chosen.begin(), chosen.end(), [](const std::string& word) {
    return word == "logs" || word == "logs/dup";
  });
  if (wants_logs) {
    environment.warn(signals, std::string(signals) +
                                  " asks for exceptions as logs, but midtrace makes no logs; "
                                  "using span events");
  }
}

void open_exporters(ReadyOptions& ready) {
  for (auto exporter = ready.exporters.begin(); exporter != ready.exporters.end(); ++exporter) {
    ready.error = (*exporter)->open();
    if (ready.error.empty()) continue;
    // Those that are open will never be used.
    for (auto opened = ready.exporters.begin(); opened != exporter; ++opened)
      (*opened)->shutdown(std::chrono::steady_clock::now());
    return;
  }
}

}  // namespace

std::shared_ptr<Logger> choose_logger(const SetupOptions& options, const Environment& environment) {
  if (options.logger != nullptr) return options.logger;
  std::optional<Severity> least = Severity::info;
  if (options.read_environment) {
    if (const auto level = environment.word("OTEL_LOG_LEVEL")) parse_log_level(*level, least);
  }
  return std::make_shared<StderrLogger>(least);
}

ReadyOptions make_ready(SetupOptions&& options, const Environment& surroundings) {
  std::set<std::string, std::less<>> invalid;
  const Environment environment =
      (options.read_environment ? surroundings : surroundings.without_variables()).noting(invalid);
  const AskedInCode asked(options);
  ReadyOptions ready;
  ready.logger = choose_logger(options, environment);
  const auto level = environment.word("OTEL_LOG_LEVEL");
  std::optional<Severity> least;
  const bool is_level = !level || parse_log_level(*level, least);
  ready.debug = least == Severity::debug;
  if (!is_level) {
    environment.warn("OTEL_LOG_LEVEL",
                     "OTEL_LOG_LEVEL is " + quoted(*level) +
                         ", which is none of none, error, warn, info and debug; using info");
  }
  ready.propagator =
      options.propagator != nullptr ? std::move(options.propagator) : propagator_from(environment);
  ready.exit_timeout = options.exit_timeout;
  if (ready.exit_timeout < milliseconds(0) || ready.exit_timeout > no_limit) {
    ready.exit_timeout = SetupOptions().exit_timeout;
    environment.warn("SetupOptions::exit_timeout", "SetupOptions::exit_timeout is " +
                                                       std::to_string(options.exit_timeout.count()) +
                                                       " ms, which is not from 0 to one year; using " +
                                                       std::to_string(ready.exit_timeout.count()));
  }
  const ResourceDetectors detectors = options.detectors ? *options.detectors : detectors_from(environment);
  ready.resource = make_resource(options.service_name, std::move(options.resource), environment,
                                 detect_resource(detectors));
  ready.clock = std::move(options.clock);
  ready.ids = std::move(options.ids);
  ready.disabled = environment.boolean("OTEL_SDK_DISABLED");
  if (ready.disabled) {
    ready.sampler = always_off_sampler();
    ready.description = describe_ready(ready, asked, environment, invalid);
    return ready;
  }

  warn_about_unsupported(environment);
  ready.sampler = options.sampler != nullptr ? std::move(options.sampler) : sampler_from(environment);
  ready.limits = options.limits ? limits_from_code(*options.limits) : limits_from(environment);
  ready.batch = options.batch ? batch_from_code(*options.batch, environment) : batch_from(environment);
  ready.batch.schedule_delay = std::max(ready.batch.schedule_delay, milliseconds(1));
  if (ready.batch.export_timeout == milliseconds(0)) ready.batch.export_timeout = no_limit;
  ready.exporters = options.exporters.empty() ? exporters_from(environment) : std::move(options.exporters);
  std::erase(ready.exporters, nullptr);
  ready.processors = std::move(options.processors);
  std::erase(ready.processors, nullptr);
  if (ready.batch.each_at_once) ready.batch.export_batch_size = 1;
  open_exporters(ready);
  ready.description = describe_ready(ready, asked, environment, invalid);
  return ready;
}

}  // namespace v1
}  // namespace midtrace
