// Lower-case hexadecimal text of 64 bits at a time, for ids on the wire.
//
// Sixteen digits are handled at once as a vector of bytes, without tables and branches: this is most of the
// cost of inject and extract. The vectors are the compilers' own portable ones, in the order of memory; where
// a processor has none the compiler falls back to plain instructions. Reading accepts exactly the digits 0-9
// and a-f, as W3C Trace Context demands.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace midtrace {
inline namespace v1 {
namespace hex {

// Signed, because that is the comparison every processor has; bytes above 0x7F are below every digit then.
using Digits = signed char __attribute__((vector_size(16)));
using Bytes = signed char __attribute__((vector_size(8)));
using UnsignedBytes = unsigned char __attribute__((vector_size(8)));
using Pairs = unsigned short __attribute__((vector_size(16)));

// Between a number and its bytes in memory, the most significant first.
inline std::uint64_t byte_order(std::uint64_t number) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    return __builtin_bswap64(number);
  } else {
    return number;
  }
}

// Writes 16 digits.
inline void write(std::uint64_t value, char* out) noexcept {
  const Bytes bytes = std::bit_cast<Bytes>(byte_order(value));
  const Digits twice = __builtin_shufflevector(bytes, bytes, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  constexpr Digits firsts{-1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0};
  const Digits numbers = (((twice >> 4) & firsts) | (twice & ~firsts)) & 15;
  const Digits letters = numbers > 9;
  const Digits text = numbers + '0' + (letters & ('a' - '0' - 10));
  std::memcpy(out, &text, sizeof text);
}

// Reads sixteen digits at a time and tells at the end whether all were some.
class Reader {
 public:
  std::uint64_t read_16(const char* text) noexcept {
    Digits characters;
    std::memcpy(&characters, text, sizeof characters);
    const Digits digits = (characters >= '0') & (characters <= '9');
    const Digits letters = (characters >= 'a') & (characters <= 'f');
    valid_ &= digits | letters;
    const Digits numbers = (characters & 15) + (letters & 9);
    // Two digits per 16-bit number: the first is its low byte on a little-endian machine, its high byte
    // elsewhere.
    const Pairs pairs = std::bit_cast<Pairs>(numbers);
    const Pairs joined =
        std::endian::native == std::endian::little ? (pairs << 4) | (pairs >> 8) : (pairs >> 4) | pairs;
    return byte_order(std::bit_cast<std::uint64_t>(__builtin_convertvector(joined & 0xFF, UnsignedBytes)));
  }

  bool valid() const noexcept {
    std::uint64_t halves[2];
    std::memcpy(halves, &valid_, sizeof halves);
    return (halves[0] & halves[1]) == ~std::uint64_t{0};
  }

 private:
  Digits valid_ = Digits{} == Digits{};
};

// The value of one digit, or 16.
constexpr unsigned digit(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  return 16;
}

constexpr char digit_text(unsigned value) noexcept { return "0123456789abcdef"[value & 15]; }

}  // namespace hex
}  // namespace v1
}  // namespace midtrace
