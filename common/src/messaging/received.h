// Which trace contexts were received: what decides whether a context in outgoing headers is the application's
// own or was only copied along by a forward (D22).
//
// A context is remembered as a 64-bit fingerprint of its ids and of what the receiver made of it; 0 stands
// for none. RecentContexts keeps the last 256 messages of one thread, of all messaging modules, and knows a
// message by its address, which its module gives a meaning. ReceivedContexts keeps those of a batch in a hash
// set that is immutable once made. Nothing throws.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <midtrace/context/context.h>
#include <midtrace/context/span_context.h>
#include <midtrace/propagation/incoming.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

inline std::uint64_t fingerprint(const SpanContext& context,
                                 IncomingContext incoming = IncomingContext::continue_trace) noexcept {
  if (!context.valid()) return 0;
  std::uint64_t mixed = context.span_id.value;
  mixed = (mixed ^ (mixed >> 32U) ^ context.trace_id.low) * 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ (mixed >> 29U) ^ context.trace_id.high) * 0xBF58476D1CE4E5B9U;
  return (mixed & ~std::uint64_t{3}) | (static_cast<std::uint64_t>(incoming) + 1);
}

// What is left of a received context, and its baggage, where the receiver treats it so. Its fingerprint is
// taken before.
void let_in(IncomingContext incoming, Context& received) noexcept;

// For hash tables of what comes from outside: whoever chose the values cannot know where they go.
inline std::uint64_t seeded_hash(std::uint64_t value, std::uint64_t seed) noexcept {
  value = (value ^ seed) * 0x9E3779B97F4A7C15U;
  return (value ^ (value >> 32U)) * 0xD6E8FEB86659FD93U;
}

class RecentContexts {
 public:
  void add(std::uint64_t print, const void* message, std::uint64_t client, std::uint64_t tick = 0) noexcept {
    prints_[next_] = print;
    messages_[next_] = message;
    clients_[next_] = client;
    ticks_[next_] = tick;
    next_ = (next_ + 1) % capacity;
  }
  bool contains(std::uint64_t print) const noexcept;
  // The client that this message came from, or 0 when it was not received here.
  std::uint64_t client_of(const void* message) const noexcept;
  // When this message was received, or 0 when that is not known.
  std::uint64_t tick_of(const void* message, std::uint64_t print) const noexcept;

 private:
  static constexpr std::size_t capacity = 256;
  // Where this message stands, or `capacity`.
  std::size_t find(const void* message) const noexcept;

  std::array<std::uint64_t, capacity> prints_{};
  std::array<const void*, capacity> messages_{};
  std::array<std::uint64_t, capacity> clients_{};
  std::array<std::uint64_t, capacity> ticks_{};
  std::size_t next_ = 0;
};

class ReceivedContexts {
 public:
  // Null when there is no memory for it.
  static std::shared_ptr<const ReceivedContexts> make(std::span<const std::uint64_t> prints) noexcept;
  bool contains(std::uint64_t print) const noexcept;
  // Of slots that are taken; a search looks at no more of them. For tests.
  std::size_t longest_run() const noexcept;

 private:
  // The hash's highest bits are the slot.
  std::size_t slot_of(std::uint64_t print) const noexcept { return seeded_hash(print, seed_) >> shift_; }

  std::unique_ptr<std::uint64_t[]> slots_;
  std::size_t mask_ = 0;
  int shift_ = 0;
  std::uint64_t seed_ = 0;
};

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
