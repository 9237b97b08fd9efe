// What every fuzz target is made of: the entry point, a property check, and the input as text and lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

// libFuzzer's entry point, and that of the corpus replay.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

// Unlike assert, it is there in every build type.
#define FUZZ_CHECK(property)                                                                      \
  do {                                                                                            \
    if (!(property)) {                                                                            \
      std::fprintf(stderr, "%s:%d: property does not hold: %s\n", __FILE__, __LINE__, #property); \
      std::abort();                                                                               \
    }                                                                                             \
  } while (false)

namespace midtrace_fuzz {

inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// Takes the text up to the next `end`, or all of it, off the front of `rest`.
inline std::string_view take_line(std::string_view& rest, char end = '\n') {
  const std::string_view line = rest.substr(0, rest.find(end));
  rest.remove_prefix(line.size() == rest.size() ? line.size() : line.size() + 1);
  return line;
}

}  // namespace midtrace_fuzz
