#include <midtrace/messaging/creation_context.h>

#include <utility>

#include "thread_state.h"

namespace midtrace {
inline namespace v1 {
namespace messaging {

namespace {

// Those that began here and were never ended, or on other threads while nothing was sent here.
constexpr std::size_t max_creations = 64;

}  // namespace

CreationContext::CreationContext(Context context) noexcept {
  ThreadState* thread = thread_state();
  if (thread == nullptr) return;
  try {
    static_cast<void>(thread->stored_context());
    if (thread->creations.size() >= max_creations) thread->creations.erase(thread->creations.begin());
    stored_ = std::make_shared<StoredContext>();
    stored_->context = std::move(context);
    thread->creations.push_back(stored_);
  } catch (...) {
    // The messages carry their send spans' contexts.
    stored_ = nullptr;
  }
}

void CreationContext::end() noexcept {
  if (stored_ == nullptr) return;
  stored_->ended.store(true, std::memory_order_release);
  stored_ = nullptr;
  if (ThreadState* thread = existing_thread_state(); thread != nullptr) {
    static_cast<void>(thread->stored_context());
  }
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
