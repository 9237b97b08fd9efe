#include "headers.h"

#include <algorithm>
#include <cstring>
#include <limits>

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

void FieldBuffer::clear() noexcept {
  large_.clear();
  length_ = 0;
  count_ = 0;
  failed_ = false;
}

char* FieldBuffer::extend(std::size_t bytes) noexcept {
  const std::size_t begin = length_;
  if (large_.empty()) {
    if (bytes <= small_.size() - length_) [[likely]] {
      length_ += bytes;
      return small_.data() + begin;
    }
  }
  try {
    if (large_.empty()) large_.assign(small_.data(), length_);
    large_.resize(begin + bytes);
    length_ += bytes;
    return large_.data() + begin;
  } catch (...) {
    failed_ = true;
    return nullptr;
  }
}

void FieldBuffer::set(std::string_view name, std::string_view value) noexcept {
  std::size_t index = 0;
  while (index < count_ && name != name_of(places_[index]))
    ++index;
  // No message is nearly that long.
  constexpr std::size_t longest = std::numeric_limits<std::int32_t>::max();
  if (index == max_fields || name.size() + 1 + value.size() > longest - length_) {
    failed_ = true;
    return;
  }
  const std::size_t begin = length_;
  char* end = extend(name.size() + 1 + value.size());
  if (end == nullptr) return;
  end = std::copy(name.begin(), name.end(), end);
  *end++ = '\0';
  std::copy(value.begin(), value.end(), end);
  const auto narrow = [](std::size_t number) { return static_cast<std::uint32_t>(number); };
  places_[index] = {narrow(begin), narrow(name.size()), narrow(begin + name.size() + 1),
                    narrow(value.size())};
  count_ = std::max(count_, index + 1);
}

FieldBuffer::Field FieldBuffer::operator[](std::size_t index) const noexcept {
  const Place& place = places_[index];
  return {text() + place.name, place.name_length, text() + place.value, place.value_length};
}

bool FieldBuffer::contains(std::string_view name) const noexcept {
  return std::any_of(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(count_),
                     [&](const Place& place) { return name_of(place) == name; });
}

bool FieldBuffer::has_context() const noexcept {
  return std::any_of(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(count_),
                     [&](const Place& place) { return !is_baggage_field(name_of(place)); });
}

bool FieldBuffer::has_others(std::span<const std::string_view> fields) const noexcept {
  return std::any_of(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(count_),
                     [&](const Place& place) {
                       return std::find(fields.begin(), fields.end(), name_of(place)) == fields.end();
                     });
}

std::size_t FieldBuffer::wire_bytes() const noexcept {
  std::size_t bytes = 0;
  for (std::size_t index = 0; index < count_; ++index) {
    bytes += header_wire_bytes(places_[index].name_length, places_[index].value_length);
  }
  return bytes;
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
