// The diagnostics line of OTEL_LOG_LEVEL=debug: every counter that is not zero, in one sentence.
#pragma once

#include <string_view>

namespace midtrace {
inline namespace v1 {

// Reports it at debug level, at most once a minute per `cause` (a literal). Any thread.
void report_counters(std::string_view cause, std::string_view occasion) noexcept;

}  // namespace v1
}  // namespace midtrace
