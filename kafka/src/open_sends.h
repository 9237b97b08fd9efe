// OpenSends: the `send` spans of one producer that wait for their delivery report.
//
// librdkafka offers no opaque slot of ours on a message, so open spans are found by the message's address: a
// sharded open-addressing table from address to a slot in the shard's pool. One open send takes at most 160
// bytes altogether. Unsampled sends are never inserted; for them a delivery report costs one load (`maybe`).
//
// Any thread. A shard's lock is held for a few dozen instructions, and for rehashing while a shard grows;
// memory is allocated and freed outside of it. What is inserted over a live address is handed back as
// displaced: its own report never came.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "trace/spin_lock.h"

#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

class BatchSend;
class Topic;

// What few sends need, out of line.
struct RareSendState {
  SpanContext linked;                // the application's own context in the headers, or an invalid one
  Span started;                      // instead of a pending span, when a hook wanted it at the start
  std::shared_ptr<BatchSend> batch;  // instead of a span of its own
  bool has_span = false;
};

struct OpenSend {
  PendingSpan pending;
  const Topic* topic = nullptr;
  std::unique_ptr<RareSendState> rare;
  SpanKind kind = SpanKind::producer;
  std::uint32_t next_free = 0;  // the pool's own
};

class OpenSends {
 public:
  enum class Insert : std::uint8_t { done, displaced, refused };

  OpenSends() noexcept = default;
  OpenSends(const OpenSends&) = delete;
  OpenSends& operator=(const OpenSends&) = delete;

  // `send` is moved from unless it is refused, for lack of memory or because `max_open` are open already.
  Insert insert(const void* message, OpenSend& send, OpenSend& displaced) noexcept;
  // False when this message certainly has no open send.
  bool maybe(const void* message) const noexcept {
    return shard_of(hash(message)).used.load(std::memory_order_relaxed) != 0;
  }
  bool take(const void* message, OpenSend& send) noexcept;
  // Any one that is open, for emptying the table; false when there is none.
  bool take_any(OpenSend& send) noexcept;

  std::size_t size() const noexcept;
  // Bytes allocated, for the budget's test.
  std::size_t allocated_bytes() const noexcept;

  static constexpr std::size_t max_open = 1U << 20U;

 private:
  static constexpr unsigned shard_bits = 4;
  static constexpr std::size_t shard_count = 1U << shard_bits;
  static constexpr std::uint32_t chunk_slots = 64;
  static constexpr std::uint32_t nothing = 0xFFFFFFFFU;

  using Chunk = std::unique_ptr<OpenSend[]>;

  // Of the table; free without a message.
  struct Entry {
    const void* message = nullptr;
    std::uint32_t slot = 0;
  };

  struct alignas(64) Shard {
    SpinLock lock;
    std::atomic<std::uint32_t> used{0};
    std::uint32_t capacity = 0;  // of the table; a power of two
    std::uint32_t chunks = 0;
    std::uint32_t directory_size = 0;
    std::uint32_t free = nothing;
    std::unique_ptr<Entry[]> entries;
    std::unique_ptr<Chunk[]> directory;

    OpenSend& slot(std::uint32_t index) const noexcept {
      return directory[index / chunk_slots][index % chunk_slots];
    }
    bool full() const noexcept {
      return free == nothing || (used.load(std::memory_order_relaxed) + 1) * 10ULL > capacity * 7ULL;
    }
  };

  static std::uint64_t hash(const void* message) noexcept {
    return (reinterpret_cast<std::uintptr_t>(message) >> 4U) * 0x9E3779B97F4A7C15U;
  }
  Shard& shard_of(std::uint64_t hash) noexcept { return shards_[hash >> (64 - shard_bits)]; }
  const Shard& shard_of(std::uint64_t hash) const noexcept { return shards_[hash >> (64 - shard_bits)]; }
  static std::uint32_t home(std::uint64_t hash, std::uint32_t capacity) noexcept {
    return static_cast<std::uint32_t>(hash >> 24U) & (capacity - 1);
  }

  static bool grow(Shard& shard) noexcept;
  static void remove(Shard& shard, std::uint32_t place, OpenSend& send) noexcept;

  std::array<Shard, shard_count> shards_;
};

static_assert(sizeof(OpenSend) <= 112);

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
