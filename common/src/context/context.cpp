#include <midtrace/context/context.h>

#include <midtrace/trace/backend.h>

#include "../trace/native_backend.h"
#include "../trace/thread_block.h"

namespace midtrace {
inline namespace v1 {

Context Context::current() noexcept {
  Backend& backend = active_backend();
  if (&backend == &NativeBackend::instance()) [[likely]]
    return current_context();
  return backend.ambient();
}

Context suppressed(Context context) noexcept {
  context.suppressed = true;
  return context;
}

Scope::Scope(const Context& context, std::uint64_t backend_word, SpanRecord* record) noexcept
    : backend_(&active_backend()), token_(backend_->activate(context, backend_word, record)) {}

void Scope::end() noexcept {
  if (Backend* backend = std::exchange(backend_, nullptr); backend != nullptr) backend->deactivate(token_);
}

}  // namespace v1
}  // namespace midtrace
