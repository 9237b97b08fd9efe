#include "headers.h"

#include <algorithm>
#include <cstring>

#include <midtrace/propagation/propagator.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

// A signed number in base 128, zigzag.
std::size_t varint_bytes(std::size_t value) noexcept {
  std::size_t bytes = 1;
  for (std::size_t rest = (value << 1U) >> 7U; rest != 0; rest >>= 7U)
    ++bytes;
  return bytes;
}

// Without librdkafka's error codes: false when there is no such header.
bool header_at(const rd_kafka_headers_t* headers, std::size_t index, const char*& name, const void*& value,
               std::size_t& size) noexcept {
  return rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

std::string_view view(const void* value, std::size_t size) noexcept {
  return {static_cast<const char*>(value), size};
}

}  // namespace

std::size_t header_wire_bytes(std::size_t name_length, std::size_t value_length) noexcept {
  return name_length + varint_bytes(name_length) + value_length + varint_bytes(value_length);
}

HeadersReader::HeadersReader(const rd_kafka_headers_t* headers, std::span<const std::string_view> fields,
                             bool measure) noexcept
    : headers_(headers), fields_(fields.first(std::min(fields.size(), max_fields))) {
  if (headers == nullptr) return;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t index = 0; header_at(headers, index, name, value, size); ++index) {
    if (measure) wire_bytes_ += header_wire_bytes(std::strlen(name), size);
    for (std::size_t field = 0; field < fields_.size(); ++field) {
      const std::string_view wanted = fields_[field];
      if (wanted.empty() || name[0] != wanted.front() || wanted != name) continue;
      present_ |= 1U << field;
      if (measure && !is_baggage_field(wanted)) context_wire_bytes_ += header_wire_bytes(wanted.size(), size);
      if (value == nullptr) break;
      if (found_count_ == remembered) {
        overflow_ = true;
      } else {
        found_[found_count_++] = {field, static_cast<const char*>(value), size};
      }
      break;
    }
  }
}

void HeadersReader::get_all(std::string_view name, FunctionRef<bool(std::string_view)> visit) const noexcept {
  if (headers_ == nullptr) return;
  if (!overflow_) {
    for (std::size_t field = 0; field < fields_.size(); ++field) {
      if (fields_[field] != name) continue;
      for (std::size_t index = 0; index < found_count_; ++index) {
        const Found& found = found_[index];
        if (found.field == field && !visit({found.value, found.size})) return;
      }
      return;
    }
  }
  for_each([&](std::string_view header, std::string_view value) { return header != name || visit(value); });
}

void HeadersReader::for_each(FunctionRef<bool(std::string_view, std::string_view)> visit) const noexcept {
  if (headers_ == nullptr) return;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t index = 0; header_at(headers_, index, name, value, size); ++index) {
    if (value != nullptr && !visit(name, view(value, size))) return;
  }
}

Context carried_context(const rd_kafka_message_t* message) noexcept {
  Context context;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return context;
  const Propagator& used = propagator();
  const HeadersReader reader(headers, used.fields(), false);
  used.extract(reader, context);
  return context;
}

std::size_t wire_bytes(const messaging::FieldBuffer& fields) noexcept {
  std::size_t bytes = 0;
  for (std::size_t index = 0; index < fields.size(); ++index) {
    bytes += header_wire_bytes(fields[index].name_length, fields[index].value_length);
  }
  return bytes;
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
