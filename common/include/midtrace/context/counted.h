// CountedPointer: the reference to an immutable, intrusively counted block that contexts share.
//
// It is null in the usual case (no tracestate, no baggage), and then copying costs one branch. The block
// behind it is never written after it was made, so any number of threads may hold and read it; the count is
// atomic. The block type supplies `void retain() const noexcept` and `void release() const noexcept`.
#pragma once

#include <utility>

namespace midtrace {
inline namespace v1 {

template <class Block>
class CountedPointer {
 public:
  constexpr CountedPointer() noexcept = default;
  // Takes over the reference that `block` was made with.
  static CountedPointer adopt(const Block* block) noexcept {
    CountedPointer result;
    result.block_ = block;
    return result;
  }
  CountedPointer(const CountedPointer& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->retain();
  }
  CountedPointer(CountedPointer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  CountedPointer& operator=(CountedPointer other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~CountedPointer() {
    if (block_ != nullptr) block_->release();
  }

  const Block* get() const noexcept { return block_; }
  const Block* operator->() const noexcept { return block_; }
  explicit operator bool() const noexcept { return block_ != nullptr; }

 private:
  const Block* block_ = nullptr;
};

}  // namespace v1
}  // namespace midtrace
