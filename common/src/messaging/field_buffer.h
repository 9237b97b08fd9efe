// FieldBuffer: collects what a propagator injects, so that it is complete and its size known before a message
// is touched.
//
// A second value of a name replaces the first. What it gives out is valid until the next set() or clear().
// Nothing throws; one thread at a time. Source: conventions 7.6.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <midtrace/context/baggage.h>
#include <midtrace/propagation/carrier.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

class FieldBuffer final : public CarrierWriter {
 public:
  struct Field {
    const char* name;  // with a terminating NUL
    std::size_t name_length;
    const char* value;
    std::size_t value_length;
  };

  void clear() noexcept;
  void set(std::string_view name, std::string_view value) noexcept override;

  // False when something could not be kept; then nothing must be sent.
  bool complete() const noexcept { return !failed_; }
  std::size_t size() const noexcept { return count_; }
  Field operator[](std::size_t index) const noexcept;
  bool contains(std::string_view name) const noexcept;
  // Whether any field belongs to the trace context, so that an old one in the message has to go.
  bool has_context() const noexcept;
  // Whether any field is none of `fields`: Jaeger's baggage has no fixed names.
  bool has_others(std::span<const std::string_view> fields) const noexcept;
  // Of all names and values that were set, with a NUL after each name.
  std::size_t text_bytes() const noexcept { return length_; }

 private:
  // Every propagator's at once, and a header for each member of a full Baggage.
  static constexpr std::size_t max_fields = Baggage::max_members + 16;

  struct Place {
    std::uint32_t name;
    std::uint32_t name_length;
    std::uint32_t value;
    std::uint32_t value_length;
  };

  std::string_view name_of(const Place& place) const noexcept {
    return {text() + place.name, place.name_length};
  }
  const char* text() const noexcept { return large_.empty() ? small_.data() : large_.data(); }
  // Room for so many more bytes, or null.
  char* extend(std::size_t bytes) noexcept;

  std::size_t length_ = 0;
  std::size_t count_ = 0;
  bool failed_ = false;
  std::string large_;  // instead of `small_`, unless empty
  // A trace context fits into the object; baggage may take more.
  std::array<char, 256> small_;
  std::array<Place, max_fields> places_;
};

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
