// Sets of characters and the trimming that header grammars share.
//
// Everything is independent of the locale and works on single bytes.
// Source: RFC 9110, section 5.6 (token, optional whitespace).
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace midtrace {
inline namespace v1 {

// A set of bytes; one table look-up per byte.
class CharacterSet {
 public:
  constexpr CharacterSet with(char first, char last) const noexcept {
    CharacterSet result = *this;
    for (unsigned byte = index(first); byte <= index(last); ++byte)
      result.contains_[byte] = true;
    return result;
  }
  constexpr CharacterSet with(std::string_view characters) const noexcept {
    CharacterSet result = *this;
    for (const char c : characters)
      result.contains_[index(c)] = true;
    return result;
  }
  constexpr CharacterSet without(std::string_view characters) const noexcept {
    CharacterSet result = *this;
    for (const char c : characters)
      result.contains_[index(c)] = false;
    return result;
  }

  constexpr bool contains(char c) const noexcept { return contains_[index(c)]; }
  constexpr bool contains_all(std::string_view text) const noexcept {
    for (const char c : text)
      if (!contains(c)) return false;
    return true;
  }

 private:
  static constexpr unsigned index(char c) noexcept { return static_cast<unsigned char>(c); }
  std::array<bool, 256> contains_{};
};

// An HTTP token.
inline constexpr CharacterSet token_characters =
    CharacterSet{}.with('a', 'z').with('A', 'Z').with('0', '9').with("!#$%&'*+-.^_`|~");

constexpr bool is_token(std::string_view text) noexcept {
  return !text.empty() && token_characters.contains_all(text);
}

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

constexpr std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

// Not std::tolower, which asks the application's locale.
constexpr bool equals_in_any_case(std::string_view text, std::string_view lower_case) noexcept {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower_case[i]) return false;
  }
  return true;
}

// Takes the text up to the next `separator`, or all of it, off the front of `rest`.
constexpr std::string_view take_until(std::string_view& rest, char separator) noexcept {
  const std::size_t end = rest.find(separator);
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return taken;
}

}  // namespace v1
}  // namespace midtrace
