// Patterns for names: `*` stands for any bytes, also none, `?` for one byte, everything else for itself.
//
// No recursion, no memory; at most the product of both lengths in steps. Any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace midtrace {
inline namespace v1 {

// Whether the pattern describes the whole text.
constexpr bool matches_glob(std::string_view text, std::string_view pattern) noexcept {
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  // Where to go on when what follows the last `*` does not match: the `*` takes one byte more. An earlier
  // one never needs to.
  std::size_t star = std::string_view::npos;
  std::size_t taken_up_to = 0;
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      taken_up_to = at;
    } else if (in_pattern < pattern.size() &&
               (pattern[in_pattern] == '?' || pattern[in_pattern] == text[at])) {
      ++in_pattern;
      ++at;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      at = ++taken_up_to;
    } else {
      return false;
    }
  }
  while (in_pattern < pattern.size() && pattern[in_pattern] == '*')
    ++in_pattern;
  return in_pattern == pattern.size();
}

}  // namespace v1
}  // namespace midtrace
