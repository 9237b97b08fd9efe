#include "tracing.h"

#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "setup_from.h"
#include "trace/anchor.h"

#include <midtrace/setup.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace plugin {

namespace {

constinit std::mutex once;
// Never destroyed; null until the first call.
constinit const Properties* first_properties = nullptr;

// Variables with the properties laid over them, which notes what it was asked for.
class Variables {
 public:
  const char* look_up(const char* variable) {
    const char* value = first_properties->variable(variable);
    if (value == nullptr) return std::getenv(variable);
    used_.emplace(value);
    return value;
  }
  // After set-up: what nobody asked for is misspelt, or belongs to something that is not in use.
  void warn_about_unused() const {
    std::string names;
    first_properties->for_each_variable([&](std::string_view name, std::string_view value) {
      if (used_.contains(value.data())) return;
      names.append(names.empty() ? "" : ", ").append(quoted("midtrace." + std::string(name)));
    });
    if (names.empty()) return;
    Environment::warn_through_report(
        "kafka.plugin.unused_property",
        "Nothing reads " + names +
            ": misspelt, or a setting of something that this configuration does not use. Properties are "
            "named "
            "like OpenTelemetry's variables: midtrace.service.name is OTEL_SERVICE_NAME");
  }

 private:
  std::set<const char*> used_;  // values, which live as long as the properties
};

}  // namespace

void turn_tracing_on(const Properties& properties) noexcept {
  try {
    const std::lock_guard guard(once);
    if (first_properties != nullptr) {
      bool same = true;
      properties.for_each_variable([&](std::string_view property, std::string_view value) {
        const char* first = first_properties->value(property);
        same = same && first != nullptr && value == first;
      });
      if (!same) {
        report(
            Severity::warning, "kafka.plugin.properties",
            "A Kafka client has other midtrace.* properties than the first one of this process; those that "
            "are not midtrace.kafka.* hold for the whole process, and the first client's are used.");
      }
      return;
    }
    first_properties = new Properties(properties);
    if (attach_to_anchor() != nullptr) return;  // the application traces by itself
    Variables variables;
    const Environment environment([&](const char* variable) { return variables.look_up(variable); });
    // Its destructor would end tracing; what ends it is the end of the process.
    static_cast<void>(new Telemetry(setup_from({}, environment)));
    variables.warn_about_unused();
  } catch (...) {
    report(Severity::error, "kafka.plugin.setup",
           "There was no memory to turn tracing on for a Kafka client; it works untraced.");
  }
}

}  // namespace plugin
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
