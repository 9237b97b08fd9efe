#include "record_pool.h"

#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "collector.h"
#include "thread_block.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::size_t records_per_chunk = 16;
constexpr std::size_t record_chunk_bytes = records_per_chunk * sizeof(SpanRecord);
// What a lease gets back under pressure between two looks of its owner.
constexpr std::uint32_t records_returned_under_pressure = 64;
// Of a record: the header and the slots of a typical span, and the first line of its text.
constexpr std::size_t prefetched_bytes = 512;

// Everything here is trivially destructible: spans may end after static destructors ran.
struct Pool {
  SpinLock registry;
  std::atomic<std::size_t> leases{0};
  std::atomic<Lease*> lease[max_private_leases + 1]{};
  Lease* free_leases = nullptr;
  std::atomic<Ring::Shape> rings{Ring::Shape{2048, 512}};
  std::atomic<std::uint64_t> budget{64ULL * 1024 * 1024};
  std::atomic<std::uint64_t> used{0};
  std::atomic<const SpanLimits*> limits{nullptr};
  SpinLock reserve_lock;
  std::atomic<SpanRecord*> reserve{nullptr};  // written under `reserve_lock`
};
constinit Pool pool;
constinit const SpanLimits default_limits{};

std::uint64_t share_of_records() noexcept {
  const std::uint64_t budget = pool.budget.load(std::memory_order_relaxed);
  return budget - budget / 4;
}

bool under_pressure() noexcept {
  return pool.used.load(std::memory_order_relaxed) + record_chunk_bytes > share_of_records();
}

// Slabs are kept for the next spans only while half of the budget is free, so that records find room too.
bool keeps_too_much() noexcept {
  return pool.used.load(std::memory_order_relaxed) > pool.budget.load(std::memory_order_relaxed) / 2;
}

// Takes part of the budget. When little is left the collector is asked for what waits in the queues.
bool reserve(std::uint64_t bytes, std::uint64_t limit) noexcept {
  std::uint64_t used = pool.used.load(std::memory_order_relaxed);
  bool fits = false;
  do {
    fits = used + bytes <= limit;
  } while (fits && !pool.used.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  if (!fits || under_pressure()) Collector::ask_for_memory();
  return fits;
}

Lease* make_lease(bool shared) noexcept {
  auto* lease = new (std::nothrow) Lease;
  if (lease == nullptr) return nullptr;
  lease->shared = shared;
  lease->ring.set_shape(pool.rings.load(std::memory_order_relaxed));
  return lease;
}

// Used when not even the shared lease can be allocated: it has no room, so every span is dropped and counted.
Lease& empty_lease() noexcept {
  alignas(Lease) static char memory[sizeof(Lease)];
  static Lease* lease = [] {
    auto* made = new (memory) Lease;
    made->shared = true;
    return made;
  }();
  return *lease;
}

Lease* shared_lease() noexcept {
  Lease* lease = pool.lease[0].load(std::memory_order_acquire);
  if (lease != nullptr) return lease;
  Lease* made = make_lease(true);
  if (made == nullptr) return &empty_lease();
  std::lock_guard guard(pool.registry);
  lease = pool.lease[0].load(std::memory_order_relaxed);
  if (lease == nullptr) {
    pool.lease[0].store(made, std::memory_order_release);
    if (pool.leases.load(std::memory_order_relaxed) == 0) pool.leases.store(1, std::memory_order_release);
    return made;
  }
  delete made;
  return lease;
}

// A stock refilled from what came back, or from a new chunk.
template <class Item>
Item* take(Item*& stock, std::atomic<Item*>& returned) noexcept {
  Item* item = stock;
  if (item == nullptr) [[unlikely]] {
    item = returned.load(std::memory_order_relaxed) == nullptr
               ? nullptr
               : returned.exchange(nullptr, std::memory_order_acquire);
    if (item == nullptr) return nullptr;
  }
  stock = item->next;
  return item;
}

template <class Item>
void put_back(std::atomic<Item*>& returned, Item* first, Item* last) noexcept {
  Item* head = returned.load(std::memory_order_relaxed);
  do {
    last->next = head;
  } while (
      !returned.compare_exchange_weak(head, first, std::memory_order_release, std::memory_order_relaxed));
}

// A few records of the reserve.
bool take_from_reserve(Lease& lease) noexcept {
  if (pool.reserve.load(std::memory_order_relaxed) == nullptr) return false;
  std::lock_guard guard(pool.reserve_lock);
  SpanRecord* first = pool.reserve.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < records_per_chunk && first != nullptr; ++i) {
    SpanRecord* const record = first;
    first = record->next;
    record->next = lease.free_records;
    lease.free_records = record;
  }
  pool.reserve.store(first, std::memory_order_relaxed);
  return lease.free_records != nullptr;
}

