// What fork() means to tracing.
//
// Before the fork the library's few locks are taken, none of which is ever held across a system call that
// waits; after it they are released. In the child a generation is bumped: ids are seeded anew, records of the
// parent's spans are discarded when they finish, and rings and collector start again at the child's first
// span. The handlers start no thread and call no exporter.
#pragma once

#include <atomic>
#include <cstdint>

namespace midtrace {
inline namespace v1 {

// Idempotent; any thread.
void install_fork_handlers() noexcept;

extern constinit std::atomic<std::uint32_t> fork_generation_counter;
inline std::uint32_t fork_generation() noexcept {
  return fork_generation_counter.load(std::memory_order_relaxed);
}

}  // namespace v1
}  // namespace midtrace
