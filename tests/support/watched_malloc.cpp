#include "support/watched_malloc.h"

#include <new>

namespace midtrace::test {
namespace {
thread_local std::size_t allocation_count = 0;
thread_local bool no_memory = false;
}  // namespace

std::size_t allocations() noexcept { return allocation_count; }
NoMemory::NoMemory() noexcept { no_memory = true; }
NoMemory::~NoMemory() { no_memory = false; }

}  // namespace midtrace::test

extern "C" {

void* __real_malloc(std::size_t size);
void* __real__Znwm(std::size_t size);

void* __wrap_malloc(std::size_t size) {
  ++midtrace::test::allocation_count;
  return midtrace::test::no_memory ? nullptr : __real_malloc(size);
}

void* __wrap__Znwm(std::size_t size) {
  ++midtrace::test::allocation_count;
  if (midtrace::test::no_memory) throw std::bad_alloc();
  return __real__Znwm(size);
}

}  // extern "C"
