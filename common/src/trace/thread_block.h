// ThreadBlock: what tracing keeps per thread: the stack of current contexts, the id generator, frequent
// counters, and the lease of a ring.
//
// One raw thread-local pointer leads to it. Blocks are recycled when a thread exits and never freed, so that
// a Scope that outlives its thread compares a generation instead of touching freed memory. A thread that is
// past the destruction of its thread-local state has none.
//
// All members belong to the owning thread, except slot states and counters, which are atomic.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <midtrace/context/context.h>
#include <midtrace/trace/counters.h>

#include "random.h"

namespace midtrace {
inline namespace v1 {

struct Lease;

// One activation. `state` is the generation shifted left by two, with one of the marks below.
struct ContextSlot {
  static constexpr std::uint32_t free_mark = 0;
  static constexpr std::uint32_t live_mark = 1;
  static constexpr std::uint32_t dead_mark =
      2;  // ended, but not by its owner in order; popped at the next look
  static constexpr std::uint32_t mark_mask = 3;

  std::atomic<std::uint32_t> state{0};
  std::uint32_t record_serial = 0;
  SpanRecord* record = nullptr;
  Context context;
};

// Counters that are bumped on every span live here, so that threads share no cache line.
struct HotCounters {
  std::atomic<std::uint64_t> started{0};
  std::atomic<std::uint64_t> sampled{0};
  std::atomic<std::uint64_t> finished{0};
  std::atomic<std::uint64_t> dropped_queue_full{0};
  std::atomic<std::uint64_t> dropped_no_record{0};

  // Only the owner writes.
  static void bump(std::atomic<std::uint64_t>& counter) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

struct alignas(64) ThreadBlock {
  static constexpr std::size_t slots_per_chunk = 16;
  static constexpr std::size_t max_chunks = 64;

  std::uint32_t depth = 0;
  std::uint32_t fork_generation = 0;
  Lease* lease = nullptr;
  HotCounters counters;
  Random random;
  int exit_rounds = 0;
  ThreadBlock* next_free = nullptr;  // guarded by the registry
  ThreadBlock* next_made = nullptr;
  std::atomic<ContextSlot*> chunks[max_chunks]{};
  ContextSlot first_chunk[slots_per_chunk];

  ContextSlot& slot(std::size_t index) noexcept {
    return chunks[index / slots_per_chunk].load(std::memory_order_acquire)[index % slots_per_chunk];
  }
  // The top slot that is live, after popping dead ones; null when the stack is empty.
  ContextSlot* top() noexcept {
    if (depth == 0) return nullptr;
    ContextSlot& last = slot(depth - 1);
    if ((last.state.load(std::memory_order_acquire) & ContextSlot::mark_mask) == ContextSlot::live_mark)
        [[likely]] {
      return &last;
    }
    return repair();
  }

 private:
  ContextSlot* repair() noexcept;
};

inline constexpr std::uintptr_t torn_down = 1;

// Null before a thread's first use, `torn_down` after its thread-local state is gone.
[[gnu::tls_model("initial-exec")]] extern thread_local constinit ThreadBlock* thread_block_pointer;

ThreadBlock* make_thread_block() noexcept;
// Keeps the object that carries this copy of the library mapped until the process ends.
void stay_loaded() noexcept;

// The calling thread's block, made at the first call; null past thread-local teardown, or without memory.
inline ThreadBlock* this_thread_block() noexcept {
  ThreadBlock* block = thread_block_pointer;
  if (reinterpret_cast<std::uintptr_t>(block) > torn_down) [[likely]]
    return block;
  return make_thread_block();
}
inline ThreadBlock* this_thread_block_if_any() noexcept {
  ThreadBlock* block = thread_block_pointer;
  return reinterpret_cast<std::uintptr_t>(block) > torn_down ? block : nullptr;
}

// The stack of current contexts.
ActivationToken push_context(const Context& context, SpanRecord* record) noexcept;
void pop_context(const ActivationToken& token) noexcept;
// Never null; an empty context when there is none. Valid until this thread's next activation or end of one.
const Context& current_context() noexcept;

// Sums the hot counters of all threads that ever were.
void add_thread_counters(Counters& counters) noexcept;
// For threads without a block.
HotCounters& shared_hot_counters() noexcept;

void blocks_before_fork() noexcept;
void blocks_after_fork(bool child) noexcept;

}  // namespace v1
}  // namespace midtrace
