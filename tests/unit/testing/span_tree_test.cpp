// Spans as text: the same for the same work, whatever the ids, the threads and the order of arrival.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace {

using midtrace::SpanKind;
using midtrace::StatusCode;
using midtrace::testing::OwnedAttribute;
using midtrace::testing::OwnedSpan;
using midtrace::testing::span_tree;
using midtrace::testing::TreeOptions;

OwnedAttribute attribute(const char* key, const char* value) {
  return {key, std::string(value), midtrace::AttributeType::string};
}

// A span of trace 1, milliseconds after the beginning.
OwnedSpan span(const char* name, std::uint64_t id, std::uint64_t parent = 0, int start = 0, int end = 0) {
  OwnedSpan result{};
  result.name = name;
  result.kind = SpanKind::internal;
  result.context.trace_id = {.high = 0, .low = 1};
  result.context.span_id = {.value = id};
  result.parent_span_id = {.value = parent};
  result.start_unix_nanos = start * 1000000LL;
  result.end_unix_nanos = end * 1000000LL;
  return result;
}

TEST(SpanTree, NoSpansAreAnEmptyLine) { EXPECT_EQ(span_tree({}), "\n"); }

TEST(SpanTree, ShowsEverythingOfASpanInAFixedOrder) {
  OwnedSpan send = span("send orders", 1);
  send.kind = SpanKind::producer;
  OwnedSpan process = span("process orders", 2, 1, 1, 2);
  process.kind = SpanKind::consumer;
  process.status = StatusCode::error;
  process.status_description = "no stock";
  process.attributes = {attribute("topic", "orders"), attribute("group", "a")};
  process.events = {{"retry", 0, {attribute("b", "2"), attribute("a", "1")}}, {"gave up", 0, {}}};
  process.links = {{send.context, {attribute("offset", "7")}}, {{}, {}}};
  OwnedSpan charge = span("charge", 3, 2, 1, 2);
  charge.kind = SpanKind::client;
  charge.status = StatusCode::ok;
  EXPECT_EQ(span_tree({charge, process, send}), R"(
send orders PRODUCER
  process orders CONSUMER
    status ERROR: no stock
    group = a
    topic = orders
    event retry {a = 1, b = 2}
    event gave up
    link -> send orders {offset = 7}
    link -> (not here)
    charge CLIENT
      status OK
)");
}

TEST(SpanTree, RootsAreInOrderOfStartThenOfName) {
  EXPECT_EQ(span_tree({span("late", 1, 0, 5), span("b", 2), span("a", 3)}), R"(
a INTERNAL
b INTERNAL
late INTERNAL
)");
}

TEST(SpanTree, AParentThatWasNotExportedIsMentioned) {
  EXPECT_EQ(span_tree({span("orphan", 2, 77)}), R"(
orphan INTERNAL
  parent (not here)
)");
}

TEST(SpanTree, AnIdOfAnotherTraceIsNoParent) {
  OwnedSpan other = span("other trace", 1);
  other.context.trace_id.low = 2;
  EXPECT_EQ(span_tree({other, span("child", 2, 1, 1)}), R"(
other trace INTERNAL
child INTERNAL
  parent (not here)
)");
}

TEST(SpanTree, OptionsLeaveOutAndMask) {
  OwnedSpan one = span("work", 1, 0, 0, 3);
  one.status = StatusCode::error;
  one.attributes = {attribute("server.port", "45123"), attribute("secret", "x"),
                    attribute("topic", "orders")};
  one.events = {{"event", 0, {attribute("secret", "y")}}};
  one.links = {{one.context, {attribute("server.port", "1")}}};

  TreeOptions masked;
  masked.without = {"secret"};
  masked.masked = {{"server.port", "<port>"}};
  EXPECT_EQ(span_tree({one}, masked), R"(
work INTERNAL
  status ERROR
  server.port = <port>
  topic = orders
  event event
  link -> work {server.port = <port>}
)");

  TreeOptions bare;
  bare.attributes = bare.links = bare.events = bare.status = false;
  bare.durations = true;
  EXPECT_EQ(span_tree({one}, bare), "\nwork INTERNAL 3ms\n");
}

