#include <midtrace/trace/traced.h>

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace detail {

void description_failed() noexcept {
  count(Counter::hook_failures);
  report(
      Severity::warning, "traced.description",
      "A function that describes the arguments or the result of a traced call threw an exception, which was "
      "swallowed; the call goes on. Repair the function given to arguments() or result().");
}

}  // namespace detail
}  // namespace v1
}  // namespace midtrace
