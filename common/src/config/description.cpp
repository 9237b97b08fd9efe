#include "description.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <midtrace/semconv/attributes.h>

namespace midtrace {
inline namespace v1 {

namespace {

std::string plain(std::uint64_t number) { return std::to_string(number); }
std::string plain(std::uint32_t number) {
  return number == SpanLimits::unlimited ? std::string("unlimited") : std::to_string(number);
}
std::string plain(std::chrono::milliseconds time) { return std::to_string(time.count()) + " ms"; }
std::string plain(bool value) { return value ? "true" : "false"; }

class Lines {
 public:
  void add(std::string_view name, const std::string& value, const std::string& origin) {
    text_.append(name).append(" = ").append(value).append("  (").append(origin).append(")\n");
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string service_name_of(const Resource& resource) {
  const ResourceValue* value = resource.find(semconv::service_name.name());
  const auto* name = value != nullptr ? std::get_if<std::string>(value) : nullptr;
  return name != nullptr ? quoted(*name) : "\"\"";
}

std::string joined(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names)
    text.append(text.empty() ? "" : ", ").append(name);
  return text.empty() ? "none" : text;
}

}  // namespace

std::string origin_of(bool in_code, const char* variable, const Environment& environment,
                      const std::set<std::string, std::less<>>& invalid) {
  if (in_code) return "code";
  if (!environment.text(variable)) return "default";
  return invalid.contains(variable) ? std::string(variable) + ", which is partly or wholly invalid"
                                    : variable;
}

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
      logger(options.logger != nullptr),
      processors(options.processors.size()) {}

std::string describe_ready(const ReadyOptions& ready, const AskedInCode& asked,
                           const Environment& environment,
                           const std::set<std::string, std::less<>>& invalid) {
  const auto from = [&](bool in_code, const char* variable) {
    return origin_of(in_code, variable, environment, invalid);
  };
  Lines lines;
  lines.add("tracing",
            ready.disabled            ? "off"
            : ready.exporters.empty() ? "off, without an exporter"
                                      : "on",
            from(false, "OTEL_SDK_DISABLED"));
  const bool named_by_attributes =
      !environment.text("OTEL_SERVICE_NAME") && environment.text("OTEL_RESOURCE_ATTRIBUTES");
  lines.add("service.name", service_name_of(ready.resource),
            from(asked.service_name, named_by_attributes ? "OTEL_RESOURCE_ATTRIBUTES" : "OTEL_SERVICE_NAME"));
  lines.add("resource attributes", plain(std::uint64_t{ready.resource.attributes().size()}),
            from(asked.detectors, "MIDTRACE_RESOURCE_DETECTORS"));
  lines.add("propagated fields", joined(ready.propagator->fields()),
            from(asked.propagator, "OTEL_PROPAGATORS"));
  lines.add("log level",
            asked.logger ? "the logger's own" : environment.word("OTEL_LOG_LEVEL").value_or("info"),
            from(asked.logger, "OTEL_LOG_LEVEL"));
  lines.add("exit timeout", plain(ready.exit_timeout), "code or default");
  if (ready.disabled) return lines.take();

  lines.add("sampler", ready.sampler->description(), from(asked.sampler, "OTEL_TRACES_SAMPLER"));
  lines.add("exporters",
            asked.exporters ? plain(std::uint64_t{ready.exporters.size()})
                            : environment.text("OTEL_TRACES_EXPORTER").value_or("otlp"),
            from(asked.exporters, "OTEL_TRACES_EXPORTER"));
  lines.add("span processors", plain(std::uint64_t{asked.processors}),
            asked.processors != 0 ? "code" : "default");

  const BatchOptions& batch = ready.batch;
  const auto add_batch = [&](std::string_view name, const std::string& value, const char* variable) {
    lines.add(name, value,
              variable != nullptr ? from(asked.batch, variable)
              : asked.batch       ? "code"
                                  : "default");
  };
  add_batch("queue size per thread", plain(std::uint64_t{batch.queue_size}), "OTEL_BSP_MAX_QUEUE_SIZE");
  add_batch("export batch size", plain(std::uint64_t{batch.export_batch_size}),
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
  add_batch("schedule delay", plain(batch.schedule_delay), "OTEL_BSP_SCHEDULE_DELAY");
  add_batch("export timeout", plain(batch.export_timeout), "OTEL_BSP_EXPORT_TIMEOUT");
  add_batch("memory of spans", plain(batch.memory_bytes) + " bytes", nullptr);
  add_batch("each span at once", plain(batch.each_at_once), nullptr);

  const SpanLimits& limits = ready.limits;
  const std::pair<const char*, std::uint32_t> counts[] = {
      {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", limits.attribute_count},
      {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", limits.attribute_value_length},
      {"OTEL_SPAN_EVENT_COUNT_LIMIT", limits.event_count},
      {"OTEL_SPAN_LINK_COUNT_LIMIT", limits.link_count},
      {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", limits.event_attribute_count},
      {"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", limits.link_attribute_count},
  };
  for (const auto& [variable, value] : counts) {
    // A limit of attributes falls back on the general one.
    const std::string_view name = variable;
    const bool is_length = name.find("VALUE_LENGTH") != std::string_view::npos;
    const bool has_general = name.find("ATTRIBUTE") != std::string_view::npos;
    const char* general = is_length ? "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" : "OTEL_ATTRIBUTE_COUNT_LIMIT";
    const bool by_general =
        has_general && !environment.text(variable) && environment.text(general).has_value();
    lines.add(name.substr(5), plain(value), from(asked.limits, by_general ? general : variable));
  }
  return lines.take();
}

}  // namespace v1
}  // namespace midtrace