TEST(SpanTree, DurationsAreExact) {
  const auto lasting = [](std::int64_t nanos) {
    OwnedSpan one = span("s", 1);
    one.end_unix_nanos = nanos;
    TreeOptions options;
    options.durations = true;
    return span_tree({one}, options);
  };
  EXPECT_EQ(lasting(0), "\ns INTERNAL 0ns\n");
  EXPECT_EQ(lasting(999), "\ns INTERNAL 999ns\n");
  EXPECT_EQ(lasting(1500), "\ns INTERNAL 1.5us\n");
  EXPECT_EQ(lasting(1000001), "\ns INTERNAL 1.000001ms\n");
  EXPECT_EQ(lasting(2000000000), "\ns INTERNAL 2s\n");
}

TEST(SpanTree, NeitherIdsNorOrderOfArrivalShow) {
  std::mt19937_64 random(7);
  std::string first;
  for (int round = 0; round < 20; ++round) {
    // Two roots alike, three children alike but for an attribute, all at one time: only what is printed can
    // order them.
    std::vector<OwnedSpan> spans;
    for (int root = 0; root < 2; ++root) {
      const std::uint64_t id = random() | 1U;
      spans.push_back(span("root", id));
      for (const char* offset : {"2", "0", "1"}) {
        OwnedSpan child = span("process", random() | 1U, id);
        child.attributes = {attribute("offset", offset)};
        child.links = {{spans.front().context, {}}};
        if (root == 0) child.attributes.push_back(attribute("first", "yes"));
        spans.push_back(child);
      }
    }
    std::shuffle(spans.begin(), spans.end(), random);
    const std::string text = span_tree(spans);
    if (first.empty()) first = text;
    ASSERT_EQ(text, first);
  }
}

TEST(SpanTree, ACycleOfParentsIsShownOnceAndEnds) {
  EXPECT_EQ(span_tree({span("a", 1, 2), span("b", 2, 1), span("own", 3, 3)}), R"(
a INTERNAL
  b INTERNAL
own INTERNAL
  parent (not here)
)");
}

TEST(SpanTree, ADeepChainNeedsNoDeepStack) {
  constexpr std::uint64_t depth = 3000;
  std::vector<OwnedSpan> spans;
  for (std::uint64_t i = 1; i <= depth; ++i)
    spans.push_back(span("s", i, i - 1));
  const std::string text = span_tree(spans);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), static_cast<std::ptrdiff_t>(depth + 1));
}

TEST(SpanTree, SubtreesAlikeAtTheTopAreOrderedByWhatIsBelow) {
  // Two roots alike; only a grandchild tells them apart, and ids say nothing.
  const auto tree = [](bool swapped) {
    const std::uint64_t shift = swapped ? 100 : 0;
    std::vector<OwnedSpan> spans = {span("root", 1 + shift),
                                    span("step", 2 + shift, 1 + shift),
                                    span("b", 3 + shift, 2 + shift),
                                    span("root", 101 - shift),
                                    span("step", 102 - shift, 101 - shift),
                                    span("a", 103 - shift, 102 - shift)};
    if (swapped) std::reverse(spans.begin(), spans.end());
    return span_tree(spans);
  };
  EXPECT_EQ(tree(false), R"(
root INTERNAL
  step INTERNAL
    a INTERNAL
root INTERNAL
  step INTERNAL
    b INTERNAL
)");
  EXPECT_EQ(tree(true), tree(false));
}

TEST(SpanTree, NamesCannotBreakLines) {
  EXPECT_EQ(span_tree({span("two\nlines", 1)}), "\ntwo\\nlines INTERNAL\n");
}

TEST(SpanTree, OfRealSpans) {
  midtrace::testing::Recorder recorder;
  {
    midtrace::Span root = midtrace::Tracer::get("shop").start("handle order", {.kind = SpanKind::server});
    const midtrace::Scope scope = root.activate();
    midtrace::Span send = midtrace::Tracer::get("shop").start("send orders", {.kind = SpanKind::producer});
    send.set_error("_MSG_TIMED_OUT");
  }
  EXPECT_EQ(recorder.tree(), R"(
handle order SERVER
  send orders PRODUCER
    status ERROR
    error.type = _MSG_TIMED_OUT
)");
}

}  // namespace
