// Ring: a bounded queue of finished records from one thread to the collector.
//
// Single producer (the thread that leases it), single consumer (the collector). Each side keeps a copy of the
// other's position, so that it touches the other's cache line only when the copy is used up. Never blocks;
// allocates when it is made and once after its capacity was changed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace midtrace {
inline namespace v1 {

struct SpanRecord;

class Ring {
 public:
  // Any thread. The producer takes the capacity (a power of two) over at its first push that finds the ring
  // empty.
  void set_capacity(std::size_t power_of_two) noexcept {
    wanted_.store(power_of_two, std::memory_order_relaxed);
  }
  // Forgets what is in it. Not thread-safe.
  void clear() noexcept {
    head_.store(0, std::memory_order_relaxed);
    tail_.store(0, std::memory_order_relaxed);
    tail_seen_ = head_seen_ = 0;
  }

  // Producer. False when full. `crossed_half` says that the collector should be woken.
  bool push(SpanRecord* record, bool& crossed_half) noexcept {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (wanted_.load(std::memory_order_relaxed) != capacity_) [[unlikely]]
      change_capacity(head);
    if (head - tail_seen_ >= capacity_ / 2) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head - tail_seen_ >= capacity_) {
        crossed_half = true;
        return false;
      }
      crossed_half = head - tail_seen_ >= capacity_ / 2;
    }
    slots_[head & (capacity_ - 1)] = record;
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  // Consumer. Null when empty.
  SpanRecord* pop() noexcept {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_seen_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail == head_seen_) return nullptr;
    }
    SpanRecord* record = slots_[tail & (capacity_ - 1)];
    tail_.store(tail + 1, std::memory_order_release);
    return record;
  }

  // Any thread: positions, for "everything pushed before now".
  std::size_t pushed() const noexcept { return head_.load(std::memory_order_acquire); }
  std::size_t popped() const noexcept { return tail_.load(std::memory_order_acquire); }

 private:
  // While the ring is empty the consumer does not look at the slots.
  [[gnu::noinline]] void change_capacity(std::size_t head) noexcept {
    if (head != tail_.load(std::memory_order_acquire)) return;
    const std::size_t wanted = wanted_.load(std::memory_order_relaxed);
    if (auto* slots = new (std::nothrow) SpanRecord*[wanted]; slots != nullptr) {
      slots_.reset(slots);
      capacity_ = wanted;
    }
  }

  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t tail_seen_ = 0;
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t head_seen_ = 0;
  // Read by both sides, written by neither unless the capacity changes.
  alignas(64) std::unique_ptr<SpanRecord*[]> slots_;
  std::size_t capacity_ = 0;
  std::atomic<std::size_t> wanted_{0};
};

}  // namespace v1
}  // namespace midtrace
