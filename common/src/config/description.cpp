#include "description.h"

#include <algorithm>
#include <span>
#include <utility>
#include <variant>

#include <midtrace/semconv/attributes.h>

namespace midtrace {
inline namespace v1 {

namespace {

constexpr const char* from_code = "code";
constexpr const char* by_default = "default";

std::string plain(std::uint64_t number) { return std::to_string(number); }
std::string plain(std::uint32_t number) {
  return number == SpanLimits::unlimited ? std::string("unlimited") : std::to_string(number);
}
std::string plain(std::chrono::milliseconds time) { return std::to_string(time.count()) + " ms"; }

std::string service_name_of(const Resource& resource) {
  const ResourceValue* value = resource.find(semconv::service_name.name());
  const auto* name = value != nullptr ? std::get_if<std::string>(value) : nullptr;
  return name != nullptr ? quoted(*name) : "\"\"";
}

std::string keys_of(const Resource& resource) {
  std::string text;
  for (const ResourceAttribute& attribute : resource.attributes())
    text.append(text.empty() ? "" : ", ").append(attribute.key);
  return text;
}

std::string joined(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names)
    text.append(text.empty() ? "" : ", ").append(name);
  return text.empty() ? "none" : text;
}

// A limit, the variable that sets it, and the one it falls back on.
struct Limit {
  const char* name;
  std::uint32_t SpanLimits::*value;
  const char* variable;
  const char* general = nullptr;
};
constexpr Limit limits[] = {
    {"attributes per span", &SpanLimits::attribute_count, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
     "OTEL_ATTRIBUTE_COUNT_LIMIT"},
    {"characters per attribute value", &SpanLimits::attribute_value_length,
     "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"},
    {"events per span", &SpanLimits::event_count, "OTEL_SPAN_EVENT_COUNT_LIMIT"},
    {"links per span", &SpanLimits::link_count, "OTEL_SPAN_LINK_COUNT_LIMIT"},
    {"links per span of a module", &SpanLimits::module_link_count, "OTEL_SPAN_LINK_COUNT_LIMIT"},
    {"attributes per event", &SpanLimits::event_attribute_count, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
     "OTEL_ATTRIBUTE_COUNT_LIMIT"},
    {"attributes per link", &SpanLimits::link_attribute_count, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
     "OTEL_ATTRIBUTE_COUNT_LIMIT"},
};

class Describer {
 public:
  Describer(const Environment& environment, const std::set<std::string, std::less<>>& invalid)
      : environment_(environment), invalid_(invalid) {}

  std::string origin(bool in_code, const char* variable, const char* general = nullptr) const {
    if (in_code) return from_code;
    for (const char* candidate : {variable, general}) {
      if (candidate == nullptr || !environment_.text(candidate)) continue;
      return invalid_.contains(candidate) ? std::string(candidate) + ", invalid: see the warning" : candidate;
    }
    return by_default;
  }
  void add(std::string name, std::string value, std::string origin) {
    settings_.push_back({std::move(name), std::move(value), std::move(origin)});
  }
  void add_general(const ReadyOptions& ready, const AskedInCode& asked);
  void add_exporters(const ReadyOptions& ready, const AskedInCode& asked);
  void add_batch(const BatchOptions& batch, bool in_code);
  void add_limits(const SpanLimits& values, bool in_code);
  void add_modules();
  std::vector<Setting> take() { return std::move(settings_); }

 private:
  const Environment& environment_;
  const std::set<std::string, std::less<>>& invalid_;
  std::vector<Setting> settings_;
};

void Describer::add_general(const ReadyOptions& ready, const AskedInCode& asked) {
  const bool by_attributes =
      !environment_.text("OTEL_SERVICE_NAME") && environment_.text("OTEL_RESOURCE_ATTRIBUTES").has_value();
  add(std::string(semconv::service_name.name()), service_name_of(ready.resource),
      origin(asked.service_name, by_attributes ? "OTEL_RESOURCE_ATTRIBUTES" : "OTEL_SERVICE_NAME"));
  add("resource", keys_of(ready.resource), "code, OTEL_RESOURCE_ATTRIBUTES and detectors");
  add("resource detectors", environment_.word("MIDTRACE_RESOURCE_DETECTORS").value_or("all"),
      origin(asked.detectors, "MIDTRACE_RESOURCE_DETECTORS"));
  if (asked.detectors) settings_.back().value = "those of SetupOptions::detectors";
  add("propagated fields", joined(ready.propagator->fields()), origin(asked.propagator, "OTEL_PROPAGATORS"));
  add("log level", asked.logger ? "the logger's own" : environment_.word("OTEL_LOG_LEVEL").value_or("info"),
      origin(asked.logger, "OTEL_LOG_LEVEL"));
  add("exit timeout", plain(ready.exit_timeout), asked.exit_timeout ? from_code : by_default);
}

void Describer::add_exporters(const ReadyOptions& ready, const AskedInCode& asked) {
  const std::string chosen = origin(asked.exporters, "OTEL_TRACES_EXPORTER");
  add("exporters",
      asked.exporters ? plain(std::uint64_t{ready.exporters.size()})
                      : environment_.text("OTEL_TRACES_EXPORTER").value_or("otlp"),
      chosen);
  for (const std::shared_ptr<Exporter>& exporter : ready.exporters) {
    try {
      for (Setting& setting : exporter->settings()) {
        if (setting.origin.empty()) setting.origin = chosen;
        settings_.push_back(std::move(setting));
      }
    } catch (...) {  // an exporter of the application's may throw whatever it likes
      add("exporter", "settings() threw an exception", chosen);
    }
  }
}

void Describer::add_batch(const BatchOptions& batch, bool in_code) {
  const char* elsewhere = in_code ? from_code : by_default;
  add("queue size per thread", plain(batch.queue_size), origin(in_code, "OTEL_BSP_MAX_QUEUE_SIZE"));
  add("export batch size", plain(batch.export_batch_size), origin(in_code, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"));
  add("schedule delay", plain(batch.schedule_delay), origin(in_code, "OTEL_BSP_SCHEDULE_DELAY"));
  add("export timeout", plain(batch.export_timeout), origin(in_code, "OTEL_BSP_EXPORT_TIMEOUT"));
  add("memory of spans", plain(batch.memory_bytes) + " bytes", elsewhere);
  add("each span at once", batch.each_at_once ? "true" : "false", elsewhere);
}

void Describer::add_limits(const SpanLimits& values, bool in_code) {
  for (const Limit& limit : limits)
    add(limit.name, plain(values.*limit.value), origin(in_code, limit.variable, limit.general));
}

void Describer::add_modules() {
  for (const char* variable : module_variables) {
    if (const auto word = environment_.word(variable))
      add("module " + lower_case(std::string_view(variable).substr(module_variable_prefix.size())),
          quoted(*word), variable);
  }
}

}  // namespace

AskedInCode::AskedInCode(const SetupOptions& options)
    : service_name(!options.service_name.empty() ||
                   std::any_of(options.resource.begin(), options.resource.end(),
                               [](const ResourceAttribute& attribute) {
                                 return attribute.key == semconv::service_name.name();
                               })),
      detectors(options.detectors.has_value()),
      sampler(options.sampler != nullptr),
      exporters(!options.exporters.empty()),
      propagator(options.propagator != nullptr),
      limits(options.limits.has_value()),
      batch(options.batch.has_value()),
      clock(options.clock != nullptr),
      ids(options.ids != nullptr),
      logger(options.logger != nullptr),
      exit_timeout(options.exit_timeout != SetupOptions().exit_timeout) {}

std::vector<Setting> describe_ready(const ReadyOptions& ready, const AskedInCode& asked,
                                    const Environment& environment,
                                    const std::set<std::string, std::less<>>& invalid) {
  Describer describer(environment, invalid);
  const bool on = !ready.disabled && !ready.exporters.empty() && ready.error.empty();
  describer.add("tracing", on ? "on" : "off",
                ready.disabled            ? "OTEL_SDK_DISABLED"
                : !ready.error.empty()    ? "setup() failed: " + ready.error
                : ready.exporters.empty() ? "there is no exporter"
                                          : "setup()");
  describer.add_general(ready, asked);
  describer.add_modules();
  if (ready.disabled) return describer.take();
  describer.add("sampler", ready.sampler->description(),
                describer.origin(asked.sampler, "OTEL_TRACES_SAMPLER"));
  describer.add_exporters(ready, asked);
  describer.add("span processors", plain(std::uint64_t{ready.processors.size()}),
                ready.processors.empty() ? by_default : from_code);
  describer.add_batch(ready.batch, asked.batch);
  describer.add_limits(ready.limits, asked.limits);
  if (asked.clock) describer.add("clock", "the application's", from_code);
  if (asked.ids) describer.add("ids", "the application's", from_code);
  return describer.take();
}

std::string to_text(const std::vector<Setting>& settings, std::string_view separator) {
  std::string text;
  for (const Setting& setting : settings) {
    if (!text.empty()) text.append(separator);
    text.append(setting.name).append(" = ").append(setting.value);
    text.append("  (").append(setting.origin).append(")");
  }
  return text;
}

}  // namespace v1
}  // namespace midtrace
