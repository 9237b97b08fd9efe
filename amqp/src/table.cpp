#include "table.h"

#include <algorithm>
#include <limits>

#include <midtrace/propagation/propagator.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

constexpr int max_depth = 100;
constexpr std::size_t max_short = 255;
// The length of a table, an array or a long string has 32 bits.
constexpr std::size_t max_long = std::numeric_limits<std::uint32_t>::max();

bool has_bytes(const amqp_bytes_t& bytes) noexcept { return bytes.len == 0 || bytes.bytes != nullptr; }

// Of the kinds of a fixed size, without the kind itself.
struct FixedSize {
  std::uint8_t kind;
  std::uint8_t bytes;
};
constexpr std::array<FixedSize, 14> fixed_sizes = {{{AMQP_FIELD_KIND_BOOLEAN, 1},
                                                    {AMQP_FIELD_KIND_I8, 1},
                                                    {AMQP_FIELD_KIND_U8, 1},
                                                    {AMQP_FIELD_KIND_I16, 2},
                                                    {AMQP_FIELD_KIND_U16, 2},
                                                    {AMQP_FIELD_KIND_I32, 4},
                                                    {AMQP_FIELD_KIND_U32, 4},
                                                    {AMQP_FIELD_KIND_I64, 8},
                                                    {AMQP_FIELD_KIND_U64, 8},
                                                    {AMQP_FIELD_KIND_F32, 4},
                                                    {AMQP_FIELD_KIND_F64, 8},
                                                    {AMQP_FIELD_KIND_DECIMAL, 5},
                                                    {AMQP_FIELD_KIND_TIMESTAMP, 8},
                                                    {AMQP_FIELD_KIND_VOID, 0}}};

// Adds up sizes; false where there is none.
class Measure {
 public:
  bool table(const amqp_table_t& table, int depth) noexcept {
    if (table.num_entries > 0 && table.entries == nullptr) return false;
    const std::size_t before = bytes_;
    bytes_ += 4;
    for (const amqp_table_entry_t& each : entries_of(table))
      if (!entry(each, depth)) return false;
    return bytes_ - before - 4 <= max_long;
  }

  bool entry(const amqp_table_entry_t& entry, int depth) noexcept {
    if (entry.key.len > max_short || !has_bytes(entry.key)) return false;
    bytes_ += 1 + entry.key.len;
    return value(entry.value, depth);
  }

  std::size_t bytes() const noexcept { return bytes_; }

 private:
  bool array(const amqp_array_t& array, int depth) noexcept {
    if (array.num_entries > 0 && array.entries == nullptr) return false;
    const std::size_t before = bytes_;
    bytes_ += 4;
    for (int index = 0; index < array.num_entries; ++index)
      if (!value(array.entries[index], depth)) return false;
    return bytes_ - before - 4 <= max_long;
  }

  bool value(const amqp_field_value_t& value, int depth) noexcept {
    if (depth > max_depth) return false;
    ++bytes_;
    switch (value.kind) {
      case AMQP_FIELD_KIND_UTF8:
      case AMQP_FIELD_KIND_BYTES:
        if (value.value.bytes.len > max_long || !has_bytes(value.value.bytes)) return false;
        bytes_ += 4 + value.value.bytes.len;
        return true;
      case AMQP_FIELD_KIND_TABLE:
        return table(value.value.table, depth + 1);
      case AMQP_FIELD_KIND_ARRAY:
        return array(value.value.array, depth + 1);
      default:
        break;
    }
    const auto fixed = std::find_if(fixed_sizes.begin(), fixed_sizes.end(),
                                    [&](const FixedSize& each) { return each.kind == value.kind; });
    if (fixed == fixed_sizes.end()) return false;
    bytes_ += fixed->bytes;
    return true;
  }

  std::size_t bytes_ = 0;
};

// The properties that are short strings, by their flags.
struct ShortString {
  amqp_flags_t flag;
  amqp_bytes_t amqp_basic_properties_t::*member;
};
constexpr std::array<ShortString, 10> short_strings = {
    {{AMQP_BASIC_CONTENT_TYPE_FLAG, &amqp_basic_properties_t::content_type},
     {AMQP_BASIC_CONTENT_ENCODING_FLAG, &amqp_basic_properties_t::content_encoding},
     {AMQP_BASIC_CORRELATION_ID_FLAG, &amqp_basic_properties_t::correlation_id},
     {AMQP_BASIC_REPLY_TO_FLAG, &amqp_basic_properties_t::reply_to},
     {AMQP_BASIC_EXPIRATION_FLAG, &amqp_basic_properties_t::expiration},
     {AMQP_BASIC_MESSAGE_ID_FLAG, &amqp_basic_properties_t::message_id},
     {AMQP_BASIC_TYPE_FLAG, &amqp_basic_properties_t::type},
     {AMQP_BASIC_USER_ID_FLAG, &amqp_basic_properties_t::user_id},
     {AMQP_BASIC_APP_ID_FLAG, &amqp_basic_properties_t::app_id},
     {AMQP_BASIC_CLUSTER_ID_FLAG, &amqp_basic_properties_t::cluster_id}}};

}  // namespace

std::string_view text_of(const amqp_bytes_t& bytes) noexcept {
  if (bytes.bytes == nullptr) return {};
  return {static_cast<const char*>(bytes.bytes), bytes.len};
}

