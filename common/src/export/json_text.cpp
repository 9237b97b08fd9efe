#include "json_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <midtrace/trace/counters.h>

#include "utf8.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr char hex_digits[] = "0123456789abcdef";
// What one byte may become: a control character as \u00XX, a stray byte as the three bytes of U+FFFD.
constexpr std::size_t longest_escape = 6;

char* write_hex(char* to, std::uint64_t number) noexcept {
  for (int shift = 60; shift >= 0; shift -= 4)
    *to++ = hex_digits[(number >> shift) & 0xFU];
  return to;
}

// The high bit of every byte that cannot be copied as it is: control characters, '"', '\\' and non-ASCII.
std::uint64_t special_bytes(std::uint64_t word) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101ULL;
  constexpr std::uint64_t highs = 0x8080808080808080ULL;
  const auto zero_bytes = [](std::uint64_t bytes) { return (bytes - ones) & ~bytes; };
  const std::uint64_t below_space = (word - ones * 0x20U) & ~word;
  return (word | below_space | zero_bytes(word ^ (ones * '"')) | zero_bytes(word ^ (ones * '\\'))) & highs;
}

// How many bytes at the beginning need no escape.
std::size_t plain_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= text.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, sizeof(word));
    if (special_bytes(word) != 0) break;
  }
  for (; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
  }
  return i;
}

}  // namespace

void JsonText::grow(std::size_t bytes) {
  const auto written = static_cast<std::size_t>(cursor_ - out_->data());
  // In blocks also where the capacity is there already: the zeros that resize() writes then stay in the
  // cache.
  out_->resize(written + std::max(bytes, block));
  adopt(written);
}

// Writes the escape of the first character of `rest` and takes it off. `valid` becomes false when it is none.
char* JsonText::escape(char* to, std::string_view& rest, bool& valid) noexcept {
  const auto c = static_cast<unsigned char>(rest.front());
  if (c >= 0x80) {
    const Utf8Sequence sequence = utf8_sequence(rest);
    valid = valid && sequence.valid;
    const std::string_view shown =
        sequence.valid ? rest.substr(0, sequence.size) : std::string_view("\xEF\xBF\xBD");
    std::memcpy(to, shown.data(), shown.size());
    rest.remove_prefix(sequence.size);
    return to + shown.size();
  }
  *to++ = '\\';
  switch (c) {
    case '"':
    case '\\':
      *to++ = static_cast<char>(c);
      break;
    case '\n':
      *to++ = 'n';
      break;
    case '\r':
      *to++ = 'r';
      break;
    case '\t':
      *to++ = 't';
      break;
    default:
      std::memcpy(to, "u00", 3);
      to += 3;
      *to++ = hex_digits[c >> 4U];
      *to++ = hex_digits[c & 0xFU];
  }
  rest.remove_prefix(1);
  return to;
}

void JsonText::string(std::string_view text) {
  bool valid = true;
  raw('"');
  while (!text.empty()) {
    const std::size_t plain = plain_prefix(text);
    raw(text.substr(0, plain));
    text.remove_prefix(plain);
    while (!text.empty()) {
      const auto c = static_cast<unsigned char>(text.front());
      if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') break;
      reserve(longest_escape);
      cursor_ = escape(cursor_, text, valid);
    }
  }
  raw('"');
  if (!valid) count(Counter::invalid_utf8);
}

void JsonText::hex(std::uint64_t number) {
  reserve(18);
  *cursor_++ = '"';
  cursor_ = write_hex(cursor_, number);
  *cursor_++ = '"';
}

void JsonText::hex(std::uint64_t high, std::uint64_t low) {
  reserve(34);
  *cursor_++ = '"';
  cursor_ = write_hex(write_hex(cursor_, high), low);
  *cursor_++ = '"';
}

void JsonText::number(std::uint64_t value) {
  reserve(20);
  cursor_ = std::to_chars(cursor_, end_, value).ptr;
}

void JsonText::quoted_number(std::int64_t value) {
  reserve(22);
  *cursor_++ = '"';
  cursor_ = std::to_chars(cursor_, end_, value).ptr;
  *cursor_++ = '"';
}

void JsonText::real(double value) {
  if (std::isnan(value)) return raw(R"("NaN")");
  if (std::isinf(value)) return raw(value > 0 ? std::string_view(R"("Infinity")") : R"("-Infinity")");
  reserve(32);
  cursor_ = std::to_chars(cursor_, end_, value).ptr;
}

}  // namespace v1
}  // namespace midtrace
