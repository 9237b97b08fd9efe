#include "thread_block.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <mutex>
#include <new>

#include <midtrace/trace/instrumentation.h>

#include "fork.h"
#include "record_pool.h"
#include "spin_lock.h"

namespace midtrace {
inline namespace v1 {

thread_local constinit ThreadBlock* thread_block_pointer = nullptr;

namespace {

// Trivially destructible, like everything that outlives main.
struct Blocks {
  SpinLock registry;
  ThreadBlock* free = nullptr;
  std::atomic<ThreadBlock*> made{nullptr};
  std::atomic<std::uint64_t> seeds{0};
  pthread_key_t key{};
  std::atomic<int> key_state{0};  // 0 not made, 1 made, -1 failed
};
constinit Blocks blocks;
constinit HotCounters shared_counters;
constinit const Context empty_context{};

void clear_slot(ContextSlot& slot) noexcept {
  slot.context = Context{};
  slot.record = nullptr;
}

// The generation survives, so that tokens of earlier activations never match again.
void mark_free(ContextSlot& slot) noexcept {
  const std::uint32_t state = slot.state.load(std::memory_order_relaxed);
  slot.state.store((state & ~ContextSlot::mark_mask) | ContextSlot::free_mark, std::memory_order_release);
}

void release_block(ThreadBlock* block) noexcept {
  while (block->depth > 0) {
    ContextSlot& slot = block->slot(--block->depth);
    mark_free(slot);
    clear_slot(slot);
  }
  release_lease(block->lease);
  block->lease = nullptr;
  block->exit_rounds = 0;
  std::lock_guard guard(blocks.registry);
  block->next_free = blocks.free;
  blocks.free = block;
}

// Other keys' destructors may still end spans: step aside for two rounds, then give the block back.
void on_thread_exit(void* pointer) noexcept {
  constexpr int rounds_to_wait = 2;
  auto* block = static_cast<ThreadBlock*>(pointer);
  if (block->exit_rounds < rounds_to_wait) {
    ++block->exit_rounds;
    pthread_setspecific(blocks.key, block);
    return;
  }
  thread_block_pointer = reinterpret_cast<ThreadBlock*>(torn_down);
  release_block(block);
}

bool ensure_key() noexcept {
  const int state = blocks.key_state.load(std::memory_order_acquire);
  if (state != 0) return state > 0;
  stay_loaded();
  std::lock_guard guard(blocks.registry);
  if (blocks.key_state.load(std::memory_order_relaxed) == 0) {
    const bool made = pthread_key_create(&blocks.key, on_thread_exit) == 0;
    blocks.key_state.store(made ? 1 : -1, std::memory_order_release);
  }
  return blocks.key_state.load(std::memory_order_relaxed) > 0;
}

}  // namespace

// Threads call on_thread_exit and fork calls our handlers for as long as the process lives, so a plugin that
// carries this library must not be unmapped when the application closes it.
void stay_loaded() noexcept {
  Dl_info here{};
  link_map* object = nullptr;
  if (dladdr1(&blocks, &here, reinterpret_cast<void**>(&object), RTLD_DL_LINKMAP) == 0 || object == nullptr)
    return;
  if (*object->l_name == '\0') return;  // the program itself
  dlopen(object->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

ThreadBlock* make_thread_block() noexcept {
  if (reinterpret_cast<std::uintptr_t>(thread_block_pointer) == torn_down) return nullptr;
  install_fork_handlers();
  if (!ensure_key()) return nullptr;
  ThreadBlock* block = nullptr;
  {
    std::lock_guard guard(blocks.registry);
    block = blocks.free;
    if (block != nullptr) blocks.free = block->next_free;
  }
  const bool fresh = block == nullptr;
  if (fresh) {
    block = new (std::nothrow) ThreadBlock;
    if (block == nullptr) return nullptr;
    block->chunks[0].store(block->first_chunk, std::memory_order_release);
  }
  // A block that was free when the process forked must not repeat the ids of its twin.
  if (fresh || block->fork_generation != fork_generation()) {
    block->random.seed(blocks.seeds.fetch_add(1, std::memory_order_relaxed));
    block->fork_generation = fork_generation();
  }
  if (fresh) {
    std::lock_guard guard(blocks.registry);
    block->next_made = blocks.made.load(std::memory_order_relaxed);
    blocks.made.store(block, std::memory_order_release);
  }
  if (pthread_setspecific(blocks.key, block) != 0) {
    release_block(block);
    return nullptr;
  }
  thread_block_pointer = block;
  return block;
}

ContextSlot* ThreadBlock::repair() noexcept {
  while (depth > 0) {
    ContextSlot& last = slot(depth - 1);
    if ((last.state.load(std::memory_order_acquire) & ContextSlot::mark_mask) == ContextSlot::live_mark)
      return &last;
    mark_free(last);
    clear_slot(last);
    --depth;
  }
  return nullptr;
}

ActivationToken push_context(const Context& context, SpanRecord* record) noexcept {
  ThreadBlock* block = this_thread_block();
  if (block == nullptr) return {};
  block->top();
  const std::size_t index = block->depth;
  const std::size_t chunk = index / ThreadBlock::slots_per_chunk;
  if (chunk >= ThreadBlock::max_chunks) {
    count(Counter::scopes_too_deep);
    return {};
  }
  if (block->chunks[chunk].load(std::memory_order_relaxed) == nullptr) {
    auto* slots = new (std::nothrow) ContextSlot[ThreadBlock::slots_per_chunk];
    if (slots == nullptr) {
      count(Counter::scopes_too_deep);
      return {};
    }
    block->chunks[chunk].store(slots, std::memory_order_release);
  }
  ContextSlot& slot = block->slot(index);
  const std::uint32_t generation = (slot.state.load(std::memory_order_relaxed) >> 2U) + 1;
  slot.context = context;
  slot.record = record;
  slot.record_serial = record != nullptr ? record->serial.load(std::memory_order_relaxed) : 0;
  slot.state.store((generation << 2U) | ContextSlot::live_mark, std::memory_order_release);
  ++block->depth;
  return {block, static_cast<std::uint32_t>(index), generation & (0xFFFFFFFFU >> 2U)};
}

void pop_context(const ActivationToken& token) noexcept {
  auto* block = static_cast<ThreadBlock*>(token.place);
  if (block == nullptr) return;
  ContextSlot& slot = block->slot(token.index);
  std::uint32_t expected = (token.generation << 2U) | ContextSlot::live_mark;
  const bool own = block == this_thread_block_if_any();
  // Inner scopes that ended elsewhere do not put this one out of order.
  if (own && token.index + 1 != block->depth) [[unlikely]]
    block->top();
  if (own && token.index + 1 == block->depth) [[likely]] {
    if (!slot.state.compare_exchange_strong(expected, (token.generation << 2U) | ContextSlot::free_mark,
                                            std::memory_order_acq_rel)) {
      return;  // ended before
    }
    clear_slot(slot);
    --block->depth;
    return;
  }
  if (!slot.state.compare_exchange_strong(expected, (token.generation << 2U) | ContextSlot::dead_mark,
                                          std::memory_order_acq_rel)) {
    return;
  }
  if (own) {
    count(Counter::scopes_ended_out_of_order);
    report(
        Severity::warning, "scope.out_of_order",
        "A midtrace scope ended before one that began after it on the same thread; the current context was "
        "repaired. End scopes in reverse order of their beginning.");
  } else {
    count(Counter::scopes_ended_elsewhere);
    report(Severity::warning, "scope.elsewhere",
           "A midtrace scope ended on another thread than the one it began on; the current context is "
           "repaired at "
           "that thread's next span. Keep a scope on its thread and hand the context over instead.");
  }
}

const Context& current_context() noexcept {
  ThreadBlock* block = this_thread_block_if_any();
  if (block == nullptr) return empty_context;
  const ContextSlot* slot = block->top();
  return slot != nullptr ? slot->context : empty_context;
}

HotCounters& shared_hot_counters() noexcept { return shared_counters; }

void add_thread_counters(Counters& counters) noexcept {
  const auto add = [&counters](const HotCounters& hot) {
    const auto into = [&counters](Counter counter, const std::atomic<std::uint64_t>& value) {
      counters.values[static_cast<std::size_t>(counter)] += value.load(std::memory_order_relaxed);
    };
    into(Counter::spans_started, hot.started);
    into(Counter::spans_sampled, hot.sampled);
    into(Counter::spans_finished, hot.finished);
    into(Counter::dropped_queue_full, hot.dropped_queue_full);
    into(Counter::dropped_no_record, hot.dropped_no_record);
  };
  add(shared_counters);
  for (const ThreadBlock* block = blocks.made.load(std::memory_order_acquire); block != nullptr;
       block = block->next_made) {
    add(block->counters);
  }
}

void blocks_before_fork() noexcept { blocks.registry.lock(); }
void blocks_after_fork(bool child) noexcept {
  if (child) {
    if (ThreadBlock* block = this_thread_block_if_any(); block != nullptr) {
      // The child must not repeat the parent's ids.
      block->random.seed(blocks.seeds.fetch_add(1, std::memory_order_relaxed) ^ 0xF0F0F0F0U);
      block->fork_generation = fork_generation();
    }
  }
  blocks.registry.unlock();
}

}  // namespace v1
}  // namespace midtrace
