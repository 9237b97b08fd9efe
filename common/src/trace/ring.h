// Ring: a bounded queue of finished records from one thread to the collector.
//
// Single producer (the thread that leases it), single consumer (the collector). Each side keeps a copy of the
// other's position, so that it touches the other's cache line only when the copy is used up. Never blocks;
// allocates when it is made and once after its shape was changed.
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
  // How many records it holds, a power of two, and how many it may hold already when another one should wake
  // the collector, at most half of that. Aligned so that clang, too, changes it as one word.
  struct alignas(8) Shape {
    std::uint32_t capacity = 0;
    std::uint32_t wake_at = 0;
    bool operator==(const Shape&) const = default;
  };

  // Any thread. The producer takes the shape over at its first push that finds the ring empty.
  void set_shape(Shape shape) noexcept { wanted_.store(shape, std::memory_order_relaxed); }
  // Forgets what is in it. Not thread-safe.
  void clear() noexcept {
    head_.store(0, std::memory_order_relaxed);
    tail_.store(0, std::memory_order_relaxed);
    tail_seen_ = head_seen_ = 0;
  }

  // Producer. False when full. `wake` says that the collector should be woken.
  bool push(SpanRecord* record, bool& wake) noexcept {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (wanted_.load(std::memory_order_relaxed) != shape_) [[unlikely]]
      change_shape(head);
    if (head - tail_seen_ >= shape_.wake_at) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head - tail_seen_ >= shape_.capacity) {
        wake = true;
        return false;
      }
      wake = head - tail_seen_ >= shape_.wake_at;
    }
    slots_[head & (shape_.capacity - 1)] = record;
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
    SpanRecord* record = slots_[tail & (shape_.capacity - 1)];
    tail_.store(tail + 1, std::memory_order_release);
    return record;
  }

  // Any thread: positions, for "everything pushed before now".
  std::size_t pushed() const noexcept { return head_.load(std::memory_order_acquire); }
  std::size_t popped() const noexcept { return tail_.load(std::memory_order_acquire); }

 private:
  // While the ring is empty the consumer does not look at the slots.
  [[gnu::noinline]] void change_shape(std::size_t head) noexcept {
    if (head != tail_.load(std::memory_order_acquire)) return;
    const Shape wanted = wanted_.load(std::memory_order_relaxed);
    if (auto* slots = new (std::nothrow) SpanRecord*[wanted.capacity]; slots != nullptr) {
      slots_.reset(slots);
      shape_ = wanted;
    }
  }

  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t tail_seen_ = 0;
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t head_seen_ = 0;
  // Read by both sides, written by neither unless the shape changes.
  alignas(64) std::unique_ptr<SpanRecord*[]> slots_;
  Shape shape_;
  std::atomic<Shape> wanted_{Shape{}};
};

}  // namespace v1
}  // namespace midtrace
