// Outstanding: which of the messages published on a channel in confirm mode the broker has not confirmed yet.
//
// One bit for each message from the oldest unconfirmed one on; publishing and confirming cost O(1), a
// `multiple` confirm one step for 64 messages. Beyond max_outstanding the oldest are given up, as if they
// were confirmed, and counted, so that an application that never reads its confirms does not gather memory.
// Not thread-safe. Source: RabbitMQ, Publisher Confirms (sequence numbers begin at 1).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

class Outstanding {
 public:
  static constexpr std::uint64_t max_outstanding = std::uint64_t{1} << 22U;

  // The sequence number of a message that was just published.
  std::uint64_t add() noexcept {
    const std::uint64_t sequence = next_++;
    ++count_;
    while (next_ - first() > words_.size() * bits) {
      if (words_.size() < max_words && grow()) break;
      give_up_oldest();
    }
    return sequence;
  }

  // How many messages this confirm is about, that none was before. Tag 0 with `multiple` means all.
  std::uint64_t confirm(std::uint64_t tag, bool multiple) noexcept {
    if (tag == 0 && multiple) tag = next_ - 1;
    if (tag < base_ || tag >= next_) return 0;
    std::uint64_t confirmed = 0;
    if (multiple) {
      confirmed = take_up_to(tag);
    } else {
      std::uint64_t& word = word_of(tag);
      const std::uint64_t bit = std::uint64_t{1} << (tag % bits);
      if ((word & bit) != 0) return 0;
      word |= bit;
      confirmed = 1;
    }
    count_ -= confirmed;
    while (base_ < next_ && (word_of(base_) & (std::uint64_t{1} << (base_ % bits))) != 0)
      step();
    return confirmed;
  }

  // Whether a message of this number was published. A confirm of another one is not about what is counted
  // here.
  bool knows(std::uint64_t tag) const noexcept { return tag < next_; }
  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t given_up() const noexcept { return given_up_; }
  // How many were since this was asked.
  std::uint64_t take_given_up() noexcept { return std::exchange(given_up_, 0); }

 private:
  static constexpr std::uint64_t bits = 64;
  static constexpr std::size_t max_words = max_outstanding / bits;

  // Where the words begin.
  std::uint64_t first() const noexcept { return base_ - base_ % bits; }
  std::uint64_t& word_of(std::uint64_t sequence) noexcept {
    return words_[(sequence / bits) & (words_.size() - 1)];
  }
  // The oldest is confirmed. A word that was left is clean for the message that comes round to it.
  void step() noexcept {
    const std::uint64_t left = base_++;
    if (base_ % bits == 0) word_of(left) = 0;
  }

  std::uint64_t take_up_to(std::uint64_t tag) noexcept {
    std::uint64_t taken = 0;
    while (base_ <= tag) {
      const std::uint64_t offset = base_ % bits;
      const std::uint64_t width = bits - offset <= tag - base_ + 1 ? bits - offset : tag - base_ + 1;
      const std::uint64_t ones =
          width == bits ? std::numeric_limits<std::uint64_t>::max() : (std::uint64_t{1} << width) - 1;
      std::uint64_t& word = word_of(base_);
      taken += width - static_cast<std::uint64_t>(std::popcount(word & (ones << offset)));
      word |= ones << offset;
      base_ += width;
      if (base_ % bits == 0) word = 0;
    }
    return taken;
  }

  void give_up_oldest() noexcept {
    if (words_.empty()) {
      given_up_ += count_;
      count_ = 0;
      base_ = next_;
      return;
    }
    const std::uint64_t lost = take_up_to(first() + bits - 1);
    given_up_ += lost;
    count_ -= lost;
  }

  bool grow() noexcept {
    try {
      std::vector<std::uint64_t> larger(words_.empty() ? 4 : words_.size() * 2);
      for (std::uint64_t at = first(); at + 1 < next_ && !words_.empty(); at += bits) {
        if (at - first() >= words_.size() * bits) break;
        larger[(at / bits) & (larger.size() - 1)] = word_of(at);
      }
      words_ = std::move(larger);
      return true;
    } catch (...) {
      return false;
    }
  }

  std::vector<std::uint64_t> words_;  // a power of two, or none; a bit is set once its message is confirmed
  std::uint64_t base_ = 1;            // the oldest that is not
  std::uint64_t next_ = 1;
  std::uint64_t count_ = 0;
  std::uint64_t given_up_ = 0;
};

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
