// Problem: the sentence about a header that could not be read, put together without allocation.
//
// Text from the wire goes in through quote(), shortened and with everything but plain ASCII replaced, so that
// it can forge no log line. Values of tracestate and baggage are never quoted: they may hold what nobody
// wants in a log.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {

class Problem {
 public:
  Problem& text(std::string_view text) noexcept {
    for (const char c : text)
      add(c);
    return *this;
  }
  Problem& quote(std::string_view wire) noexcept {
    constexpr std::size_t shown = 80;
    add('"');
    for (const char c : wire.substr(0, shown))
      add(c >= ' ' && c <= '~' && c != '"' ? c : '?');
    return text(wire.size() > shown ? "...\"" : "\"");
  }

  void report(Severity severity, std::string_view cause) const noexcept {
    midtrace::report(severity, cause, std::string_view(buffer_.data(), size_));
  }

 private:
  void add(char c) noexcept {
    if (size_ < buffer_.size()) buffer_[size_++] = c;
  }

  std::array<char, 384> buffer_;
  std::size_t size_ = 0;
};

}  // namespace v1
}  // namespace midtrace