void put_into_reserve(SpanRecord& first, SpanRecord& last) noexcept {
  std::lock_guard guard(pool.reserve_lock);
  last.next = pool.reserve.load(std::memory_order_relaxed);
  pool.reserve.store(&first, std::memory_order_relaxed);
}

bool grow_records(Lease& lease) noexcept {
  constexpr std::size_t bytes = record_chunk_bytes;
  if (!reserve(bytes, share_of_records())) return false;
  void* memory = std::aligned_alloc(alignof(SpanRecord), bytes);
  if (memory == nullptr) {
    pool.used.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  lease.bytes.fetch_add(bytes, std::memory_order_relaxed);
  auto* records = static_cast<SpanRecord*>(memory);
  for (std::size_t i = 0; i < records_per_chunk; ++i) {
    auto* record = new (records + i) SpanRecord;
    record->home = &lease;
    record->next = lease.free_records;
    lease.free_records = record;
  }
  return true;
}

// One by one, so that each can be freed.
Slab* make_slab(std::size_t bytes, Lease* home) noexcept {
  if (!reserve(bytes, pool.budget.load(std::memory_order_relaxed))) return nullptr;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) {
    pool.used.fetch_sub(bytes, std::memory_order_relaxed);
    return nullptr;
  }
  if (home != nullptr) home->bytes.fetch_add(bytes, std::memory_order_relaxed);
  return new (memory) Slab{nullptr, home, bytes};
}

void free_slab(Slab* slab) noexcept {
  if (slab->home != nullptr) slab->home->bytes.fetch_sub(slab->bytes, std::memory_order_relaxed);
  pool.used.fetch_sub(slab->bytes, std::memory_order_relaxed);
  std::free(slab);
}

SpanRecord* take_record_from(Lease& lease) noexcept {
  SpanRecord* record = take(lease.free_records, lease.returned_records);
  if (record != nullptr) [[likely]]
    return record;
  lease.returned_under_pressure.store(0, std::memory_order_relaxed);
  if (!take_from_reserve(lease) && !grow_records(lease)) return nullptr;
  return take(lease.free_records, lease.returned_records);
}

Slab* take_slab_from(Lease& lease) noexcept {
  Slab* slab = take(lease.free_slabs, lease.returned_slabs);
  return slab != nullptr ? slab : make_slab(Slab::pooled_bytes, &lease);
}

// The stock of a lease of which the caller is the owner, for those who find no memory.
void empty_into_reserve(Lease& lease) noexcept {
  for (SpanRecord* first : {std::exchange(lease.free_records, nullptr),
                            lease.returned_records.exchange(nullptr, std::memory_order_acquire)}) {
    if (first == nullptr) continue;
    SpanRecord* last = first;
    while (last->next != nullptr)
      last = last->next;
    put_into_reserve(*first, *last);
  }
}

}  // namespace

Lease* acquire_lease() noexcept {
  {
    std::lock_guard guard(pool.registry);
    if (Lease* lease = pool.free_leases; lease != nullptr) {
      pool.free_leases = lease->next_free;
      return lease;
    }
  }
  Lease* shared = shared_lease();
  if (pool.leases.load(std::memory_order_relaxed) > max_private_leases) return shared;
  Lease* made = make_lease(false);
  if (made == nullptr) return shared;
  std::lock_guard guard(pool.registry);
  const std::size_t index = pool.leases.load(std::memory_order_relaxed);
  if (index == 0 || index > max_private_leases) {
    delete made;
    return shared;
  }
  pool.lease[index].store(made, std::memory_order_release);
  pool.leases.store(index + 1, std::memory_order_release);
  return made;
}

void release_lease(Lease* lease) noexcept {
  if (lease == nullptr || lease->shared) return;
  if (under_pressure()) empty_into_reserve(*lease);
  std::lock_guard guard(pool.registry);
  lease->next_free = pool.free_leases;
  pool.free_leases = lease;
}

Lease& this_thread_lease() noexcept {
  ThreadBlock* block = this_thread_block();
  if (block == nullptr) [[unlikely]]
    return *shared_lease();
  if (block->lease == nullptr) [[unlikely]]
    block->lease = acquire_lease();
  return *block->lease;
}

std::size_t lease_count() noexcept { return pool.leases.load(std::memory_order_acquire); }
Lease& lease_at(std::size_t index) noexcept { return *pool.lease[index].load(std::memory_order_acquire); }

