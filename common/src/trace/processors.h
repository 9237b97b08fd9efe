// Calling the application's span processors, which may throw, where nothing may.
#pragma once

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {

template <class Call>
void guard_processor(const Call& call) noexcept {
  try {
    call();
  } catch (...) {
    count(Counter::hook_failures);
    report(
        Severity::warning, "processor.exception",
        "A SpanProcessor threw an exception, which was swallowed; the span goes on. Repair the processor.");
  }
}

}  // namespace v1
}  // namespace midtrace
