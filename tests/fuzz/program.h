// Program: an input as a sequence of bytes, numbers and texts, for targets whose input says what to do. At
// its end everything is zero or empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "check.h"

namespace midtrace_fuzz {

class Program {
 public:
  Program(const std::uint8_t* bytes, std::size_t size) : rest_(text_of(bytes, size)) {}
  bool over() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  // Its size in one byte, and then itself.
  std::string_view text() {
    const std::size_t size = byte();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
      value = value << 8U | byte();
    return value;
  }

 private:
  std::string_view rest_;
};

}  // namespace midtrace_fuzz
