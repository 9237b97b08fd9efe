// The memory of records and slabs, and the leases through which threads use it.
//
// A Lease is a ring plus a stock of free records and slabs. A thread leases one at its first recording span
// and hands it back when it exits; there are at most 256 private ones, then all further threads share one
// behind a spin lock, as do threads that are past the destruction of their thread-local state. Memory goes
// round: the owner takes from its stock, the collector returns to the lease the memory came from. One byte
// budget bounds all leases together, and records may use up three quarters of it. Their pages are never given
// back, so memory follows the peak. Once that share is used up the pool is under pressure: then a lease gets
// back a few records only, and the others go to a reserve from which every lease may take, as does the stock
// of threads that exit. Slabs are freed once half of the budget is used. So what one thread needed once is
// not lost to the others.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "record.h"
#include "ring.h"
#include "spin_lock.h"

namespace midtrace {
inline namespace v1 {

inline constexpr std::size_t max_private_leases = 256;

struct alignas(64) Lease {
  // Owner's side (under `lock` when shared).
  SpanRecord* free_records = nullptr;
  Slab* free_slabs = nullptr;
  std::atomic<std::uint64_t> bytes{0};  // of the records and slabs made for it
  bool shared = false;
  SpinLock lock;
  // What others give back; the owner takes all of it at once.
  alignas(64) std::atomic<SpanRecord*> returned_records{nullptr};
  std::atomic<Slab*> returned_slabs{nullptr};
  std::atomic<std::uint32_t> returned_under_pressure{0};  // records, since the owner last took them
  alignas(64) Ring ring;
  Lease* next_free = nullptr;  // guarded by the registry
};

// The calling thread's lease; never null.
Lease& this_thread_lease() noexcept;
// A lease for a new thread, or the shared one.
Lease* acquire_lease() noexcept;
void release_lease(Lease* lease) noexcept;

// Every lease that was ever made, the shared one first; for the collector.
std::size_t lease_count() noexcept;
Lease& lease_at(std::size_t index) noexcept;

// Null when the byte budget is used up.
SpanRecord* take_record() noexcept;
// Any thread; the record's contents are released.
void give_back_record(SpanRecord* record) noexcept;
// The same from a thread that probably took it: goes straight back to the stock when it came from there.
void give_back_unsent(SpanRecord* record) noexcept;
// At least `size` usable bytes; null when the byte budget is used up.
Slab* take_slab(std::size_t size) noexcept;
void give_back_slabs(Slab* first) noexcept;

// Queue of the calling thread; false when full. `wake` says that the collector should look.
bool push_finished(SpanRecord* record, bool& wake) noexcept;

// Shape of the rings, byte budget, limits of new spans; the limits must stay valid for ever. Any thread, also
// while others record.
void configure_pool(Ring::Shape rings, std::uint64_t memory_bytes, const SpanLimits* limits) noexcept;
const SpanLimits& pool_limits() noexcept;
std::uint64_t pool_bytes() noexcept;

// Fork: the registry's lock around it, and a fresh start in the child, where the other threads are gone.
void pool_before_fork() noexcept;
void pool_after_fork_parent() noexcept;
void pool_after_fork_child() noexcept;

}  // namespace v1
}  // namespace midtrace
