#include "tracing.h"

#include <cstdlib>
#include <mutex>
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
    const Environment environment([](const char* variable) -> const char* {
      const char* value = first_properties->variable(variable);
      return value != nullptr ? value : std::getenv(variable);
    });
    // Its destructor would end tracing; what ends it is the end of the process.
    static_cast<void>(new Telemetry(setup_from({}, environment)));
  } catch (...) {
    report(Severity::error, "kafka.plugin.setup",
           "There was no memory to turn tracing on for a Kafka client; it works untraced.");
  }
}

}  // namespace plugin
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
