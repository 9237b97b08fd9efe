#include "waterfall/waterfall.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "spans.h"
#include "waterfall/text.h"

namespace midtrace::waterfall {
namespace {

using testing::lines_of;
using testing::SpanBuilder;

// One order: an HTTP request, a statement in it, a message, and its processing after a wait in the queue.
std::vector<Span> one_order() {
  return {
      SpanBuilder('a', '1', "POST /orders", Kind::kServer, 0, 300).of("storefront"),
      SpanBuilder('a', '2', "INSERT orders", Kind::kClient, 50, 50).under('1').of("storefront"),
      SpanBuilder('a', '3', "send orders", Kind::kProducer, 120, 80).under('1').of("storefront"),
      SpanBuilder('a', '4', "process orders", Kind::kConsumer, 700, 300)
          .under('3')
          .linked('a', '3')
          .of("billing"),
      SpanBuilder('a', '5', "UPDATE stock", Kind::kClient, 800, 100).under('4').of("billing").failed("40001"),
  };
}

TEST(Waterfall, DrawsTreeBarsWaitsAndErrorsOnACommonAxis) {
  EXPECT_EQ("\n" + draw(one_order(), {.width = 100}), R"(
trace aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa · 5 spans · 2 services · 1.00 s · 1 error
service     span                 kind ├ 0 ──────┬ 200 ms ─┬ 400 ms ─┬ 600 ms ─── 1.00 s ┤ duration
storefront  POST /orders         srv  ███████████████▎                                      300 ms
storefront  ├─ INSERT orders     cli    ▐██▏                                               50.0 ms
storefront  └─ send orders       prod       ████▎                                          80.0 ms
billing       └─ process orders  cons            ┄┄┄┄┄┄┄┄ 500 ms ┄┄┄┄┄┄┄┄▕███████████████   300 ms
billing         └─ UPDATE stock  cli                                    40001 ▕████▉        100 ms ✗
)");
}

TEST(Waterfall, DrawsTheSameInAscii) {
  EXPECT_EQ("\n" + draw(one_order(), {.width = 80, .unicode = false}), R"(
trace aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, 5 spans, 2 services, 1.00 s, 1 error
service     span                 kind | 0 -----------+------ 1.00 s | duration
storefront  POST /orders         srv  =========                         300 ms
storefront  |- INSERT orders     cli   ==                              50.0 ms
storefront  `- send orders       prod     ==                           80.0 ms
billing       `- process orders  cons        ... 500 ms ... =========   300 ms
billing         `- UPDATE stock  cli                     40001 ===      100 ms !
)");
}

TEST(Waterfall, FitsEveryWidthAndLeavesNoTrailingBlanks) {
  std::vector<Span> spans = one_order();
  spans[0].name = "注文を受け付けるための非常に長い名前 🚀🚀🚀 and more of it, far beyond any column";
  spans[1].service = "a-service-with-a-name-nobody-would-choose";
  spans[4].status_message = "no";
  for (const bool unicode : {true, false}) {
    for (const bool attributes : {true, false}) {
      for (int width = 40; width <= 220; ++width) {
        const Drawing drawing{.width = width, .unicode = unicode, .attributes = attributes};
        for (const std::string& line : lines_of(draw(spans, drawing) + summary(spans, drawing))) {
          ASSERT_LE(clean(line, true).width, static_cast<std::size_t>(width)) << line;
          ASSERT_TRUE(line.empty() || line.back() != ' ') << line;
        }
      }
    }
  }
}

TEST(Waterfall, TakesAbsurdWidthsForTheNearestSensibleOnes) {
  EXPECT_EQ(draw(one_order(), {.width = -5}), draw(one_order(), {.width = 40}));
  EXPECT_EQ(draw(one_order(), {.width = 1 << 30}), draw(one_order(), {.width = 400}));
}

TEST(Waterfall, ShowsWhenAGroupBeganWhereThereIsRoom) {
  EXPECT_NE(draw(one_order(), {.width = 120}).find("2025-11-21 06:14:02.120 UTC\n"), std::string::npos);
}

TEST(Waterfall, ElidesTheOuterLevelsOfATreeDeeperThanItsColumn) {
  std::vector<Span> spans;
  for (char level = '1'; level <= '9'; ++level) {
    SpanBuilder span('a', level, "a rather long name", Kind::kInternal, level, 60 - level);
    spans.push_back(level == '1' ? span : span.under(static_cast<char>(level - 1)));
  }
  const std::vector<std::string> narrow = lines_of(draw(spans, {.width = 60, .unicode = false}));
  EXPECT_TRUE(narrow.back().starts_with("shop     ~     `- a rather~")) << narrow.back();
  const std::vector<std::string> wide = lines_of(draw(spans, {.width = 120, .unicode = false}));
  EXPECT_TRUE(wide.back().starts_with("shop                   `- a rather long name")) << wide.back();
}

TEST(Waterfall, SortsSiblingsByStartAndGroupsByTheirOldestSpan) {
  const std::vector<Span> spans{
      SpanBuilder('b', '1', "second", Kind::kServer, 10, 5),
      SpanBuilder('a', '3', "later", Kind::kInternal, 3, 1).under('1'),
      SpanBuilder('a', '2', "sooner", Kind::kInternal, 1, 1).under('1'),
      SpanBuilder('a', '1', "first", Kind::kServer, 0, 5),
  };
  const std::string text = draw(spans, {});
  EXPECT_LT(text.find("first"), text.find("sooner"));
  EXPECT_LT(text.find("sooner"), text.find("later"));
  EXPECT_LT(text.find("later"), text.find("second"));
  EXPECT_NE(text.find("\n\ntrace bbbb"), std::string::npos);
}

TEST(Waterfall, NotesAParentThatIsNotInTheFiles) {
  const std::string text = draw({SpanBuilder('a', '1', "orphan", Kind::kServer, 0, 5).under('9')}, {});
  EXPECT_NE(text.find("parent not in these files"), std::string::npos);
}

TEST(Waterfall, GivesANoteThatDoesNotFitBesideItsBarALineOfItsOwn) {
  const std::vector<std::string> lines =
      lines_of(draw({SpanBuilder('a', '1', "orphan", Kind::kServer, 0, 5).under('9')}, {.width = 60}));
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[3], "             parent not in these files");
}

TEST(Waterfall, FallsBackToTheStatusMessageWhenThereIsNoErrorType) {
  Span span = SpanBuilder('a', '1', "SET", Kind::kClient, 0, 5);
  span.status = Status::kError;
  span.status_message = "READONLY replica";
  const std::string text = draw({span}, {});
  EXPECT_NE(text.find("READONLY replica"), std::string::npos);
  EXPECT_NE(text.find("✗"), std::string::npos);
}

TEST(Waterfall, ListsIdsStatusAttributesAndLinksOnRequest) {
  Span span = SpanBuilder('a', '1', "GET", Kind::kClient, 0, 5).linked('b', '2');
  span.status_message = "slow";
  span.attributes = {{"db.system.name", "redis"}, {"db.query.text", "GET\n?"}};
  const std::string text = draw({span}, {.width = 90, .attributes = true});
  EXPECT_EQ(text.substr(text.find("ms\n", text.find("shop")) + 3),
            R"(             linked span not in these files
             span id: 1111111111111111
             status: slow
             db.system.name: redis
             db.query.text: GET ?
             link: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 2222222222222222
)");
}

TEST(Waterfall, UsesEscapeSequencesOnlyWithColour) {
  EXPECT_EQ(draw(one_order(), {}).find('\x1b'), std::string::npos);
  EXPECT_NE(draw(one_order(), {.colour = true}).find("\x1b[1;31m"), std::string::npos);
}

TEST(Waterfall, SaysTheSameWithAndWithoutColourButForTheBarStarts) {
  std::string coloured = draw(one_order(), {.width = 100, .colour = true});
  for (std::size_t at = coloured.find('\x1b'); at != std::string::npos; at = coloured.find('\x1b')) {
    coloured.erase(at, coloured.find('m', at) - at + 1);
  }
  const std::vector<std::string> plain = lines_of(draw(one_order(), {.width = 100}));
  const std::vector<std::string> stripped = lines_of(coloured);
  ASSERT_EQ(plain.size(), stripped.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(clean(plain[i], true).width, clean(stripped[i], true).width) << plain[i];
  }
}

TEST(Waterfall, LeavesTheServiceColumnOutWhenNoSpanNamesOne) {
  const std::vector<std::string> lines =
      lines_of(draw({SpanBuilder('a', '1', "x", Kind::kServer, 0, 5).of("")}, {}));
  EXPECT_TRUE(lines[1].starts_with("span")) << lines[1];
}

TEST(Waterfall, DrawsNothingForNothing) { EXPECT_EQ(draw({}, {}), ""); }

TEST(Summaries, CountTracesSpansAndErrorsAndNameTheSlowestSpan) {
  EXPECT_EQ(summary(one_order(), {}),
            "1 trace · 5 spans · 1 error · slowest storefront POST /orders 300 ms\n");
  EXPECT_EQ(summary({}, {}), "0 traces · 0 spans · 0 errors\n");
}

TEST(Selections, KeepWholeGroupsByTracePrefixOrError) {
  std::vector<Span> spans = one_order();
  spans.push_back(SpanBuilder('b', '1', "fine", Kind::kServer, 0, 5));
  spans.push_back(SpanBuilder('c', '1', "linked to b", Kind::kConsumer, 9, 5).linked('b', '1'));
  EXPECT_EQ(select(spans, {}).size(), 7U);
  EXPECT_EQ(select(spans, {.trace_prefix = "ccc"}).size(), 2U);
  EXPECT_EQ(select(spans, {.trace_prefix = "d"}).size(), 0U);
  EXPECT_EQ(select(spans, {.errors_only = true}).size(), 5U);
  EXPECT_EQ(select(spans, {.trace_prefix = "b", .errors_only = true}).size(), 0U);
}

}  // namespace
}  // namespace midtrace::waterfall
