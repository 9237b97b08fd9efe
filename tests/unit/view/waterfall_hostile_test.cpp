#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "spans.h"
#include "waterfall/text.h"
#include "waterfall/waterfall.h"

namespace midtrace::waterfall {
namespace {

using testing::count_of;
using testing::lines_of;
using testing::SpanBuilder;

constexpr Drawing kWide{.width = 120};

TEST(HostileInput, CannotReachTheTerminalThroughAnyTextOfASpan) {
  const std::string attack = "x\x1b]0;owned\x07\x1b[2J\xC2\x9B\x38m\r\n\u202E";
  Span span = SpanBuilder('a', '1', attack, Kind::kServer, 0, 5).of(attack).failed(attack);
  span.status_message = attack;
  span.trace_id = attack;
  span.span_id = attack;
  span.parent_span_id = attack;
  span.links.push_back({attack, attack});
  span.attributes.emplace_back(attack, attack);
  for (const bool unicode : {true, false}) {
    const Drawing drawing{.width = 200, .unicode = unicode, .attributes = true};
    const std::string text = draw({span}, drawing) + summary({span}, drawing);
    for (const std::string& line : lines_of(text)) {
      // Cleaning clean text changes nothing: there was nothing left to neutralise.
      EXPECT_EQ(clean(line, unicode).bytes, line);
    }
    EXPECT_NE(text.find("\\x1b]0;owned\\x07"), std::string::npos);
  }
}

TEST(HostileInput, InColourYieldsOnlyOurOwnEscapeSequences) {
  const std::string attack = "\x1b[31mred\x1b]8;;http://evil\x1b\\";
  const std::string text =
      draw({SpanBuilder('a', '1', attack, Kind::kServer, 0, 5).of(attack)}, {.width = 120, .colour = true});
  for (std::size_t at = text.find('\x1b'); at != std::string::npos; at = text.find('\x1b', at + 1)) {
    const std::size_t end = text.find_first_not_of("0123456789;", at + 2);
    ASSERT_EQ(text[at + 1], '[');
    ASSERT_EQ(text[end], 'm');
  }
  EXPECT_EQ(text.find("\x1b[31m"), std::string::npos) << "this span has no error, so nothing of ours is red";
}

TEST(HostileInput, ParentsInACycleAreDrawnOnceEach) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "one", Kind::kInternal, 0, 5).under('2'),
      SpanBuilder('a', '2', "two", Kind::kInternal, 1, 5).under('3'),
      SpanBuilder('a', '3', "three", Kind::kInternal, 2, 5).under('1'),
      SpanBuilder('a', '4', "below", Kind::kInternal, -1, 5).under('3'),
  };
  const std::string text = draw(spans, kWide);
  EXPECT_EQ(count_of(text, "part of a cycle"), 1U) << text;
  for (const char* once : {"one", "two", "below"}) {
    EXPECT_EQ(count_of(text, once), 1U) << text;
  }
  EXPECT_EQ(count_of(text, "three"), 2U) << "in full, and where the cycle closes\n" << text;
}

TEST(HostileInput, ASpanThatIsItsOwnParentOrLinksToItselfIsDrawn) {
  EXPECT_NE(
      draw({SpanBuilder('a', '1', "self", Kind::kInternal, 0, 5).under('1')}, kWide).find("part of a cycle"),
      std::string::npos);
  EXPECT_EQ(
      count_of(draw({SpanBuilder('a', '1', "self", Kind::kInternal, 0, 5).linked('a', '1')}, kWide), "self"),
      1U);
}

TEST(HostileInput, LinksInACycleEnd) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "one", Kind::kInternal, 0, 5).linked('b', '1'),
      SpanBuilder('b', '1', "two", Kind::kInternal, 1, 5).linked('a', '1'),
  };
  const std::string text = draw(spans, kWide);
  EXPECT_EQ(count_of(text, "one"), 2U) << "in full, and as the span two is linked from";
  EXPECT_EQ(count_of(text, "two"), 1U);
}

