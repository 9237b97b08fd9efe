// Ring: a queue whose places are used again, so that it allocates only when it becomes longer than ever.
//
// Bounded by the number it was made with. An element that comes in again is as it went out: whoever adds one
// sets it. The constructor may throw for lack of memory, nothing else does; one thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

template <class Element>
class Ring {
 public:
  explicit Ring(std::size_t most) : most_(most), places_(1) {}

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  Element& front() noexcept { return places_[first_]; }
  Element& back() noexcept { return places_[(first_ + size_ - 1) % places_.size()]; }

  // A place at the end; null when the ring is full, or there is no memory for a larger one.
  Element* add() noexcept {
    if (size_ == places_.size() && !grow()) return nullptr;
    ++size_;
    return &back();
  }
  void remove_front() noexcept {
    first_ = (first_ + 1) % places_.size();
    --size_;
  }
  void clear() noexcept { size_ = 0; }

 private:
  bool grow() noexcept {
    if (size_ >= most_) return false;
    try {
      std::vector<Element> larger(std::min(most_, 2 * size_));
      for (std::size_t index = 0; index < size_; ++index)
        larger[index] = std::move(places_[(first_ + index) % places_.size()]);
      places_.swap(larger);
      first_ = 0;
      return true;
    } catch (...) {
      return false;
    }
  }

  std::size_t most_;
  std::vector<Element> places_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
