// One line of the drawing, put together from left to right.
//
// Contract: put() appends text that is `width` cells wide in a style (SGR parameters such as "2" or
// "38;5;32", empty for plain; ignored without colour). Blanks are kept back until something follows them, so
// a line never ends in spaces. The caller keeps the line within the drawing's width. Threads: a value.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "waterfall/text.h"

namespace midtrace::waterfall {

class Line {
 public:
  explicit Line(bool colour) : colour_(colour) {}

  std::size_t width() const { return width_; }

  void pad_to(std::size_t column) {
    if (column > width_) {
      blanks_ += column - width_;
      width_ = column;
    }
  }

  void put(std::string_view bytes, std::size_t width, std::string_view style = {}) {
    if (width == 0) {
      return;
    }
    bytes_.append(blanks_, ' ');
    blanks_ = 0;
    if (colour_ && !style.empty()) {
      bytes_.append("\x1b[").append(style).append("m").append(bytes).append("\x1b[0m");
    } else {
      bytes_.append(bytes);
    }
    width_ += width;
  }

  void put(const Text& text, std::string_view style = {}) { put(text.bytes, text.width, style); }

  std::string take() && { return std::move(bytes_) + '\n'; }

 private:
  bool colour_;
  std::string bytes_;
  std::size_t blanks_ = 0;
  std::size_t width_ = 0;
};

}  // namespace midtrace::waterfall
