// AMQP 0-9-1 field tables: what they take on the wire, and the carrier that reads them.
//
// Sizes are the bytes that rabbitmq-c encodes. They are known only for what it encodes faithfully: unknown
// field kinds, names over 255 bytes, values over 4 GiB, null pointers with a length, and nesting beyond 100
// (where its later versions refuse to decode) have none, and a message with such a table must be left alone.
// A header frame whose payload exceeds frame_max - 8 closes the connection.
//
// TableReader scans a table once and remembers the propagation fields in it, so that extraction from
// thousands of entries stays linear. Values of the kinds S and x are text, as they came, NULs included; every
// other kind and an empty name count as absent; names are compared case-sensitively. The table must not
// change while the reader or a view that it gave out is in use. Nothing here throws or allocates; any thread,
// one reader by one thread at a time. Source: AMQP 0-9-1, 4.2.5.5 with RabbitMQ's errata; conventions 7.6.
#pragma once

#include <midtrace/amqp/library.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <midtrace/context/context.h>
#include <midtrace/propagation/carrier.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// Empty for a null pointer, whatever the length says.
std::string_view text_of(const amqp_bytes_t& bytes) noexcept;
// The entries, none for a null pointer or a negative count.
std::span<const amqp_table_entry_t> entries_of(const amqp_table_t& table) noexcept;
// The value of an S or x field.
std::optional<std::string_view> text_of(const amqp_field_value_t& value) noexcept;

// A name, and a value with its kind.
std::optional<std::size_t> encoded_entry_bytes(const amqp_table_entry_t& entry) noexcept;
// All entries, and the four bytes of the table's own size.
inline constexpr std::size_t empty_table_bytes = 4;
std::optional<std::size_t> encoded_table_bytes(const amqp_table_t& table) noexcept;

// The payload of the header frame that carries `properties` (may be null), with a headers table that takes
// `table_bytes` instead of theirs; without headers when `table_bytes` is 0. None when rabbitmq-c would refuse
// a property.
std::optional<std::size_t> header_frame_payload_bytes(const amqp_basic_properties_t* properties,
                                                      std::size_t table_bytes) noexcept;
// With the headers that the properties have.
std::optional<std::size_t> header_frame_payload_bytes(const amqp_basic_properties_t* properties) noexcept;

// The headers of a message; null when it has none.
const amqp_table_t* headers_of(const amqp_basic_properties_t* properties) noexcept;

class TableReader final : public CarrierReader {
 public:
  // `fields` are the names of the propagator (static storage). `table` may be null. With `measure` the sizes
  // on the wire are added up too.
  TableReader(const amqp_table_t* table, std::span<const std::string_view> fields, bool measure) noexcept;

  void get_all(std::string_view name,
               FunctionRef<bool(std::string_view value)> visit) const noexcept override;
  void for_each(
      FunctionRef<bool(std::string_view name, std::string_view value)> visit) const noexcept override;

  // Whether any entry, of any kind, is named like a propagation field.
  bool has_fields() const noexcept { return present_ != 0; }
  std::span<const amqp_table_entry_t> entries() const noexcept { return entries_; }
  std::span<const std::string_view> fields() const noexcept { return fields_; }
  // The whole table as it is; the size of an empty one for no table. None unless measured, and when the table
  // must be left alone.
  std::optional<std::size_t> wire_bytes() const noexcept { return wire_bytes_; }
  // Those of them that are propagation fields, without baggage: they go when a new context is written.
  std::size_t context_wire_bytes() const noexcept { return context_wire_bytes_; }

 private:
  static constexpr std::size_t remembered = 12;
  static constexpr std::size_t max_fields = 32;

  // Without initializers: each reader would clear them all.
  struct Found {
    std::size_t field;
    const char* value;
    std::size_t size;
  };

  std::span<const amqp_table_entry_t> entries_;
  std::span<const std::string_view> fields_;
  std::optional<std::size_t> wire_bytes_;
  std::size_t context_wire_bytes_ = 0;
  std::uint32_t present_ = 0;  // one bit for each field
  std::uint8_t found_count_ = 0;
  bool overflow_ = false;  // more than `remembered`: get_all scans the table
  std::array<Found, remembered> found_;
};

// The context that a message carries, by the propagator in use; empty when it has no headers.
Context carried_context(const amqp_basic_properties_t* properties) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
