// Text as the test kit prints it: as it stands, except that what would break a line or cannot be seen is
// spelled out.
#pragma once

#include <string>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace testing {

inline std::string printed(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      result += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      result += "\\x";
      result += digits[byte >> 4U];
      result += digits[byte & 0xFU];
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace testing
}  // namespace v1
}  // namespace midtrace
