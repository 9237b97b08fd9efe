#include "waterfall/bars.h"

#include <algorithm>
#include <array>
#include <limits>

#include "waterfall/times.h"

namespace midtrace::waterfall {
namespace {

constexpr std::size_t kCellsPerTick = 10;

constexpr std::array kLeftBlocks{" ",
                                 "\xE2\x96\x8F",
                                 "\xE2\x96\x8E",
                                 "\xE2\x96\x8D",
                                 "\xE2\x96\x8C",
                                 "\xE2\x96\x8B",
                                 "\xE2\x96\x8A",
                                 "\xE2\x96\x89",
                                 "\xE2\x96\x88"};
constexpr const char* kRightHalf = "\xE2\x96\x90";
constexpr const char* kRightEighth = "\xE2\x96\x95";

std::size_t distance(std::size_t a, std::size_t b) { return a > b ? a - b : b - a; }

// The glyph that covers [from, to) of a cell best, in eighths.
Cell block(std::size_t from, std::size_t to, bool inverse) {
  if (to - from <= 2 && from > 0 && to < 8) {
    // A sliver inside the cell: keeping it thin tells more than keeping it in the middle.
    return from + to < 8 ? Cell{kLeftBlocks[to - from], Ink::kBar, false}
                         : Cell{kRightEighth, Ink::kBar, false};
  }
  Cell best;
  std::size_t best_miss = std::numeric_limits<std::size_t>::max();
  const auto offer = [&](const char* glyph, std::size_t a, std::size_t b, bool reversed) {
    const std::size_t miss = distance(from, a) + distance(to, b);
    if (miss < best_miss) {
      best_miss = miss;
      best = Cell{glyph, Ink::kBar, reversed};
    }
  };
  for (std::size_t k = 1; k <= 8; ++k) {
    offer(kLeftBlocks[k], 0, k, false);
  }
  offer(kRightHalf, 4, 8, false);
  offer(kRightEighth, 7, 8, false);
  for (std::size_t k = 1; inverse && k < 8; ++k) {
    offer(kLeftBlocks[k], k, 8, true);
  }
  return best;
}

struct Extent {
  std::size_t from;
  std::size_t to;
};

Extent extent_of(const Axis& axis, std::int64_t start, std::int64_t end) {
  const std::size_t from = std::min(axis.eighth(start), axis.cells() * 8 - 1);
  return {from, std::max(from + 1, axis.eighth(end))};
}

}  // namespace

Axis::Axis(std::int64_t origin, std::int64_t end, std::size_t cells)
    : origin_(std::max<std::int64_t>(origin, 0)), length_(std::max(end, origin_) - origin_), cells_(cells) {}

std::size_t Axis::eighth(std::int64_t instant) const {
  if (instant <= origin_ || length_ == 0) {
    return 0;
  }
  const std::int64_t offset = std::min(instant - origin_, length_);
  const double share = static_cast<double>(offset) / static_cast<double>(length_);
  return static_cast<std::size_t>(share * static_cast<double>(cells_ * 8) + 0.5);
}

// The smallest round step that leaves room for its labels.
std::int64_t Axis::step() const {
  constexpr std::array<std::int64_t, 16> kSeconds{1,   2,   5,    10,   20,   30,   60,    120,
                                                  300, 600, 1200, 1800, 3600, 7200, 21600, 43200};
  constexpr std::int64_t kSecond = 1'000'000'000;
  const double wanted =
      static_cast<double>(length_) * static_cast<double>(kCellsPerTick) / static_cast<double>(cells_);
  for (std::int64_t power = 1; power < kSecond; power *= 10) {
    for (const std::int64_t digit : {1, 2, 5}) {
      if (static_cast<double>(digit * power) >= wanted) {
        return digit * power;
      }
    }
  }
  for (const std::int64_t seconds : kSeconds) {
    if (static_cast<double>(seconds * kSecond) >= wanted) {
      return seconds * kSecond;
    }
  }
  std::int64_t step = 86400 * kSecond;
  while (static_cast<double>(step) < wanted && step < std::numeric_limits<std::int64_t>::max() / 2) {
    step *= 2;
  }
  return step;
}

std::string Axis::rule(bool unicode) const {
  std::vector<std::string> cells(cells_, unicode ? "\xE2\x94\x80" : "-");
  cells.back() = unicode ? "\xE2\x94\xA4" : "|";
  const auto width_of = [](const std::string& label) {
    return label.size() - (label.find('\xC2') == std::string::npos ? 0 : 1);  // the micro sign
  };
  const auto write = [&](std::size_t at, const std::string& label) {
    std::fill_n(cells.begin() + static_cast<std::ptrdiff_t>(at), width_of(label), std::string());
    cells[at] = label;
  };
  // The end is labelled first: both ends of the axis matter more than the steps between them.
  const std::string end_label = " " + format_duration(length_, unicode) + " ";
  std::size_t free = cells_ - 1;
  if (length_ > 0 && width_of(end_label) + 6 <= cells_) {
    free = cells_ - 1 - width_of(end_label);
    write(free, end_label);
  }
  const std::int64_t step_nanos = step();
  for (std::int64_t tick = 0; tick <= length_; tick += step_nanos) {
    const std::size_t at = eighth(origin_ + tick) / 8;
    // A tick right before the end's label would seem to own it.
    if (at >= cells_ - 1 || (tick > 0 && at + 2 >= free)) {
      break;
    }
    cells[at] = tick == 0 ? (unicode ? "\xE2\x94\x9C" : "|") : (unicode ? "\xE2\x94\xAC" : "+");
    const std::string label = " " + format_tick(tick, unicode) + " ";
    if (at + 1 + width_of(label) < free) {
      write(at + 1, label);
    }
    if (length_ - tick < step_nanos) {
      break;
    }
  }
  std::string text;
  for (const std::string& cell : cells) {
    text += cell;
  }
  return text;
}

Strip::Strip(const Axis& axis, bool unicode, bool inverse)
    : axis_(axis), unicode_(unicode), inverse_(inverse), cells_(axis.cells()) {}

void Strip::bar(std::int64_t start, std::int64_t end) {
  const Extent extent = extent_of(axis_, start, end);
  const std::size_t first_cell = extent.from / 8;
  const std::size_t last_cell = (extent.to - 1) / 8;
  for (std::size_t i = first_cell; i <= last_cell; ++i) {
    const std::size_t from = i == first_cell ? extent.from - i * 8 : 0;
    const std::size_t to = i == last_cell ? extent.to - i * 8 : 8;
    if (unicode_) {
      cells_[i] = block(from, to, inverse_);
    } else if (to - from >= 4 || first_cell == last_cell) {
      cells_[i] = Cell{"=", Ink::kBar, false};
    }
  }
  if (!unicode_ && past(Ink::kBar) == 0) {
    cells_[first_cell] = Cell{"=", Ink::kBar, false};
  }
}

void Strip::shade(std::int64_t start, std::int64_t end) {
  const Extent extent = extent_of(axis_, start, end);
  for (std::size_t i = extent.from / 8; i <= (extent.to - 1) / 8; ++i) {
    cells_[i] = Cell{unicode_ ? "\xE2\x96\x91" : "-", Ink::kShade, false};
  }
}

void Strip::wait(std::int64_t start, std::int64_t end) {
  for (std::size_t i = (axis_.eighth(start) + 7) / 8; i < axis_.eighth(end) / 8; ++i) {
    if (cells_[i].ink == Ink::kBlank) {
      cells_[i] = Cell{unicode_ ? "\xE2\x94\x84" : ".", Ink::kWait, false};
    }
  }
}

std::size_t Strip::first(Ink ink) const {
  std::size_t i = 0;
  while (i < cells_.size() && cells_[i].ink != ink) {
    ++i;
  }
  return i;
}

std::size_t Strip::past(Ink ink) const {
  std::size_t i = cells_.size();
  while (i > 0 && cells_[i - 1].ink != ink) {
    --i;
  }
  return i;
}

}  // namespace midtrace::waterfall
