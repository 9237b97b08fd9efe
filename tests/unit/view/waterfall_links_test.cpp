#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "spans.h"
#include "waterfall/waterfall.h"

namespace midtrace::waterfall {
namespace {

using testing::count_of;
using testing::span_id;
using testing::SpanBuilder;
using testing::trace_id;
using testing::tree_of;

constexpr Drawing kAscii{.width = 120, .unicode = false};

TEST(Links, PutARootUnderTheSpanItLinksToAndTheTracesInOneGroup) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "send orders", Kind::kProducer, 0, 10),
      SpanBuilder('b', '2', "process orders", Kind::kConsumer, 50, 10).linked('a', '1'),
      SpanBuilder('b', '3', "UPDATE stock", Kind::kClient, 52, 4).under('2'),
  };
  const std::string text = draw(spans, kAscii);
  EXPECT_TRUE(text.starts_with("trace aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa and 1 linked, 3 spans")) << text;
  EXPECT_EQ(tree_of(text, 27), R"(
shop     send orders
shop     `> process orders
shop       `- UPDATE stock
)");
}

TEST(Links, PutABatchUnderEachOfItsSendersInFullOnceAndAsAReferenceAfterwards) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "send 1", Kind::kProducer, 0, 10),
      SpanBuilder('b', '1', "send 2", Kind::kProducer, 5, 10),
      SpanBuilder('c', '1', "process", Kind::kConsumer, 50, 10).linked('a', '1').linked('b', '1'),
      SpanBuilder('c', '2', "UPDATE", Kind::kClient, 52, 4).under('1'),
  };
  const std::string text = draw(spans, kAscii);
  EXPECT_EQ(tree_of(text, 22), R"(
shop     send 1
shop     `> process
shop       `- UPDATE
shop     send 2
shop     `> process
)");
  EXPECT_EQ(count_of(text, "shared x2 [1]"), 2U);
  EXPECT_EQ(count_of(text, "shared x2 [1]^"), 1U);
}

TEST(Links, ToTheParentAddNoSecondRow) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "send", Kind::kProducer, 0, 10),
      SpanBuilder('a', '2', "process", Kind::kConsumer, 50, 10).under('1').linked('a', '1'),
  };
  const std::string text = draw(spans, kAscii);
  EXPECT_EQ(count_of(text, "process"), 1U);
  EXPECT_EQ(count_of(text, "shared"), 0U);
  EXPECT_NE(text.find("`- process"), std::string::npos);
}