SpanRecord* take_record() noexcept {
  Lease& lease = this_thread_lease();
  SpanRecord* record;
  if (lease.shared) [[unlikely]] {
    std::lock_guard guard(lease.lock);
    record = take_record_from(lease);
  } else {
    record = take_record_from(lease);
  }
  if (record == nullptr) [[unlikely]]
    return nullptr;
  if (lease.shared) [[unlikely]]
    return record;
  // The next span's record was last touched by the collector, on another core: ask for its lines in good
  // time.
  if (const SpanRecord* next = lease.free_records; next != nullptr) {
#pragma GCC unroll 8
    for (std::size_t offset = 0; offset < prefetched_bytes; offset += 64) {
      __builtin_prefetch(reinterpret_cast<const char*>(next) + offset, 1);
    }
    __builtin_prefetch(next->inline_text, 1);
  }
  return record;
}

void give_back_record(SpanRecord* record) noexcept {
  clear_record(*record);
  Lease& home = *record->home;
  if (under_pressure() && home.returned_under_pressure.fetch_add(1, std::memory_order_relaxed) >=
                              records_returned_under_pressure) {
    put_into_reserve(*record, *record);
  } else {
    put_back(home.returned_records, record, record);
  }
}

void give_back_unsent(SpanRecord* record) noexcept {
  const ThreadBlock* block = this_thread_block_if_any();
  if (block == nullptr || block->lease != record->home || record->home->shared || under_pressure())
    return give_back_record(record);
  clear_record(*record);
  record->next = record->home->free_records;
  record->home->free_records = record;
}

Slab* take_slab(std::size_t size) noexcept {
  if (size > Slab::pooled_bytes - sizeof(Slab)) return make_slab(size + sizeof(Slab), nullptr);
  Lease& lease = this_thread_lease();
  if (lease.shared) [[unlikely]] {
    std::lock_guard guard(lease.lock);
    return take_slab_from(lease);
  }
  return take_slab_from(lease);
}

void give_back_slabs(Slab* first) noexcept {
  while (first != nullptr) {
    Slab* next = first->next;
    if (first->home == nullptr || keeps_too_much()) {
      free_slab(first);
    } else {
      put_back(first->home->returned_slabs, first, first);
    }
    first = next;
  }
}

bool push_finished(SpanRecord* record, bool& wake) noexcept {
  Lease& lease = this_thread_lease();
  if (lease.shared) [[unlikely]] {
    std::lock_guard guard(lease.lock);
    return lease.ring.push(record, wake);
  }
  return lease.ring.push(record, wake);
}

void configure_pool(Ring::Shape rings, std::uint64_t memory_bytes, const SpanLimits* limits) noexcept {
  pool.rings.store(rings, std::memory_order_relaxed);
  pool.budget.store(memory_bytes, std::memory_order_relaxed);
  pool.limits.store(limits, std::memory_order_release);
  for (std::size_t i = 0; i < lease_count(); ++i)
    lease_at(i).ring.set_shape(rings);
  // A smaller budget than before may be used up by threads that are gone.
  if (!under_pressure()) return;
  Lease* unused = nullptr;
  {
    std::lock_guard guard(pool.registry);
    unused = std::exchange(pool.free_leases, nullptr);
  }
  while (unused != nullptr)
    release_lease(std::exchange(unused, unused->next_free));
}

const SpanLimits& pool_limits() noexcept {
  const SpanLimits* limits = pool.limits.load(std::memory_order_acquire);
  return limits != nullptr ? *limits : default_limits;
}

std::uint64_t pool_bytes() noexcept { return pool.used.load(std::memory_order_relaxed); }

void pool_before_fork() noexcept {
  pool.registry.lock();
  pool.reserve_lock.lock();
}
void pool_after_fork_parent() noexcept {
  pool.reserve_lock.unlock();
  pool.registry.unlock();
}

void pool_after_fork_child() noexcept {
  Lease* own = nullptr;
  if (ThreadBlock* block = this_thread_block_if_any(); block != nullptr) own = block->lease;
  pool.free_leases = nullptr;
  pool.reserve.store(nullptr, std::memory_order_relaxed);
  pool.reserve_lock.unlock();
  for (std::size_t i = 0; i < lease_count(); ++i) {
    Lease& lease = lease_at(i);
    if (&lease == own && !lease.shared) {
      // What waits here is the parent's to export.
      while (SpanRecord* record = lease.ring.pop())
        give_back_record(record);
      continue;
    }
    // The other threads are gone, and their stocks may have been in mid-change: forget them.
    pool.used.fetch_sub(lease.bytes.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
    lease.free_records = nullptr;
    lease.free_slabs = nullptr;
    lease.returned_records.store(nullptr, std::memory_order_relaxed);
    lease.returned_slabs.store(nullptr, std::memory_order_relaxed);
    lease.ring.clear();
    lease.lock.unlock();
    if (!lease.shared) {
      lease.next_free = pool.free_leases;
      pool.free_leases = &lease;
    }
  }
  pool.registry.unlock();
}

}  // namespace v1
}  // namespace midtrace
