#include "waterfall/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

namespace midtrace::waterfall {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

constexpr std::array kWide{
    Range{0x1100, 0x115F},   Range{0x231A, 0x231B},   Range{0x2329, 0x232A},   Range{0x23E9, 0x23EC},
    Range{0x23F0, 0x23F0},   Range{0x23F3, 0x23F3},   Range{0x25FD, 0x25FE},   Range{0x2614, 0x2615},
    Range{0x2648, 0x2653},   Range{0x267F, 0x267F},   Range{0x2693, 0x2693},   Range{0x26A1, 0x26A1},
    Range{0x26AA, 0x26AB},   Range{0x26BD, 0x26BE},   Range{0x26C4, 0x26C5},   Range{0x26CE, 0x26CE},
    Range{0x26D4, 0x26D4},   Range{0x26EA, 0x26EA},   Range{0x26F2, 0x26F3},   Range{0x26F5, 0x26F5},
    Range{0x26FA, 0x26FA},   Range{0x26FD, 0x26FD},   Range{0x2705, 0x2705},   Range{0x270A, 0x270B},
    Range{0x2728, 0x2728},   Range{0x274C, 0x274C},   Range{0x274E, 0x274E},   Range{0x2753, 0x2755},
    Range{0x2757, 0x2757},   Range{0x2795, 0x2797},   Range{0x27B0, 0x27B0},   Range{0x27BF, 0x27BF},
    Range{0x2B1B, 0x2B1C},   Range{0x2B50, 0x2B50},   Range{0x2B55, 0x2B55},   Range{0x2E80, 0x303E},
    Range{0x3041, 0x4DBF},   Range{0x4E00, 0xA4CF},   Range{0xA960, 0xA97F},   Range{0xAC00, 0xD7A3},
    Range{0xF900, 0xFAFF},   Range{0xFE10, 0xFE19},   Range{0xFE30, 0xFE6F},   Range{0xFF01, 0xFF60},
    Range{0xFFE0, 0xFFE6},   Range{0x16FE0, 0x18CFF}, Range{0x1AFF0, 0x1B2FF}, Range{0x1F004, 0x1F004},
    Range{0x1F0CF, 0x1F0CF}, Range{0x1F18E, 0x1F18E}, Range{0x1F191, 0x1F19A}, Range{0x1F200, 0x1F265},
    Range{0x1F300, 0x1F320}, Range{0x1F32D, 0x1F335}, Range{0x1F337, 0x1F37C}, Range{0x1F37E, 0x1F393},
    Range{0x1F3A0, 0x1F3CA}, Range{0x1F3CF, 0x1F3D3}, Range{0x1F3E0, 0x1F3F0}, Range{0x1F3F4, 0x1F3F4},
    Range{0x1F3F8, 0x1F43E}, Range{0x1F440, 0x1F440}, Range{0x1F442, 0x1F4FC}, Range{0x1F4FF, 0x1F53D},
    Range{0x1F54B, 0x1F54E}, Range{0x1F550, 0x1F567}, Range{0x1F57A, 0x1F57A}, Range{0x1F595, 0x1F596},
    Range{0x1F5A4, 0x1F5A4}, Range{0x1F5FB, 0x1F64F}, Range{0x1F680, 0x1F6C5}, Range{0x1F6CC, 0x1F6CC},
    Range{0x1F6D0, 0x1F6D2}, Range{0x1F6D5, 0x1F6DF}, Range{0x1F6EB, 0x1F6EC}, Range{0x1F6F4, 0x1F6FC},
    Range{0x1F7E0, 0x1F7F0}, Range{0x1F90C, 0x1F93A}, Range{0x1F93C, 0x1F945}, Range{0x1F947, 0x1F9FF},
    Range{0x1FA70, 0x1FAFF}, Range{0x20000, 0x3FFFD},
};

// Marks that sit on the character before them.
constexpr std::array kCombining{
    Range{0x0300, 0x036F}, Range{0x0483, 0x0489}, Range{0x0591, 0x05BD}, Range{0x05BF, 0x05BF},
    Range{0x05C1, 0x05C2}, Range{0x05C4, 0x05C5}, Range{0x05C7, 0x05C7}, Range{0x0610, 0x061A},
    Range{0x064B, 0x065F}, Range{0x0670, 0x0670}, Range{0x06D6, 0x06DC}, Range{0x06DF, 0x06E4},
    Range{0x06E7, 0x06E8}, Range{0x06EA, 0x06ED}, Range{0x0900, 0x0902}, Range{0x093A, 0x093A},
    Range{0x093C, 0x093C}, Range{0x0941, 0x0948}, Range{0x094D, 0x094D}, Range{0x0951, 0x0957},
    Range{0x0E31, 0x0E31}, Range{0x0E34, 0x0E3A}, Range{0x0E47, 0x0E4E}, Range{0x1160, 0x11FF},
    Range{0x1AB0, 0x1AFF}, Range{0x1DC0, 0x1DFF}, Range{0x20D0, 0x20FF}, Range{0x302A, 0x302D},
    Range{0x3099, 0x309A}, Range{0xFE20, 0xFE2F},
};

// Joiners and variation selectors: without them every terminal agrees on the width.
constexpr std::array kLeftOut{
    Range{0x200C, 0x200D},
    Range{0xFE00, 0xFE0F},
    Range{0xE0100, 0xE01EF},
};

// Invisible or order-changing characters: shown by number, because they are how a name can lie.
constexpr std::array kSpelledOut{
    Range{0x0000, 0x001F},   Range{0x007F, 0x009F},   Range{0x00AD, 0x00AD},   Range{0x061C, 0x061C},
    Range{0x115F, 0x1160},   Range{0x17B4, 0x17B5},   Range{0x180B, 0x180F},   Range{0x200B, 0x200B},
    Range{0x200E, 0x200F},   Range{0x2028, 0x202E},   Range{0x2060, 0x206F},   Range{0x3164, 0x3164},
    Range{0xFEFF, 0xFEFF},   Range{0xFFA0, 0xFFA0},   Range{0xFFF0, 0xFFFB},   Range{0xFFFE, 0xFFFF},
    Range{0x1D173, 0x1D17A}, Range{0xE0000, 0xE00FF}, Range{0xE01F0, 0xE0FFF},
};

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, char32_t c) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                      [](char32_t value, const Range& r) { return value < r.first; });
  return after != ranges.begin() && c <= std::prev(after)->last;
}

