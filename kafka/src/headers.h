// The carrier on Kafka record headers.
//
// HeadersReader scans a list once and remembers the propagation fields in it, so that extraction from
// thousands of headers stays linear. Values are bytes as they came, NULs included; a null value counts as
// absent; names are compared case-sensitively. The list must not change while the reader or a view that it
// gave out is in use. FieldBuffer collects what a propagator injects, so that its size on the wire is known
// before the message is touched. Nothing here throws; one thread at a time. Source: conventions 7.6; Kafka
// record format (headers).
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <midtrace/context/context.h>
#include <midtrace/propagation/carrier.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

// Bytes that a header takes in a record: names, values and their variable-length sizes.
std::size_t header_wire_bytes(std::size_t name_length, std::size_t value_length) noexcept;

class HeadersReader final : public CarrierReader {
 public:
  // `fields` are the names of the propagator (static storage). `headers` may be null.
  // With `measure` the size of all headers on the wire is added up too.
  HeadersReader(const rd_kafka_headers_t* headers, std::span<const std::string_view> fields,
                bool measure) noexcept;

  void get_all(std::string_view name,
               FunctionRef<bool(std::string_view value)> visit) const noexcept override;
  void for_each(
      FunctionRef<bool(std::string_view name, std::string_view value)> visit) const noexcept override;

  // Whether any header is named like a propagation field, a null value included.
  bool has_fields() const noexcept { return present_ != 0; }
  // All headers together; 0 unless measured.
  std::size_t wire_bytes() const noexcept { return wire_bytes_; }
  // Those of them that are propagation fields, without baggage.
  std::size_t context_wire_bytes() const noexcept { return context_wire_bytes_; }

 private:
  static constexpr std::size_t remembered = 12;
  static constexpr std::size_t max_fields = 32;

  struct Found {
    std::size_t field;
    const char* value;
    std::size_t size;
  };

  const rd_kafka_headers_t* headers_;
  std::span<const std::string_view> fields_;
  std::size_t wire_bytes_ = 0;
  std::size_t context_wire_bytes_ = 0;
  std::uint32_t present_ = 0;  // one bit for each field
  std::uint8_t found_count_ = 0;
  bool overflow_ = false;  // more than `remembered`: get_all scans the list
  std::array<Found, remembered> found_;
};

// The context that a consumed message carries, by the propagator in use; empty when it has no headers.
Context carried_context(const rd_kafka_message_t* message) noexcept;

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
  std::size_t wire_bytes() const noexcept;
  // Whether wire_bytes() is at most `room`; most contexts are far from it.
  bool fits(std::size_t room) const noexcept {
    return length_ + count_ * most_length_bytes <= room || wire_bytes() <= room;
  }

 private:
  // Every propagator's at once, and a header for each member of a full Baggage.
  static constexpr std::size_t max_fields = Baggage::max_members + 16;
  static constexpr std::size_t most_length_bytes = 20;  // of a field's two lengths

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

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
