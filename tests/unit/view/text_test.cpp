#include "waterfall/text.h"

#include <gtest/gtest.h>

#include <string>

namespace midtrace::waterfall {
namespace {

std::string shown(std::string_view raw) { return clean(raw, true).bytes; }

TEST(Text, LeavesOrdinaryTextAlone) {
  EXPECT_EQ(shown("GET /orders/{id} \\ \"x\""), "GET /orders/{id} \\ \"x\"");
  EXPECT_EQ(shown("größe"), "größe");
}

TEST(Text, SpellsOutEveryControlCharacterSoThatNoEscapeSequenceSurvives) {
  for (int c = 0; c < 0x20; ++c) {
    const std::string out = shown(std::string(1, static_cast<char>(c)));
    EXPECT_EQ(out.find_first_not_of(" \\x0123456789abcdef"), std::string::npos) << c;
  }
  EXPECT_EQ(shown("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(shown("\x1b]0;title\x07"), "\\x1b]0;title\\x07");
  EXPECT_EQ(shown("\x7f"), "\\x7f");
}

TEST(Text, SpellsOutC1ControlsWhichSomeTerminalsObeyToo) {
  EXPECT_EQ(shown("\xC2\x9B"
                  "31m"),
            "\\x9b31m");
}

TEST(Text, SpellsOutBidirectionalAndInvisibleCharacters) {
  EXPECT_EQ(shown("a\u202Eb"), "a\\u202eb");
  EXPECT_EQ(shown("a\u2066b\u2069"), "a\\u2066b\\u2069");
  EXPECT_EQ(shown("a\u200Bb\uFEFF"), "a\\u200bb\\ufeff");
  EXPECT_EQ(shown("\U000E0041"), "\\U0e0041");
}

TEST(Text, TurnsLineBreaksAndTabsIntoSpaces) { EXPECT_EQ(shown("SELECT\n\t1\r"), "SELECT  1 "); }

TEST(Text, ReplacesBrokenUtf8ByteByByteAndGoesOn) {
  EXPECT_EQ(shown("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(shown("\xC0\x9B"), "\uFFFD\uFFFD");                      // overlong ESC
  EXPECT_EQ(shown("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // surrogate
  EXPECT_EQ(shown("\xE2\x82"), "\uFFFD\uFFFD");                      // cut off
  EXPECT_EQ(shown("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond Unicode
  EXPECT_EQ(shown("\xE2\x1b[0m"), "\uFFFD\\x1b[0m");                 // an escape hidden behind a lead byte
}

TEST(Text, CountsWideCharactersAsTwoCellsAndMarksAsNone) {
  EXPECT_EQ(clean("注文", true).width, 4U);
  EXPECT_EQ(clean("🚀x", true).width, 3U);
  EXPECT_EQ(clean("e\u0301", true).width, 1U);
  EXPECT_EQ(clean("µ×…", true).width, 3U);
}

TEST(Text, KeepsAtMostTwoMarksOnOneCharacter) {
  EXPECT_EQ(shown("e\u0301\u0301\u0301\u0301f"), "e\u0301\u0301f");
}

TEST(Text, LeavesJoinersOutSoThatTerminalsAgreeOnTheWidth) { EXPECT_EQ(shown("a\u200Db\uFE0F"), "ab"); }

TEST(Text, CutsByDisplayWidthAndCountsTheEllipsis) {
  EXPECT_EQ(clean("abcdef", true, 6).bytes, "abcdef");
  EXPECT_EQ(clean("abcdefg", true, 6).bytes, "abcde…");
  EXPECT_EQ(clean("注文受付", true, 6).bytes, "注文…");
  EXPECT_EQ(clean("注文受付", true, 6).width, 5U);
  EXPECT_EQ(clean("注文受付", true, 1).bytes, "…");
  EXPECT_EQ(clean("abc", true, 0).bytes, "");
  EXPECT_EQ(clean("e\u0301", true, 1).bytes, "e\u0301");
}

TEST(Text, NeverCutsThroughASpelledOutCharacter) { EXPECT_EQ(clean("ab\x1b[0m", true, 4).bytes, "ab…"); }

TEST(Text, IsPureAsciiWhenAsked) {
  EXPECT_EQ(clean("größe 注 e\u0301 \xFF", false).bytes, "gr??e ? e ?");
  EXPECT_EQ(clean("abcdefg", false, 6).bytes, "abcde~");
}

TEST(Text, ReadsNoFurtherThanTheCut) {
  const std::string huge(64 << 20, 'x');
  for (int i = 0; i < 10000; ++i) {
    ASSERT_EQ(clean(huge, true, 20).width, 20U);
  }
}

}  // namespace
}  // namespace midtrace::waterfall
