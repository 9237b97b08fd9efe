// Baggage: name/value pairs of the application that travel with the context.
//
// An immutable value; copying it copies a pointer (null when empty). Names and values are case-sensitive
// UTF-8; a name occurs once (the last set wins) and may carry one opaque metadata string (the W3C
// properties). Limits hold for every Baggage, however it was made: at most 64 members and 8192 bytes of
// names, values and metadata; a change beyond them leaves the value as it was. Nothing throws; every function
// may be called from any thread. Source: OpenTelemetry Baggage API; W3C Baggage; conventions 7.3.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <midtrace/context/counted.h>
#include <midtrace/context/function_ref.h>

namespace midtrace {
inline namespace v1 {

class Baggage {
 public:
  static constexpr std::size_t max_members = 64;
  static constexpr std::size_t max_bytes = 8192;

  struct Member {
    std::string_view name;
    std::string_view value;
    std::string_view metadata;  // `prop1;prop2=v`, empty when there is none
  };

  constexpr Baggage() noexcept = default;

  bool empty() const noexcept { return !block_; }
  std::size_t size() const noexcept;
  // The views live as long as any copy of this value.
  std::optional<std::string_view> get(std::string_view name) const noexcept;
  std::optional<Member> find(std::string_view name) const noexcept;
  Baggage with(std::string_view name, std::string_view value, std::string_view metadata = {}) const noexcept;
  Baggage without(std::string_view name) const noexcept;
  // The members that `wanted` accepts by their names. Empty when there is no memory to drop some.
  Baggage only(FunctionRef<bool(std::string_view name)> wanted) const noexcept;
  void for_each(FunctionRef<void(const Member&)> visit) const;

  friend bool operator==(const Baggage& a, const Baggage& b) noexcept;

  class Block;

 private:
  friend class BaggageBuilder;
  explicit Baggage(CountedPointer<Block> block) noexcept : block_(std::move(block)) {}

  CountedPointer<Block> block_;
};

// The immutable members behind a Baggage.
class Baggage::Block {
 public:
  void retain() const noexcept;
  void release() const noexcept;

 private:
  friend class Baggage;
  friend class BaggageBuilder;
  Block() noexcept = default;
  mutable unsigned references_ = 1;  // accessed through std::atomic_ref only
  unsigned size_ = 0;
  // `size_` members and then their text follow the object in the same allocation.
};

}  // namespace v1
}  // namespace midtrace
