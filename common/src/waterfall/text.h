// Foreign text made safe and measurable for a terminal.
//
// Contract: clean() accepts any bytes. The result is valid UTF-8 (pure printable ASCII when `unicode` is
// false) that moves the cursor by exactly `width` cells: control characters (C0, DEL, C1), bidirectional
// controls and other invisible characters are spelled out ("\x1b", "\u202e"), tab and line breaks become one
// space, broken UTF-8 becomes U+FFFD, joiners and variation selectors are left out, at most two combining
// marks stay on a character. Text wider than `limit` is cut and ends in an ellipsis that is counted in the
// limit. Work stops at the cut, so a megabyte of name costs no more than a line.
//
// Widths follow East Asian Width (wide and fullwidth: 2 cells). A terminal that disagrees misaligns a row, no
// more. Threads: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace midtrace::waterfall {

inline constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);

struct Text {
  std::string bytes;
  std::size_t width = 0;
};

Text clean(std::string_view raw, bool unicode, std::size_t limit = kNoLimit);

}  // namespace midtrace::waterfall
