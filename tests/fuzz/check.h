// What every fuzz target is made of: the entry point, a property check, and carriers built from the input.
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

}  // namespace midtrace_fuzz
