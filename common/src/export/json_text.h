// JsonText: writes JSON at the end of a std::string, fast.
//
// The string grows in blocks ahead of a cursor, so that most pieces are one bounds check and one copy;
// finish(), or the destructor, cuts it to what was written. Strings come out as valid JSON in valid UTF-8
// whatever goes in: malformed UTF-8 becomes U+FFFD and is counted once per string (invalid_utf8), control
// characters are escaped, and no raw line end is ever written. Numbers do not depend on the locale. The
// caller sees to commas and brackets.
//
// std::bad_alloc may pass; what was written until then stays. One thread.
// Source: RFC 8259; conventions 9.2 for integers as strings and for what no JSON number can say.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace midtrace {
inline namespace v1 {

class JsonText {
 public:
  explicit JsonText(std::string& out) : out_(&out) { adopt(out.size()); }
  JsonText(const JsonText&) = delete;
  JsonText& operator=(const JsonText&) = delete;
  ~JsonText() { finish(); }

  // Nothing may be written afterwards.
  void finish() noexcept { out_->resize(static_cast<std::size_t>(cursor_ - out_->data())); }

  // As it stands: punctuation, keys, literals.
  void raw(std::string_view text) {
    reserve(text.size());
    std::memcpy(cursor_, text.data(), text.size());
    cursor_ += text.size();
  }
  void raw(char c) {
    reserve(1);
    *cursor_++ = c;
  }
  // `text` in quotes, escaped.
  void string(std::string_view text);
  // Hexadecimal digits in quotes, 16 for each number.
  void hex(std::uint64_t number);
  void hex(std::uint64_t high, std::uint64_t low);
  // Digits, and digits in quotes.
  void number(std::uint64_t value);
  void quoted_number(std::int64_t value);
  // A JSON number, or "NaN", "Infinity", "-Infinity".
  void real(double value);

 private:
  static constexpr std::size_t block = 16384;

  void reserve(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - cursor_) < bytes) grow(bytes);
  }
  void grow(std::size_t bytes);
  void adopt(std::size_t written) noexcept {
    cursor_ = out_->data() + written;
    end_ = out_->data() + out_->size();
  }
  char* escape(char* to, std::string_view& rest, bool& valid) noexcept;

  std::string* out_;
  char* cursor_ = nullptr;
  char* end_ = nullptr;
};

}  // namespace v1
}  // namespace midtrace
