// The carrier on Kafka record headers.
//
// HeadersReader scans a list once and remembers the propagation fields in it, so that extraction from
// thousands of headers stays linear. Values are bytes as they came, NULs included; a null value counts as
// absent; names are compared case-sensitively. The list must not change while the reader or a view that it
// gave out is in use. Nothing here throws; one thread at a time. Source: conventions 7.6; Kafka record format
// (headers).
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "messaging/field_buffer.h"

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

// What the collected fields take as headers of a record.
std::size_t wire_bytes(const messaging::FieldBuffer& fields) noexcept;
// Whether that is at most `room`; most contexts are far from it.
inline bool fit(const messaging::FieldBuffer& fields, std::size_t room) noexcept {
  constexpr std::size_t most_length_bytes = 20;  // of a field's two lengths
  return fields.text_bytes() + fields.size() * most_length_bytes <= room || wire_bytes(fields) <= room;
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
