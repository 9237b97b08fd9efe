// TraceState: the ordered list of vendor members that travels beside the trace id.
//
// An immutable value; copying it copies a pointer (null when empty). At most 32 members; a key is 1 to 256
// characters of [a-z0-9_-*/@] that begins with [a-z0-9], a value 1 to 256 printable ASCII characters without
// ',' and '=', not ending in a space. Nothing here throws; an invalid change, or one for which there is no
// memory, returns the value unchanged. Every function may be called from any thread. Source: W3C Trace
// Context, section 3.3; conventions 7.2.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include <midtrace/context/counted.h>
#include <midtrace/context/function_ref.h>

namespace midtrace {
inline namespace v1 {

class TraceState {
 public:
  static constexpr std::size_t max_members = 32;
  // What is sent at the most, in characters including the commas (the least that W3C asks every participant
  // to forward).
  static constexpr std::size_t send_budget = 512;

  constexpr TraceState() noexcept = default;

  // Reads one or several header lines, already joined by ','. Empty members are skipped, space and tab around
  // members trimmed, of duplicate keys the first stays. Any other invalid syntax, or more than 32 members,
  // gives an empty list.
  static TraceState parse(std::string_view header) noexcept;

  bool empty() const noexcept { return !block_; }
  std::size_t size() const noexcept;
  // The view lives as long as any copy of this value.
  std::optional<std::string_view> get(std::string_view key) const noexcept;
  // The changed or new member moves to the front; a 33rd drops the rightmost.
  TraceState with(std::string_view key, std::string_view value) const noexcept;
  TraceState without(std::string_view key) const noexcept;

  // All members as `key=value,key=value`, in order, without spaces.
  std::string_view header() const noexcept;
  // The same cut to `budget` characters by whole members: first those longer than 128 characters, then from
  // the right. Writes into `out`, which must hold `budget` characters, and returns how many were written.
  std::size_t write(char* out, std::size_t budget = send_budget) const noexcept;

  void for_each(FunctionRef<void(std::string_view key, std::string_view value)> visit) const;

  friend bool operator==(const TraceState& a, const TraceState& b) noexcept {
    return a.header() == b.header();
  }

  class Block;

 private:
  explicit TraceState(CountedPointer<Block> block) noexcept : block_(std::move(block)) {}
  // Of `key=value` members that are known to be right; nullopt when there is no memory.
  static std::optional<TraceState> make(std::span<const std::string_view> members) noexcept;

  CountedPointer<Block> block_;
};

// The immutable text behind a TraceState; made by TraceState only.
class TraceState::Block {
 public:
  void retain() const noexcept;
  void release() const noexcept;

 private:
  friend class TraceState;
  Block() noexcept = default;
  mutable unsigned references_ = 1;  // accessed through std::atomic_ref only
  unsigned members_ = 0;
  std::size_t length_ = 0;
  // The text follows the object in the same allocation.
};

}  // namespace v1
}  // namespace midtrace
