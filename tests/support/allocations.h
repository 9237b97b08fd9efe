// Counts the heap allocations of the calling thread.
//
// A program that has allocations.cpp among its own sources counts every malloc, calloc, realloc,
// aligned_alloc and posix_memalign, and thereby every operator new, also those made inside shared libraries.
// Sanitizers bring a heap of their own: there nothing is counted, and `allocations_are_counted` is false. Any
// thread.
#pragma once

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MIDTRACE_TEST_OWN_HEAP 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MIDTRACE_TEST_OWN_HEAP 0
#endif
#endif
#ifndef MIDTRACE_TEST_OWN_HEAP
#define MIDTRACE_TEST_OWN_HEAP 1
#endif

namespace midtrace::test {

inline constexpr bool allocations_are_counted = MIDTRACE_TEST_OWN_HEAP != 0;

// Since the thread began.
std::uint64_t allocations_of_this_thread() noexcept;

}  // namespace midtrace::test
