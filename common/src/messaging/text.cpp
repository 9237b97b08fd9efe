#include "text.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace midtrace {
inline namespace v1 {
namespace messaging {

namespace {

// Whether eight bytes are all ASCII and none is a control character.
bool all_printable(const char* bytes) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101U;
  constexpr std::uint64_t tops = 0x80 * ones;
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  const std::uint64_t below_space = word - 0x20 * ones;  // borrows only where the byte itself is too small
  const std::uint64_t delete_or_more = word + ones;
  return ((word | below_space | delete_or_more) & tops) == 0;
}

}  // namespace

bool is_plain_text(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (bytes.size() - at >= sizeof(std::uint64_t) && all_printable(bytes.data() + at))
    at += sizeof(std::uint64_t);
  while (at < bytes.size()) {
    const auto lead = static_cast<unsigned char>(bytes[at]);
    if (lead < 0x80) {
      if (lead < 0x20 || lead == 0x7F) return false;
      ++at;
      continue;
    }
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || bytes.size() - at < length) return false;
    std::uint32_t code = lead & (0x7FU >> length);
    for (std::size_t index = 1; index < length; ++index) {
      const auto next = static_cast<unsigned char>(bytes[at + index]);
      if ((next & 0xC0U) != 0x80U) return false;
      code = (code << 6U) | (next & 0x3FU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    const bool control = code < 0xA0;  // C1
    if (overlong || surrogate || control || code > 0x10FFFF) return false;
    at += length;
  }
  return true;
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
