// Properties: the midtrace.* properties of one Kafka configuration.
//
// `midtrace.kafka.<option>` is an option of kafka::Options. Every other one is an environment variable by
// another name: OTEL_ or MIDTRACE_ is left out, capitals are small and underscores are dots, so that
// midtrace.service.name is OTEL_SERVICE_NAME. A property beats the variable. What cannot be used is reported,
// counted (Counter::invalid_configuration) and replaced by the default; no value that may be a secret is in a
// message. A copy may be made of it; may throw std::bad_alloc. One thread at a time.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <midtrace/kafka/options.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace plugin {

class Properties {
 public:
  // True when the property is one of these; `value` null takes it back.
  bool set(std::string_view name, const char* value);

  // The value for a variable, or null when no property stands for it.
  const char* variable(std::string_view name) const;
  // The value of a property by what follows `midtrace.`, or null.
  const char* value(std::string_view name) const;
  // Calls `visit(name, value)` for each property that stands for a variable.
  template <class Visit>
  void for_each_variable(const Visit& visit) const {
    for (const auto& [name, value] : values_) {
      if (!name.starts_with(option_prefix)) visit(std::string_view(name), std::string_view(value));
    }
  }
  Options options() const;

 private:
  static constexpr std::string_view option_prefix = "kafka.";

  std::map<std::string, std::string, std::less<>> values_;  // by what follows `midtrace.`
};

}  // namespace plugin
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
