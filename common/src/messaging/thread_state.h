// What messaging modules remember together per thread, so that a message which one of them forwards from
// another is recognised: what was received, the process scopes that are open, and the CreationContexts.
//
// One trivial thread-local pointer leads to it, and a pthread key frees it when the thread ends: a module may
// live in a plugin, where nothing may have a thread_local destructor. A call that comes after that (from a
// later key's destructor) makes a new one, which is freed in turn; so nothing else may keep a pointer to it.
// Only the thread itself touches its state. Nothing throws.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "received.h"

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

// One process scope that is open on this thread.
struct OpenScope {
  const void* owner;
  std::uint64_t single;
  std::shared_ptr<const ReceivedContexts> batch;
};

// One CreationContext. Whoever ends it only says so, because that may be another thread.
struct StoredContext {
  Context context;
  std::atomic<bool> ended{false};
};

struct ThreadState {
  std::vector<std::shared_ptr<const StoredContext>> creations;  // that began on this thread, innermost last
  std::vector<OpenScope> scopes;
  std::unique_ptr<RecentContexts> recent;

  // The innermost CreationContext's that has not ended, after which ended ones are forgotten; one without a
  // span when there is none.
  Context stored_context() noexcept;
  bool was_received(std::uint64_t print) const noexcept;
  void remember(std::uint64_t print, const void* message, std::uint64_t client, std::uint64_t tick) noexcept;
};

// Null before the thread's first use, and without memory.
[[gnu::tls_model("initial-exec")]] extern thread_local constinit ThreadState* thread_state_pointer;

ThreadState* make_thread_state() noexcept;

// Null when there is no memory for it.
inline ThreadState* thread_state() noexcept {
  return thread_state_pointer != nullptr ? thread_state_pointer : make_thread_state();
}
// The same without making one: one load.
inline ThreadState* existing_thread_state() noexcept { return thread_state_pointer; }

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
