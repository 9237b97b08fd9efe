#include <midtrace/messaging/received_mark.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "thread_state.h"

namespace midtrace {
inline namespace v1 {
namespace messaging {

namespace {

// Scopes that were ended on another thread stay behind here; only so many are kept.
constexpr std::size_t max_open_scopes = 64;

}  // namespace

ReceivedMark::ReceivedMark(std::uint64_t single,
                           const std::shared_ptr<const ReceivedContexts>& batch) noexcept {
  if (single == 0 && batch == nullptr) return;
  ThreadState* thread = thread_state();
  if (thread == nullptr) return;
  try {
    if (thread->scopes.size() >= max_open_scopes) thread->scopes.erase(thread->scopes.begin());
    thread->scopes.push_back({this, single, batch});
    marked_ = true;
  } catch (...) {
    // Forwarded headers inside the scope may be taken for the application's own.
  }
}

void ReceivedMark::end() noexcept {
  if (!marked_) return;
  marked_ = false;
  ThreadState* thread = existing_thread_state();
  if (thread == nullptr) return;
  std::vector<OpenScope>& scopes = thread->scopes;
  const auto mine =
      std::find_if(scopes.rbegin(), scopes.rend(), [this](const OpenScope& s) { return s.owner == this; });
  if (mine != scopes.rend()) scopes.erase(std::next(mine).base());
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
