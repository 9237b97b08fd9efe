#include <midtrace/trace/backend.h>

#include <atomic>

#include "anchor.h"
#include "native_backend.h"

namespace midtrace {
inline namespace v1 {

namespace {

constinit std::atomic<Backend*> chosen{nullptr};

}  // namespace

Backend& active_backend() noexcept {
  Backend* backend = chosen.load(std::memory_order_acquire);
  if (backend != nullptr) [[likely]]
    return *backend;
  // Another copy of the library may have set tracing up; until one does, ours forwards contexts.
  backend = attach_to_anchor();
  if (backend == nullptr) return NativeBackend::instance();
  Backend* none = nullptr;
  chosen.compare_exchange_strong(none, backend, std::memory_order_acq_rel);
  return *chosen.load(std::memory_order_acquire);
}

void set_backend(Backend* replacement) noexcept { chosen.store(replacement, std::memory_order_release); }

}  // namespace v1
}  // namespace midtrace
