#include "open_sends.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

OpenSends::Insert OpenSends::insert(const void* message, OpenSend& send, OpenSend& displaced) noexcept {
  const std::uint64_t hashed = hash(message);
  Shard& shard = shard_of(hashed);
  while (true) {
    {
      const std::lock_guard guard(shard.lock);
      if (!shard.full()) {
        const std::uint32_t mask = shard.capacity - 1;
        std::uint32_t place = home(hashed, shard.capacity);
        while (shard.entries[place].message != nullptr && shard.entries[place].message != message)
          place = (place + 1) & mask;
        Entry& entry = shard.entries[place];
        if (entry.message == message) {
          displaced = std::exchange(shard.slot(entry.slot), std::move(send));
          return Insert::displaced;
        }
        const std::uint32_t index = shard.free;
        OpenSend& slot = shard.slot(index);
        shard.free = slot.next_free;
        slot = std::move(send);
        entry = {message, index};
        shard.used.store(shard.used.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return Insert::done;
      }
    }
    if (!grow(shard)) return Insert::refused;
  }
}

bool OpenSends::take(const void* message, OpenSend& send) noexcept {
  const std::uint64_t hashed = hash(message);
  Shard& shard = shard_of(hashed);
  const std::lock_guard guard(shard.lock);
  if (shard.used.load(std::memory_order_relaxed) == 0) return false;
  const std::uint32_t mask = shard.capacity - 1;
  std::uint32_t place = home(hashed, shard.capacity);
  while (shard.entries[place].message != message) {
    if (shard.entries[place].message == nullptr) return false;
    place = (place + 1) & mask;
  }
  remove(shard, place, send);
  return true;
}

bool OpenSends::take_any(OpenSend& send) noexcept {
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.lock);
    if (shard.used.load(std::memory_order_relaxed) == 0) continue;
    for (std::uint32_t place = 0; place < shard.capacity; ++place) {
      if (shard.entries[place].message == nullptr) continue;
      remove(shard, place, send);
      return true;
    }
  }
  return false;
}

std::size_t OpenSends::size() const noexcept {
  std::size_t open = 0;
  for (const Shard& shard : shards_)
    open += shard.used.load(std::memory_order_relaxed);
  return open;
}

std::size_t OpenSends::allocated_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Shard& shard : shards_) {
    bytes += shard.capacity * sizeof(Entry) + shard.directory_size * sizeof(Chunk) +
             shard.chunks * chunk_slots * sizeof(OpenSend);
  }
  return bytes;
}

// Takes the entry out and closes the gap, so that no lookup stops before an entry that was pushed further on.
void OpenSends::remove(Shard& shard, std::uint32_t place, OpenSend& send) noexcept {
  const std::uint32_t index = shard.entries[place].slot;
  OpenSend& slot = shard.slot(index);
  send = std::move(slot);
  slot.next_free = shard.free;
  shard.free = index;
  shard.used.store(shard.used.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);

  const std::uint32_t mask = shard.capacity - 1;
  std::uint32_t gap = place;
  for (std::uint32_t next = (gap + 1) & mask; shard.entries[next].message != nullptr;
       next = (next + 1) & mask) {
    const std::uint32_t wanted = home(hash(shard.entries[next].message), shard.capacity);
    if (((next - wanted) & mask) < ((next - gap) & mask)) continue;  // it would land before its home
    shard.entries[gap] = shard.entries[next];
    gap = next;
  }
  shard.entries[gap].message = nullptr;
}

// Makes room for one more, with everything allocated before the lock is taken and freed after it is released.
bool OpenSends::grow(Shard& shard) noexcept {
  std::uint32_t capacity = 0;
  std::uint32_t used = 0;
  std::uint32_t chunks = 0;
  std::uint32_t directory_size = 0;
  bool needs_slots = false;
  {
    const std::lock_guard guard(shard.lock);
    if (!shard.full()) return true;
    capacity = shard.capacity;
    used = shard.used.load(std::memory_order_relaxed);
    chunks = shard.chunks;
    directory_size = shard.directory_size;
    needs_slots = shard.free == nothing;
  }
  if (used >= max_open / shard_count) return false;

  const bool needs_table = (used + 1) * 10ULL > capacity * 7ULL;
  const std::uint32_t new_capacity = needs_table ? std::max<std::uint32_t>(64, capacity * 2) : capacity;
  const bool needs_directory = needs_slots && chunks == directory_size;
  const std::uint32_t new_directory_size = std::max<std::uint32_t>(8, directory_size * 2);
  std::unique_ptr<Entry[]> entries;
  std::unique_ptr<Chunk[]> directory;
  Chunk chunk;
  try {
    if (needs_table) entries = std::make_unique<Entry[]>(new_capacity);
    if (needs_directory) directory = std::make_unique<Chunk[]>(new_directory_size);
    if (needs_slots) chunk = std::make_unique<OpenSend[]>(chunk_slots);
  } catch (...) {
    return false;
  }

  const std::lock_guard guard(shard.lock);
  if (needs_table && shard.capacity == capacity) {
    for (std::uint32_t place = 0; place < capacity; ++place) {
      const Entry& entry = shard.entries[place];
      if (entry.message == nullptr) continue;
      std::uint32_t target = home(hash(entry.message), new_capacity);
      while (entries[target].message != nullptr)
        target = (target + 1) & (new_capacity - 1);
      entries[target] = entry;
    }
    std::swap(shard.entries, entries);
    shard.capacity = new_capacity;
  }
  if (needs_slots && shard.chunks == chunks && shard.directory_size == directory_size) {
    if (needs_directory) {
      std::move(shard.directory.get(), shard.directory.get() + chunks, directory.get());
      std::swap(shard.directory, directory);
      shard.directory_size = new_directory_size;
    }
    for (std::uint32_t slot = chunk_slots; slot-- > 0;) {
      chunk[slot].next_free = shard.free;
      shard.free = chunks * chunk_slots + slot;
    }
    shard.directory[chunks] = std::move(chunk);
    shard.chunks = chunks + 1;
  }
  return true;
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
