// Patterns match as a table of all beginnings of both says they do.
//
// The first line break separates the pattern from the text.
#include <string_view>
#include <vector>

#include "check.h"
#include "trace/glob.h"

namespace {

// Whether the pattern's beginning describes each beginning of the text, one character of the pattern at a
// time.
bool matches_by_table(std::string_view text, std::string_view pattern) {
  std::vector<bool> row(text.size() + 1, false);
  row[0] = true;
  for (const char c : pattern) {
    std::vector<bool> next(text.size() + 1, false);
    next[0] = c == '*' && row[0];
    for (std::size_t i = 1; i <= text.size(); ++i)
      next[i] = c == '*' ? next[i - 1] || row[i] : row[i - 1] && (c == '?' || c == text[i - 1]);
    row = next;
  }
  return row[text.size()];
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  constexpr std::size_t longest_input = 500;
  if (size > longest_input) return 0;
  std::string_view text = midtrace_fuzz::text_of(bytes, size);
  const std::string_view pattern = midtrace_fuzz::take_line(text);
  FUZZ_CHECK(midtrace::matches_glob(text, pattern) == matches_by_table(text, pattern));
  FUZZ_CHECK(midtrace::matches_glob(pattern, pattern));
  return 0;
}
