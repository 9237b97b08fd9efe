#include "field_buffer.h"

#include <algorithm>
#include <limits>

#include <midtrace/propagation/propagator.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

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

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
