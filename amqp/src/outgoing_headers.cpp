#include "outgoing_headers.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "messaging/field_buffer.h"
#include "table.h"

#include <midtrace/propagation/propagator.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

using messaging::FieldBuffer;

constexpr std::size_t max_name = 255;

// The library takes no pointers to const, and changes nothing.
amqp_bytes_t shared(const char* text, std::size_t length) noexcept {
  return {length, const_cast<char*>(text)};
}

std::size_t encoded_bytes(const FieldBuffer::Field& field) noexcept {
  return 1 + field.name_length + 1 + 4 + field.value_length;  // lengths, and the kind
}

bool fit_a_table(const FieldBuffer& fields) noexcept {
  for (std::size_t index = 0; index < fields.size(); ++index)
    if (fields[index].name_length > max_name) return false;
  return true;
}

bool makes_way(std::string_view name, std::span<const std::string_view> format, const FieldBuffer& fields,
               bool replaces_context) noexcept {
  if (name.empty()) return false;
  if (fields.contains(name)) return true;
  return replaces_context && !is_baggage_field(name) &&
         std::find(format.begin(), format.end(), name) != format.end();
}

}  // namespace

std::size_t encoded_fields_bytes(const FieldBuffer& fields) noexcept {
  std::size_t bytes = 0;
  for (std::size_t index = 0; index < fields.size(); ++index)
    bytes += encoded_bytes(fields[index]);
  return bytes;
}

std::optional<std::size_t> most_outgoing_bytes(const TableReader& caller,
                                               const FieldBuffer& fields) noexcept {
  if (!caller.wire_bytes().has_value() || !fields.complete() || !fit_a_table(fields)) return std::nullopt;
  const std::size_t gone = fields.has_context() ? caller.context_wire_bytes() : 0;
  return *caller.wire_bytes() - gone + encoded_fields_bytes(fields);
}

bool OutgoingHeaders::build(const TableReader& caller, const FieldBuffer& fields) noexcept {
  entries_.clear();
  wire_bytes_ = empty_table_bytes;
  try {
    if (caller.wire_bytes().has_value() && fields.complete() && fit_a_table(fields) &&
        add_all(caller, fields))
      return true;
  } catch (...) {
  }
  entries_.clear();
  wire_bytes_ = empty_table_bytes;
  return false;
}

bool OutgoingHeaders::add_all(const TableReader& caller, const FieldBuffer& fields) {
  const std::size_t most = caller.entries().size() + fields.size();
  if (most > static_cast<std::size_t>(std::numeric_limits<int>::max())) return false;
  if (most <= kept_entries && entries_.capacity() > kept_entries) {
    std::vector<amqp_table_entry_t> smaller;
    smaller.reserve(most);
    entries_.swap(smaller);
  }
  entries_.reserve(most);

  wire_bytes_ = *caller.wire_bytes();
  const bool replaces_context = fields.has_context();
  for (const amqp_table_entry_t& entry : caller.entries()) {
    if (makes_way(text_of(entry.key), caller.fields(), fields, replaces_context)) {
      wire_bytes_ -= encoded_entry_bytes(entry).value_or(0);
    } else {
      entries_.push_back(entry);
    }
  }
  for (std::size_t index = 0; index < fields.size(); ++index) {
    const FieldBuffer::Field field = fields[index];
    amqp_table_entry_t entry = {};
    entry.key = shared(field.name, field.name_length);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = shared(field.value, field.value_length);
    entries_.push_back(entry);
    wire_bytes_ += encoded_bytes(field);
  }
  return true;
}

amqp_table_t OutgoingHeaders::table() noexcept {
  if (entries_.empty()) return amqp_empty_table;
  return {static_cast<int>(entries_.size()), entries_.data()};
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
