#include "thread_state.h"

#include <pthread.h>

#include <memory>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

[[gnu::tls_model("initial-exec")]] thread_local ThreadState* current = nullptr;

void destroy(void* state) {
  current = nullptr;
  delete static_cast<ThreadState*>(state);
}

struct Key {
  Key() noexcept : valid(pthread_key_create(&key, destroy) == 0) {}
  pthread_key_t key{};
  bool valid;
};

ThreadState* make() noexcept {
  static const Key key;  // trivially destructible; made once, kept for the life of the process
  if (!key.valid) return nullptr;
  try {
    auto state = std::make_unique<ThreadState>();
    if (pthread_setspecific(key.key, state.get()) != 0) return nullptr;
    current = state.release();
    return current;
  } catch (...) {
    return nullptr;
  }
}

}  // namespace

ThreadState* thread_state() noexcept { return current != nullptr ? current : make(); }

ThreadState* existing_thread_state() noexcept { return current; }

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
