// The bar column: a time axis and the cells drawn on it.
//
// Contract: an Axis maps instants to eighths of a cell; instants outside it are clamped, so no input time can
// leave the column. Strip is one row of that column. Bars are at least one eighth wide and exact to an eighth
// at their end; their start is exact to an eighth with `inverse` (a left block shown in reverse video is a
// right block, which Unicode lacks) and to what U+2590 and U+2595 allow without it. In ASCII a bar is a run
// of '='. Threads: values, no shared state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace midtrace::waterfall {

class Axis {
 public:
  // `cells` >= 2; `end` < `origin` counts as equal.
  Axis(std::int64_t origin, std::int64_t end, std::size_t cells);

  std::size_t cells() const { return cells_; }
  std::size_t eighth(std::int64_t instant) const;  // 0 .. 8 * cells()
  std::string rule(bool unicode) const;            // ticks and their labels, exactly cells() wide

 private:
  std::int64_t step() const;

  std::int64_t origin_;
  std::int64_t length_;
  std::size_t cells_;
};

enum class Ink : std::uint8_t { kBlank, kBar, kShade, kWait };

struct Cell {
  const char* glyph = " ";
  Ink ink = Ink::kBlank;
  bool inverse = false;
};

class Strip {
 public:
  Strip(const Axis& axis, bool unicode, bool inverse);

  void bar(std::int64_t start, std::int64_t end);
  void shade(std::int64_t start, std::int64_t end);  // a bar that is drawn in full elsewhere
  void wait(std::int64_t start, std::int64_t end);   // dots over blank cells, fully covered ones only

  const std::vector<Cell>& cells() const { return cells_; }
  std::size_t first(Ink ink) const;  // index of the first cell of that ink, cells().size() when there is none
  std::size_t past(Ink ink) const;   // index past the last one, 0 when there is none

 private:
  const Axis& axis_;
  bool unicode_;
  bool inverse_;
  std::vector<Cell> cells_;
};

}  // namespace midtrace::waterfall