std::span<const amqp_table_entry_t> entries_of(const amqp_table_t& table) noexcept {
  if (table.entries == nullptr || table.num_entries <= 0) return {};
  return {table.entries, static_cast<std::size_t>(table.num_entries)};
}

std::optional<std::string_view> text_of(const amqp_field_value_t& value) noexcept {
  if (value.kind != AMQP_FIELD_KIND_UTF8 && value.kind != AMQP_FIELD_KIND_BYTES) return std::nullopt;
  return text_of(value.value.bytes);
}

std::optional<std::size_t> encoded_entry_bytes(const amqp_table_entry_t& entry) noexcept {
  Measure measure;
  if (!measure.entry(entry, 0)) return std::nullopt;
  return measure.bytes();
}

std::optional<std::size_t> encoded_table_bytes(const amqp_table_t& table) noexcept {
  Measure measure;
  if (!measure.table(table, 0)) return std::nullopt;
  return measure.bytes();
}

std::optional<std::size_t> header_frame_payload_bytes(const amqp_basic_properties_t* properties,
                                                      std::size_t table_bytes) noexcept {
  constexpr std::size_t fixed = 2 + 2 + 8 + 2;  // class, weight, body size, flags
  if (properties == nullptr) return fixed + table_bytes;
  const amqp_flags_t flags = properties->_flags;
  // Flags that nobody defines go out, too, sixteen bits a time.
  std::size_t bytes = fixed + ((flags >> 16U) != 0 ? 2 : 0) + table_bytes;
  for (const ShortString& each : short_strings) {
    if ((flags & each.flag) == 0) continue;
    const amqp_bytes_t& value = properties->*each.member;
    if (value.len > max_short || !has_bytes(value)) return std::nullopt;
    bytes += 1 + value.len;
  }
  if ((flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0) bytes += 1;
  if ((flags & AMQP_BASIC_PRIORITY_FLAG) != 0) bytes += 1;
  if ((flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0) bytes += 8;
  return bytes;
}

std::optional<std::size_t> header_frame_payload_bytes(const amqp_basic_properties_t* properties) noexcept {
  const amqp_table_t* headers = headers_of(properties);
  if (headers == nullptr) return header_frame_payload_bytes(properties, 0);
  const std::optional<std::size_t> table_bytes = encoded_table_bytes(*headers);
  if (!table_bytes.has_value()) return std::nullopt;
  return header_frame_payload_bytes(properties, *table_bytes);
}

const amqp_table_t* headers_of(const amqp_basic_properties_t* properties) noexcept {
  if (properties == nullptr || (properties->_flags & AMQP_BASIC_HEADERS_FLAG) == 0) return nullptr;
  return &properties->headers;
}

TableReader::TableReader(const amqp_table_t* table, std::span<const std::string_view> fields,
                         bool measure) noexcept
    : fields_(fields.first(std::min(fields.size(), max_fields))) {
  if (table != nullptr) entries_ = entries_of(*table);
  if (measure) wire_bytes_ = table == nullptr ? empty_table_bytes : encoded_table_bytes(*table);
  for (const amqp_table_entry_t& entry : entries_) {
    const std::string_view name = text_of(entry.key);
    if (name.empty()) continue;
    for (std::size_t field = 0; field < fields_.size(); ++field) {
      if (fields_[field].size() != name.size() || fields_[field] != name) continue;
      present_ |= 1U << field;
      if (wire_bytes_.has_value() && !is_baggage_field(name))
        context_wire_bytes_ += encoded_entry_bytes(entry).value_or(0);
      const std::optional<std::string_view> value = text_of(entry.value);
      if (!value.has_value()) break;
      if (found_count_ == remembered) {
        overflow_ = true;
      } else {
        found_[found_count_++] = {field, value->data(), value->size()};
      }
      break;
    }
  }
}

void TableReader::get_all(std::string_view name, FunctionRef<bool(std::string_view)> visit) const noexcept {
  if (!overflow_) {
    for (std::size_t field = 0; field < fields_.size(); ++field) {
      // Propagators mostly ask with the very name that they gave.
      const std::string_view known = fields_[field];
      if (known.size() != name.size() || (known.data() != name.data() && known != name)) continue;
      if ((present_ & (1U << field)) == 0) return;
      for (std::size_t index = 0; index < found_count_; ++index) {
        const Found& found = found_[index];
        if (found.field == field && !visit({found.value, found.size})) return;
      }
      return;
    }
  }
  for_each([&](std::string_view entry, std::string_view value) { return entry != name || visit(value); });
}

void TableReader::for_each(FunctionRef<bool(std::string_view, std::string_view)> visit) const noexcept {
  for (const amqp_table_entry_t& entry : entries_) {
    const std::string_view name = text_of(entry.key);
    const std::optional<std::string_view> value = text_of(entry.value);
    if (!name.empty() && value.has_value() && !visit(name, *value)) return;
  }
}

Context carried_context(const amqp_basic_properties_t* properties) noexcept {
  Context context;
  const amqp_table_t* headers = headers_of(properties);
  if (headers == nullptr) return context;
  const Propagator& used = propagator();
  const TableReader reader(headers, used.fields(), false);
  used.extract(reader, context);
  return context;
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
