// BaggageBuilder: gathers members, as views, and makes a Baggage of them in one allocation.
//
// It keeps the limits. A name occurs once: a later member replaces an earlier one in its place. Values from a
// header may be given as they are; they are percent-decoded when the Baggage is made. The views must live
// until then. Belongs to one thread; nothing throws. Source: W3C Baggage, section 3.3; conventions 7.3.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include <midtrace/context/baggage.h>

namespace midtrace {
inline namespace v1 {

// Decodes `%XX` in `text`; sequences that are not UTF-8 become U+FFFD, a '%' without two hex digits stays.
// `text` must be ASCII; then `out` needs at most as many bytes as `text` has. Returns how many were written.
std::size_t percent_decode(std::string_view text, char* out) noexcept;

class BaggageBuilder {
 public:
  // What the byte limit counts: the texts of the members, or the header that holds them, separators included.
  enum class Measure { texts, header };
  enum class Value { plain, percent_encoded };

  explicit BaggageBuilder(Measure measure) noexcept : measure_(measure) {}

  // False, and nothing changes, when it would go over a limit.
  bool set(const Baggage::Member& member, Value form) noexcept;
  void set_all(const Baggage& baggage) noexcept;
  void remove(std::string_view name) noexcept;
  std::size_t size() const noexcept { return size_; }

  // False when there is no memory; then `baggage` stays as it was.
  bool build(Baggage& baggage) const noexcept;

 private:
  struct Entry {
    Baggage::Member member;
    Value form = Value::plain;
  };

  std::size_t bytes_of(const Baggage::Member& member) const noexcept;
  std::size_t index_of(std::string_view name) const noexcept;  // size_ when there is none

  std::array<Entry, Baggage::max_members> entries_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  Measure measure_;
};

}  // namespace v1
}  // namespace midtrace
