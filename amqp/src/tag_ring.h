// TagRing: entries by a number that only grows (delivery tags, publish sequence numbers), for what is open on
// one channel.
//
// Appending and taking the oldest cost O(1), finding one O(log n), all without allocation while the ring does
// not grow. Entries that are taken out of the middle leave a hole; holes are squeezed out before they are
// more than half, so that one old entry does not keep the memory of millions. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

template <class Entry>
class TagRing {
 public:
  explicit TagRing(std::size_t most) noexcept : most_(most) {}

  std::size_t size() const noexcept { return live_; }
  bool empty() const noexcept { return live_ == 0; }

  // False when the tag does not grow, there are too many, or there is no memory; the entry is untouched then.
  bool append(std::uint64_t tag, Entry& entry) noexcept {
    if (live_ >= most_ || (used_ > 0 && tag <= at(used_ - 1).tag)) return false;
    if (used_ == slots_.size()) {
      if (used_ - live_ > used_ / 2) {
        squeeze();
      } else if (!grow()) {
        return false;
      }
    }
    Slot& slot = at(used_);
    slot.tag = tag;
    slot.live = true;
    slot.entry = std::move(entry);
    ++used_;
    ++live_;
    return true;
  }

  // Null when there is none. Valid until the ring changes.
  Entry* find(std::uint64_t tag) noexcept {
    const std::size_t index = position(tag);
    return index < used_ && at(index).tag == tag && at(index).live ? &at(index).entry : nullptr;
  }

  // Calls visit(tag, entry) for the live ones up to this tag, oldest first.
  template <class Visit>
  void visit_up_to(std::uint64_t last, const Visit& visit) {
    for (std::size_t index = 0; index < used_ && at(index).tag <= last; ++index) {
      if (at(index).live) visit(at(index).tag, at(index).entry);
    }
  }

  // Calls visit(tag, entry) for the live ones from this tag on, until it returns false.
  template <class Visit>
  void visit_from(std::uint64_t first, const Visit& visit) {
    for (std::size_t index = position(first); index < used_; ++index) {
      if (at(index).live && !visit(at(index).tag, at(index).entry)) return;
    }
  }

  // Takes one out; false when there is none.
  bool take(std::uint64_t tag, Entry& entry) noexcept {
    const std::size_t index = position(tag);
    if (index >= used_ || at(index).tag != tag || !at(index).live) return false;
    entry = std::move(at(index).entry);
    remove(index);
    return true;
  }
  // Takes the oldest one out if its tag is not beyond `last`.
  bool take_oldest(std::uint64_t last, Entry& entry) noexcept {
    drop_holes();
    if (used_ == 0 || at(0).tag > last) return false;
    entry = std::move(at(0).entry);
    remove(0);
    return true;
  }

  std::size_t capacity() const noexcept { return slots_.size(); }

 private:
  struct Slot {
    std::uint64_t tag = 0;
    bool live = false;
    Entry entry{};
  };

  static constexpr std::size_t small = 64;  // entries; a ring that became larger is freed once it is empty

  Slot& at(std::size_t index) noexcept { return slots_[(first_ + index) & (slots_.size() - 1)]; }

  // The first whose tag is not less.
  std::size_t position(std::uint64_t tag) noexcept {
    // Nearly always the oldest, or they are all there and the distance tells.
    if (used_ == 0 || tag <= at(0).tag) return 0;
    const std::uint64_t distance = tag - at(0).tag;
    if (distance < used_ && at(distance).tag == tag) return distance;
    std::size_t low = 0;
    std::size_t high = used_;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (at(middle).tag < tag) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  void remove(std::size_t index) noexcept {
    Slot& slot = at(index);
    slot.live = false;  // what was moved out holds nothing, and the next entry is moved over it
    --live_;
    drop_holes();
  }

  void drop_holes() noexcept {
    while (used_ > 0 && !at(0).live) {
      first_ = (first_ + 1) & (slots_.size() - 1);
      --used_;
    }
    if (used_ == 0 && slots_.size() > small * 64) {
      slots_ = std::vector<Slot>();
      first_ = 0;
    }
  }

  void squeeze() noexcept {
    std::size_t kept = 0;
    for (std::size_t index = 0; index < used_; ++index) {
      if (!at(index).live) continue;
      if (kept != index) {
        at(kept) = std::move(at(index));
        at(index).live = false;
        at(index).entry = Entry{};
      }
      ++kept;
    }
    used_ = kept;
  }

  bool grow() noexcept {
    try {
      std::vector<Slot> larger(std::max<std::size_t>(slots_.size() * 2, small));
      std::size_t kept = 0;
      for (std::size_t index = 0; index < used_; ++index) {
        if (at(index).live) larger[kept++] = std::move(at(index));
      }
      slots_ = std::move(larger);
      first_ = 0;
      used_ = kept;
      return true;
    } catch (...) {
      return false;
    }
  }

  std::vector<Slot> slots_;  // a power of two, or none
  std::size_t first_ = 0;
  std::size_t used_ = 0;  // slots from the first to the last, holes included
  std::size_t live_ = 0;
  std::size_t most_;
};

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