TEST(Links, OfASpanWithAParentAddReferencesElsewhereWhileItStaysUnderItsParent) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "send", Kind::kProducer, 0, 10),
      SpanBuilder('b', '1', "worker loop", Kind::kInternal, 20, 100),
      SpanBuilder('b', '2', "process", Kind::kConsumer, 50, 10).under('1').linked('a', '1'),
      SpanBuilder('b', '3', "UPDATE", Kind::kClient, 52, 4).under('2'),
  };
  const std::string text = draw(spans, kAscii);
  EXPECT_EQ(tree_of(text, 22), R"(
shop     send
shop     `> process
shop     worker loop
shop     `- process
shop       `- UPDATE
)");
  EXPECT_EQ(count_of(text, "shared x2 [1]v"), 1U) << "the reference comes first and points down";
}

TEST(Links, ThatRepeatATargetCountOnce) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "send", Kind::kProducer, 0, 10),
      SpanBuilder('b', '2', "process", Kind::kConsumer, 50, 10).linked('a', '1').linked('a', '1'),
  };
  EXPECT_EQ(count_of(draw(spans, kAscii), "process"), 1U);
}

TEST(Links, ThatLeadOutOfTheFilesOrWereDroppedAreSaid) {
  Span span = SpanBuilder('b', '2', "process", Kind::kConsumer, 50, 10).linked('a', '1').linked('a', '2');
  span.dropped_links = 7;
  EXPECT_NE(draw({span}, kAscii).find("2 linked spans not in these files, 7 links dropped"),
            std::string::npos);
}

TEST(Links, ToAMissingSpanOfAKnownTraceStillJoinTheTraces) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "send", Kind::kProducer, 0, 10),
      SpanBuilder('b', '2', "process", Kind::kConsumer, 50, 10).linked('a', '9'),
  };
  const std::string text = draw(spans, kAscii);
  EXPECT_NE(text.find("and 1 linked"), std::string::npos);
  EXPECT_NE(text.find("linked span not in these files"), std::string::npos);
}

TEST(Links, ShowHowLongAMessageWaited) {
  const std::vector<Span> spans{
      SpanBuilder('a', '1', "send", Kind::kProducer, 0, 100),
      SpanBuilder('b', '2', "process", Kind::kConsumer, 900, 100).linked('a', '1'),
  };
  EXPECT_NE(draw(spans, kAscii).find(".... 800 ms ...."), std::string::npos);
}

std::vector<Span> batch_of(int messages) {
  std::vector<Span> spans;
  SpanBuilder batch('f', 'f', "process orders", Kind::kConsumer, 2000, 500);
  for (int i = 0; i < messages; ++i) {
    SpanBuilder send('0', '0', "send orders", Kind::kProducer, i, 3);
    const std::string number = std::to_string(100000 + i);
    send.span.trace_id.replace(0, number.size(), number);
    batch.span.links.push_back({send.span.trace_id, send.span.span_id});
    spans.push_back(send);
  }
  spans.push_back(batch.of("billing"));
  return spans;
}

TEST(Folding, KeepsABatchOfAThousandMessagesOnOneScreen) {
  const std::string text = draw(batch_of(1000), kAscii);
  EXPECT_EQ(tree_of(text, 32), R"(
shop     send orders
billing  `> process orders
shop     send orders
billing  `> process orders
shop     send orders
billing  `> process orders
shop     send orders
billing  `> process orders
shop     : 996 more send orders
)");
  EXPECT_NE(text.find("1992 spans"), std::string::npos);
  EXPECT_NE(text.find("<=3.00 ms"), std::string::npos);
}

TEST(Folding, BeginsAtSixAlike) {
  EXPECT_EQ(count_of(draw(batch_of(6), kAscii), "more"), 0U)
      << "the first carries the batch, so five are alike";
  EXPECT_EQ(count_of(draw(batch_of(7), kAscii), "3 more send orders"), 1U);
}

TEST(Folding, IsLeftOutOnRequest) {
  Drawing all = kAscii;
  all.fold = false;
  EXPECT_EQ(count_of(draw(batch_of(1000), all), "send orders"), 1000U);
}

TEST(Folding, NeverHidesAnErrorAmongSuccesses) {
  std::vector<Span> spans = batch_of(1000);
  spans[500].status = Status::kError;
  spans[500].attributes.emplace_back("error.type", "_MSG_TIMED_OUT");
  const std::string text = draw(spans, kAscii);
  EXPECT_EQ(count_of(text, "_MSG_TIMED_OUT"), 1U);
  EXPECT_EQ(count_of(text, "995 more"), 1U);
}

TEST(Folding, CoversSiblingsThatTakeTurns) {
  std::vector<Span> spans{SpanBuilder('a', '1', "loop", Kind::kInternal, 0, 1000)};
  for (int i = 0; i < 40; ++i) {
    SpanBuilder child('a', '2', i % 2 == 0 ? "SELECT" : "UPDATE", Kind::kClient, i, 1);
    child.under('1');
    child.span.span_id.replace(0, 3, std::to_string(100 + i));
    spans.push_back(child);
  }
  const std::string text = draw(spans, kAscii);
  EXPECT_EQ(count_of(text, "17 more SELECT"), 1U);
  EXPECT_EQ(count_of(text, "17 more UPDATE"), 1U);
}

TEST(Folding, SaysWhenTheFullRowOfAReferenceIsFolded) {
  // Each message has its own process span, and all of those have a parent elsewhere.
  std::vector<Span> spans{SpanBuilder('b', '1', "worker", Kind::kInternal, 0, 1000)};
  for (int i = 0; i < 8; ++i) {
    const std::string number = std::to_string(100 + i);
    SpanBuilder send('a', '2', "send", Kind::kProducer, i, 1);
    send.span.span_id.replace(0, 3, number);
    // Processed in reverse order, so that the first senders' spans are the folded ones.
    SpanBuilder process('b', '3', "process", Kind::kConsumer, 100 - i, 1);
    process.under('1');
    process.span.span_id.replace(0, 3, number);
    process.span.links.push_back({send.span.trace_id, send.span.span_id});
    spans.push_back(send);
    spans.push_back(process);
  }
  const std::string text = draw(spans, kAscii);
  EXPECT_EQ(count_of(text, "shared x2, folded"), 3U) << text;
}

}  // namespace
}  // namespace midtrace::waterfall
