#include "waterfall/times.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "waterfall/bars.h"
#include "waterfall/text.h"

namespace midtrace::waterfall {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::string duration(std::int64_t nanos) { return format_duration(nanos, true); }

TEST(Durations, HaveThreeSignificantDigitsBelowAMinute) {
  EXPECT_EQ(duration(0), "0 ns");
  EXPECT_EQ(duration(999), "999 ns");
  EXPECT_EQ(duration(1'000), "1.00 µs");
  EXPECT_EQ(duration(45'120), "45.1 µs");
  EXPECT_EQ(duration(312'400'000), "312 ms");
  EXPECT_EQ(duration(1'236'000'000), "1.24 s");
}

TEST(Durations, RoundIntoTheNextUnitInsteadOfPrintingAThousand) {
  EXPECT_EQ(duration(999'600), "1.00 ms");
  EXPECT_EQ(duration(9'996'000), "10.0 ms");
  EXPECT_EQ(duration(99'960'000), "100 ms");
  EXPECT_EQ(duration(59'960'000'000), "1m 00s");
}

TEST(Durations, HaveTwoUnitsFromAMinuteOn) {
  EXPECT_EQ(duration(84 * kSecond), "1m 24s");
  EXPECT_EQ(duration(7500 * kSecond), "2h 05m");
  EXPECT_EQ(duration(3599'700'000'000), "1h 00m");
  EXPECT_EQ(duration((3 * 86400 + 4 * 3600) * kSecond), "3d 04h");
}

TEST(Durations, NeverTakeMoreThanEightCells) {
  for (std::int64_t nanos = 1; nanos > 0 && nanos < std::numeric_limits<std::int64_t>::max() / 7;
       nanos *= 7) {
    EXPECT_LE(clean(duration(nanos), true).width, 8U) << nanos;
  }
  EXPECT_EQ(duration(std::numeric_limits<std::int64_t>::max()), "106751d");
}

TEST(Durations, AreAsciiWhenAsked) { EXPECT_EQ(format_duration(1'500, false), "1.50 us"); }

TEST(Ticks, DropWhatIsZero) {
  EXPECT_EQ(format_tick(0, true), "0");
  EXPECT_EQ(format_tick(500'000'000, true), "500 ms");
  EXPECT_EQ(format_tick(1'500'000'000, true), "1.5 s");
  EXPECT_EQ(format_tick(90 * kSecond, true), "1m30s");
  EXPECT_EQ(format_tick(7200 * kSecond, true), "2h");
}

TEST(Instants, AreUtcWithMilliseconds) {
  EXPECT_EQ(format_instant(1'763'705'642'120'000'000), "2025-11-21 06:14:02.120 UTC");
  EXPECT_EQ(format_instant(0), "1970-01-01 00:00:00.000 UTC");
  EXPECT_EQ(format_instant(951'782'400'007'000'000), "2000-02-29 00:00:00.007 UTC");
}

TEST(Axes, LabelBothEndsAndRoundStepsBetween) {
  EXPECT_EQ(Axis(0, 648'000'000, 46).rule(true), "├ 0 ──────────┬ 200 ms ─────┬──────── 648 ms ┤");
  EXPECT_EQ(Axis(0, 2 * kSecond, 40).rule(false), "| 0 ------+ 500 ms -+ 1 s ----- 2.00 s |");
}

TEST(Axes, AreExactlyAsWideAsTheirColumnWhateverTheLength) {
  for (std::size_t cells = 2; cells < 200; ++cells) {
    for (std::int64_t length = 0; length < std::numeric_limits<std::int64_t>::max() / 11;
         length = length * 11 + 3) {
      ASSERT_EQ(clean(Axis(1, 1 + length, cells).rule(true), true).width, cells) << length;
    }
  }
}

std::string bar(std::int64_t start, std::int64_t end, bool unicode = true) {
  const Axis axis(0, 80, 10);
  Strip strip(axis, unicode, false);
  strip.bar(start, end);
  std::string text;
  for (const Cell& cell : strip.cells()) {
    text += cell.glyph;
  }
  return text;
}

TEST(Bars, EndOnAnEighthOfACell) {
  EXPECT_EQ(bar(0, 80), "██████████");
  EXPECT_EQ(bar(0, 20), "██▌       ");
  EXPECT_EQ(bar(8, 17), " █▏       ");
}

TEST(Bars, BeginOnTheNearestBlockUnicodeHas) {
  EXPECT_EQ(bar(4, 16), "▐█        ");
  EXPECT_EQ(bar(7, 16), "▕█        ");
}

TEST(Bars, AreNeverInvisible) {
  EXPECT_EQ(bar(40, 40), "     ▏    ");
  EXPECT_EQ(bar(80, 80), "         ▕");
  EXPECT_EQ(bar(40, 40, false), "     =    ");
  EXPECT_EQ(bar(4, 12, false), "==        ");
}

TEST(Bars, OutsideTheAxisAreClampedToIt) {
  EXPECT_EQ(bar(-50, 8), "█         ");
  EXPECT_EQ(bar(72, 5000), "         █");
  EXPECT_EQ(bar(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()),
            "██████████");
}

}  // namespace
}  // namespace midtrace::waterfall
