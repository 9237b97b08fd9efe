#include "diagnostics.h"

#include <string>

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {

void report_counters(std::string_view cause, std::string_view occasion) noexcept {
  try {
    const Counters all = counters();
    std::string text(occasion);
    for (std::size_t i = 0; i < all.values.size(); ++i) {
      if (all.values[i] == 0) continue;
      text.append(" ").append(counter_name(static_cast<Counter>(i))).append("=");
      text.append(std::to_string(all.values[i]));
    }
    report(Severity::debug, cause, text);
  } catch (...) {
    // no memory for the line
  }
}

}  // namespace v1
}  // namespace midtrace
