#include "received.h"

#include <algorithm>
#include <bit>

#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

void let_in(IncomingContext incoming, Context& received) noexcept {
  switch (incoming) {
    case IncomingContext::continue_trace:
      break;
    case IncomingContext::restart:
      // It can be linked; its decision is not followed, and without ids there is nothing but that.
      if (received.span.valid()) {
        received.span.flags.bits |= TraceFlags::deferred_bit;
      } else {
        received.span = SpanContext();
      }
      break;
    case IncomingContext::ignore:
      received = Context();
      break;
  }
}

bool RecentContexts::contains(std::uint64_t print) const noexcept {
  return print != 0 && std::find(prints_.begin(), prints_.end(), print) != prints_.end();
}

std::size_t RecentContexts::find(const void* message) const noexcept {
  // Newest first, because client libraries reuse the memory of destroyed messages.
  for (std::size_t age = 1; age <= capacity; ++age) {
    const std::size_t index = (next_ + capacity - age) % capacity;
    if (messages_[index] == message) return index;
  }
  return capacity;
}

std::uint64_t RecentContexts::client_of(const void* message) const noexcept {
  const std::size_t index = find(message);
  return index < capacity ? clients_[index] : 0;
}

std::uint64_t RecentContexts::tick_of(const void* message, std::uint64_t print) const noexcept {
  const std::size_t index = find(message);
  return index < capacity && prints_[index] == print ? ticks_[index] : 0;
}

std::shared_ptr<const ReceivedContexts> ReceivedContexts::make(
    std::span<const std::uint64_t> prints) noexcept {
  try {
    auto contexts = std::make_shared<ReceivedContexts>();
    const std::size_t capacity = std::bit_ceil(prints.size() * 2 + 2);
    contexts->slots_ = std::make_unique<std::uint64_t[]>(capacity);
    contexts->mask_ = capacity - 1;
    contexts->shift_ = 64 - std::countr_zero(capacity);
    contexts->seed_ = seeded_hash(current_tick(), reinterpret_cast<std::uintptr_t>(contexts->slots_.get()));
    for (const std::uint64_t print : prints) {
      if (print == 0) continue;
      std::size_t index = contexts->slot_of(print);
      while (contexts->slots_[index] != 0 && contexts->slots_[index] != print)
        index = (index + 1) & contexts->mask_;
      contexts->slots_[index] = print;
    }
    return contexts;
  } catch (...) {
    return nullptr;
  }
}

std::size_t ReceivedContexts::longest_run() const noexcept {
  std::size_t longest = 0;
  for (std::size_t index = 0, run = 0; index <= mask_; ++index) {
    run = slots_[index] != 0 ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

bool ReceivedContexts::contains(std::uint64_t print) const noexcept {
  if (print == 0) return false;
  for (std::size_t index = slot_of(print); slots_[index] != 0; index = (index + 1) & mask_) {
    if (slots_[index] == print) return true;
  }
  return false;
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