constexpr char32_t kBroken = 0xFFFFFFFF;

// Takes one character off the front of `raw` (never empty). Overlong forms, surrogates and stray bytes yield
// kBroken and consume one byte, so the text after them is read in step again.
char32_t take(std::string_view& raw) {
  const auto byte = [&raw](std::size_t i) { return static_cast<unsigned char>(raw[i]); };
  const unsigned char lead = byte(0);
  std::size_t length = 1;
  char32_t value = lead;
  char32_t smallest = 0;
  if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    value = lead & 0x07U;
    smallest = 0x10000;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    length = 3;
    value = lead & 0x0FU;
    smallest = 0x800;
  } else if (lead >= 0xC2 && lead < 0xE0) {
    length = 2;
    value = lead & 0x1FU;
    smallest = 0x80;
  } else if (lead >= 0x80) {
    value = kBroken;
  }
  for (std::size_t i = 1; i < length && value != kBroken; ++i) {
    if (i >= raw.size() || (byte(i) & 0xC0U) != 0x80U) {
      value = kBroken;
    } else {
      value = (value << 6U) | (byte(i) & 0x3FU);
    }
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value == kBroken || value < smallest || surrogate || value > 0x10FFFF) {
    raw.remove_prefix(1);
    return kBroken;
  }
  raw.remove_prefix(length);
  return value;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&out](char32_t byte) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
  };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0U | (c >> 6U));
    put(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    put(0xE0U | (c >> 12U));
    put(0x80U | ((c >> 6U) & 0x3FU));
    put(0x80U | (c & 0x3FU));
  } else {
    put(0xF0U | (c >> 18U));
    put(0x80U | ((c >> 12U) & 0x3FU));
    put(0x80U | ((c >> 6U) & 0x3FU));
    put(0x80U | (c & 0x3FU));
  }
}

std::string spelled_out(char32_t c) {
  const std::size_t digits = c <= 0xFF ? 2 : c <= 0xFFFF ? 4 : 6;
  std::string text(c <= 0xFF ? "\\x" : c <= 0xFFFF ? "\\u" : "\\U");
  for (std::size_t i = digits; i-- > 0;) {
    text.push_back("0123456789abcdef"[(c >> (4 * i)) & 0xFU]);
  }
  return text;
}

}  // namespace

Text clean(std::string_view raw, bool unicode, std::size_t limit) {
  Text out;
  // Where the text would be cut if one more cell turned out to be too many: one cell is kept for the
  // ellipsis.
  std::size_t cut_bytes = 0;
  std::size_t cut_width = 0;
  std::size_t marks = 0;
  std::string piece;
  while (!raw.empty()) {
    char32_t c = take(raw);
    piece.clear();
    std::size_t width = 1;
    if (c == '\t' || c == '\n' || c == '\r') {
      piece = " ";
    } else if (c == kBroken) {
      piece = unicode ? "\xEF\xBF\xBD" : "?";
    } else if (is_in(kSpelledOut, c)) {
      piece = spelled_out(c);
      width = piece.size();
    } else if (is_in(kLeftOut, c)) {
      continue;
    } else if (c < 0x7F) {
      piece.push_back(static_cast<char>(c));
    } else if (is_in(kCombining, c)) {
      if (!unicode || out.bytes.empty() || ++marks > 2) {
        continue;
      }
      append_utf8(piece, c);
      width = 0;
    } else if (!unicode) {
      piece = "?";
    } else {
      append_utf8(piece, c);
      width = is_in(kWide, c) ? 2 : 1;
    }
    if (width > 0) {
      marks = 0;
    }
    if (width > limit - out.width) {
      out.bytes.resize(cut_bytes);
      out.width = cut_width;
      if (limit > 0) {
        out.bytes += unicode ? "\xE2\x80\xA6" : "~";
        ++out.width;
      }
      return out;
    }
    out.bytes += piece;
    out.width += width;
    if (out.width < limit) {
      cut_bytes = out.bytes.size();
      cut_width = out.width;
    }
  }
  return out;
}

}  // namespace midtrace::waterfall