TEST(HostileInput, AllSpansLinkedToAllIsStillOneFullRowEach) {
  std::vector<Span> spans;
  constexpr int kSpans = 60;
  for (int i = 0; i < kSpans; ++i) {
    SpanBuilder builder('a', '0', "s" + std::to_string(i), Kind::kInternal, i, 5);
    builder.span.span_id.replace(0, 3, std::to_string(100 + i));
    for (int j = 0; j < kSpans; ++j) {
      std::string target(16, '0');
      builder.span.links.push_back({builder.span.trace_id, target.replace(0, 3, std::to_string(100 + j))});
    }
    spans.push_back(builder);
  }
  Drawing all = kWide;
  all.fold = false;
  EXPECT_LE(lines_of(draw(spans, all)).size(), static_cast<std::size_t>(2 * kSpans * kSpans + 10));
}

TEST(HostileInput, DepthCostsNoStack) {
  std::vector<Span> spans;
  constexpr int kDepth = 50000;
  for (int i = 0; i < kDepth; ++i) {
    SpanBuilder builder('a', '0', "level", Kind::kInternal, i, 5);
    builder.span.span_id = std::to_string(1'000'000'000'000'000 + i);
    if (i > 0) {
      builder.span.parent_span_id = std::to_string(1'000'000'000'000'000 + i - 1);
    }
    spans.push_back(builder);
  }
  const std::string text = draw(spans, {.width = 80});
  EXPECT_EQ(count_of(text, "\n"), 2U + kDepth);
  for (const std::string& line : lines_of(text)) {
    ASSERT_LE(clean(line, true).width, 80U);
  }
}

TEST(HostileInput, ExtremeTimesNeitherOverflowNorHideTheOthers) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t start : {kLeast, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, kMost}) {
    for (const std::int64_t end : {kLeast, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, kMost}) {
      Span odd = SpanBuilder('a', '2', "odd", Kind::kInternal, 0, 1).under('1');
      odd.start_unix_nanos = start;
      odd.end_unix_nanos = end;
      const std::string text = draw({SpanBuilder('a', '1', "root", Kind::kServer, 0, 5), odd}, kWide);
      ASSERT_EQ(count_of(text, "odd"), 1U);
      ASSERT_EQ(count_of(text, "root"), 1U);
    }
  }
}

TEST(HostileInput, SpansWithoutATimeAreNotedAndLeaveTheAxisAlone) {
  Span unknown = SpanBuilder('a', '2', "unknown", Kind::kInternal, 0, 1).under('1');
  unknown.start_unix_nanos = 0;
  Span open = SpanBuilder('a', '3', "open", Kind::kInternal, 2, 1).under('1');
  open.end_unix_nanos = 0;
  Span reversed = SpanBuilder('a', '4', "reversed", Kind::kInternal, 4, -3).under('1');
  const std::string text =
      draw({SpanBuilder('a', '1', "root", Kind::kServer, 0, 5), unknown, open, reversed}, kWide);
  EXPECT_NE(text.find("4 spans · 1 service · 5.00 ms"), std::string::npos) << text;
  EXPECT_NE(text.find("no start time"), std::string::npos);
  EXPECT_NE(text.find("not ended"), std::string::npos);
  EXPECT_NE(text.find("ends 3.00 ms before its start"), std::string::npos);
}

TEST(HostileInput, AChildThatBeginsBeforeItsParentIsDrawnWhereItIs) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "parent", Kind::kProducer, 50, 50),
      SpanBuilder('a', '2', "child", Kind::kConsumer, 0, 50).under('1'),
  };
  const std::vector<std::string> lines = lines_of(draw(spans, {.width = 80, .unicode = false}));
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_LT(lines[3].find('='), lines[2].find('='));
}

TEST(HostileInput, ASpanDeliveredTwiceIsDrawnOnceButAnIdUsedTwiceLosesNothing) {
  const Span span = SpanBuilder('a', '1', "again", Kind::kServer, 0, 5);
  Span other = span;
  other.name = "different";
  const std::string text = draw({span, span, other}, kWide);
  EXPECT_EQ(count_of(text, "again"), 1U);
  EXPECT_EQ(count_of(text, "different"), 1U);
}

}  // namespace
}  // namespace midtrace::waterfall
