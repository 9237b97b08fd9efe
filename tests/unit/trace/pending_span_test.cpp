// PendingSpan: a span of an asynchronous operation while nobody writes into it.
#include <array>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

static_assert(sizeof(PendingSpan) <= 96);
static_assert(!std::is_copy_constructible_v<PendingSpan>);

Tracer tracer() { return Tracer::get("pending_test"); }

TEST(PendingSpan, becomes_a_span_that_began_when_it_did) {
  testing::Recorder recorder;
  {
    Span order = tracer().start("order");
    PendingSpan pending;
    SpanContext on_the_wire;
    {
      const Scope scope = order.activate();
      pending = tracer().start_pending("send", {.kind = SpanKind::producer});
      on_the_wire = pending.context();
      EXPECT_TRUE(pending.recording());
    }
    recorder.clock().advance(std::chrono::milliseconds(3));
    std::thread([moved = std::move(pending), on_the_wire]() mutable {
      const std::array<Attribute, 1> attributes{{{"partition", 4}}};
      Span sent = tracer().resume(std::move(moved), "send orders",
                                  {.kind = SpanKind::producer, .attributes = attributes});
      EXPECT_EQ(sent.context(), on_the_wire);
      sent.set("offset", 17);
    }).join();
  }
  EXPECT_EQ(recorder.tree({.durations = true}), R"(
order INTERNAL 3ms
  send orders PRODUCER 3ms
    offset = 17
    partition = 4
)");
  EXPECT_EQ(recorder.counters()[Counter::operations_lost], 0U);
}

TEST(PendingSpan, remembers_a_remote_parent_and_links_are_given_again) {
  testing::Recorder recorder;
  Context from_afar;
  from_afar.span.trace_id = {1, 1};
  from_afar.span.span_id = {2};
  from_afar.span.flags.bits = TraceFlags::sampled_bit;
  from_afar.span.remote = true;
  const std::array<Link, 1> links{{{from_afar.span}}};
  PendingSpan pending = tracer().start_pending("receive", {.parent = &from_afar, .links = links});
  tracer().resume(std::move(pending), "receive", {.kind = SpanKind::client, .links = links}).end();
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_TRUE(spans[0].parent_remote);
  EXPECT_EQ(spans[0].parent_span_id, SpanId{2});
  EXPECT_EQ(spans[0].links.size(), 1U);
  EXPECT_EQ(spans[0].kind, SpanKind::client);
}

TEST(PendingSpan, that_is_unsampled_resumes_as_a_span_that_does_not_record) {
  testing::Recorder recorder({.sampler = always_off_sampler()});
  PendingSpan pending = tracer().start_pending("silent");
  EXPECT_FALSE(pending.recording());
  const SpanContext context = pending.context();
  EXPECT_TRUE(context.valid());
  Span span = tracer().resume(std::move(pending), "silent");
  EXPECT_FALSE(span.recording());
  EXPECT_EQ(span.context(), context);
  { const PendingSpan forgotten = tracer().start_pending("silent"); }
  EXPECT_EQ(recorder.counters()[Counter::operations_lost], 0U);
}

TEST(PendingSpan, that_is_never_resumed_counts_as_a_lost_operation_once) {
  testing::Recorder recorder;
  {
    PendingSpan lost = tracer().start_pending("lost");
    PendingSpan moved = std::move(lost);
    PendingSpan overwritten = tracer().start_pending("overwritten");
    overwritten = std::move(moved);
  }
  EXPECT_EQ(recorder.counters()[Counter::operations_lost], 2U);
  EXPECT_EQ(recorder.tree(), "\n");
}

TEST(PendingSpan, that_is_discarded_is_not_a_loss) {
  testing::Recorder recorder;
  {
    PendingSpan pending = tracer().start_pending("regretted");
    pending.discard();
    EXPECT_FALSE(pending.recording());
    pending.discard();
    PendingSpan none;
    EXPECT_FALSE(none.recording());
    none.discard();
  }
  EXPECT_EQ(recorder.counters()[Counter::operations_lost], 0U);
}

TEST(PendingSpan, resumes_once) {
  testing::Recorder recorder;
  PendingSpan pending = tracer().start_pending("once");
  Span first = tracer().resume(std::move(pending), "once");
  Span second = tracer().resume(std::move(pending), "twice");  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(first.recording());
  EXPECT_FALSE(second.recording());
}

TEST(PendingSpan, may_be_open_in_any_number_without_holding_records) {
  testing::Recorder recorder({.batch = {.memory_bytes = 64 * 1024}});
  std::vector<PendingSpan> open;
  for (int i = 0; i < 100000; ++i)
    open.push_back(tracer().start_pending("send"));
  EXPECT_EQ(recorder.counters()[Counter::dropped_no_record], 0U);
  for (PendingSpan& pending : open) {
    tracer().resume(std::move(pending), "send").end();
    if (recorder.counters()[Counter::spans_finished] % 16 == 0) recorder.telemetry().flush();
  }
  const Counters counters = recorder.counters();
  EXPECT_EQ(counters[Counter::dropped_no_record] + counters[Counter::dropped_queue_full], 0U);
  EXPECT_EQ(recorder.counters()[Counter::spans_exported], 100000U);
}

}  // namespace
}  // namespace midtrace
