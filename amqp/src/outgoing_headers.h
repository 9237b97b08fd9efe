// The headers that a message is published with: a shallow copy of the caller's entries and ours behind them.
//
// Entries of the caller's make way when one of the same name is written, and, when a new trace context is
// written, when they belong to the propagator's format; old baggage stays unless replaced. All others keep
// their order, kinds and bytes. Names and values are shared, nested tables and arrays by pointer: nothing of
// the caller's is changed or copied, so the result is valid as long as the caller's table and the field
// buffer are, and until the next build. In steady state nothing is allocated. Nothing throws; one thread at a
// time. Source: conventions 7.6.
#pragma once

#include <midtrace/amqp/library.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace midtrace {
inline namespace v1 {
namespace messaging {
class FieldBuffer;
}

namespace amqp {
namespace detail {

class TableReader;

// What the fields take in a table, without the four bytes of the table's own size.
std::size_t encoded_fields_bytes(const messaging::FieldBuffer& fields) noexcept;
// What a build of the two will take, from a reader that has measured: exact, or more where baggage or a name
// that is no propagation field is replaced. None where a build fails.
std::optional<std::size_t> most_outgoing_bytes(const TableReader& caller,
                                               const messaging::FieldBuffer& fields) noexcept;

class OutgoingHeaders {
 public:
  // From a reader that has measured. False, and then an empty table, when the caller's has no size, when the
  // buffer is incomplete or one of its names is longer than 255 bytes, and without memory.
  bool build(const TableReader& caller, const messaging::FieldBuffer& fields) noexcept;

  amqp_table_t table() noexcept;
  // The encoded size of table().
  std::size_t wire_bytes() const noexcept { return wire_bytes_; }

 private:
  // More entries than this are not kept for the next message.
  static constexpr std::size_t kept_entries = 1024;

  bool add_all(const TableReader& caller, const messaging::FieldBuffer& fields);

  std::vector<amqp_table_entry_t> entries_;
  std::size_t wire_bytes_ = 4;
};

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
