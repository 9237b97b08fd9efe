#include "thread_state.h"

#include <pthread.h>

#include <new>

namespace midtrace {
inline namespace v1 {
namespace messaging {

thread_local constinit ThreadState* thread_state_pointer = nullptr;

namespace {

void destroy(void* state) {
  thread_state_pointer = nullptr;
  delete static_cast<ThreadState*>(state);
}

struct Key {
  Key() noexcept : valid(pthread_key_create(&key, destroy) == 0) {}
  pthread_key_t key{};
  bool valid;
};

}  // namespace

ThreadState* make_thread_state() noexcept {
  static const Key key;  // trivially destructible; made once, kept for the life of the process
  if (!key.valid) return nullptr;
  try {
    auto state = std::make_unique<ThreadState>();
    state->scopes.reserve(8);
    if (pthread_setspecific(key.key, state.get()) != 0) return nullptr;
    thread_state_pointer = state.release();
    return thread_state_pointer;
  } catch (...) {
    return nullptr;
  }
}

Context ThreadState::stored_context() noexcept {
  while (!creations.empty() && creations.back()->ended.load(std::memory_order_acquire))
    creations.pop_back();
  return creations.empty() ? Context() : creations.back()->context;
}

bool ThreadState::was_received(std::uint64_t print) const noexcept {
  if (print == 0) return false;
  for (const OpenScope& scope : scopes) {
    if (scope.single == print || (scope.batch != nullptr && scope.batch->contains(print))) return true;
  }
  return recent != nullptr && recent->contains(print);
}

void ThreadState::remember(std::uint64_t print, const void* message, std::uint64_t client,
                           std::uint64_t tick) noexcept {
  if (recent == nullptr) recent.reset(new (std::nothrow) RecentContexts);
  if (recent != nullptr) recent->add(print, message, client, tick);
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
