// Counts heap requests per thread, by standing in front of the C library's allocator. The cost is one
// thread-local increment, for whichever library asks.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "harness.h"

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace {

[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t requests = 0;

}  // namespace

extern "C" {

void* malloc(std::size_t size) noexcept {
  ++requests;
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  ++requests;
  return __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) noexcept {
  ++requests;
  return __libc_realloc(memory, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  ++requests;
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  ++requests;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}

std::uint64_t midtrace::bench::thread_allocations() noexcept { return requests; }
