#include "support/allocations.h"

#include <cerrno>
#include <cstddef>

namespace midtrace::test {

namespace {

[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t allocations = 0;

}  // namespace

std::uint64_t allocations_of_this_thread() noexcept { return allocations; }

}  // namespace midtrace::test

#if MIDTRACE_TEST_OWN_HEAP

// The C library's own names, under which it offers its heap to programs that replace malloc.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

[[gnu::visibility("default")]] void* malloc(std::size_t size) {
  ++midtrace::test::allocations;
  return __libc_malloc(size);
}

[[gnu::visibility("default")]] void* calloc(std::size_t count, std::size_t size) {
  ++midtrace::test::allocations;
  return __libc_calloc(count, size);
}

[[gnu::visibility("default")]] void* realloc(void* memory, std::size_t size) {
  ++midtrace::test::allocations;
  return __libc_realloc(memory, size);
}

[[gnu::visibility("default")]] void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++midtrace::test::allocations;
  return __libc_memalign(alignment, size);
}

[[gnu::visibility("default")]] int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  ++midtrace::test::allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory != nullptr ? 0 : ENOMEM;
}

}  // extern "C"

#endif
