// The Logger seam: where midtrace's own messages go.
//
// The default writes one line to standard error. Callers limit messages to one a minute and cause before they
// reach the logger. Called from any thread, possibly several at once; must not throw, and must not start
// spans.
#pragma once

#include <string_view>

#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {

class Logger {
 public:
  virtual ~Logger() = default;
  virtual void log(Severity severity, std::string_view message) noexcept = 0;
};

}  // namespace v1
}  // namespace midtrace
