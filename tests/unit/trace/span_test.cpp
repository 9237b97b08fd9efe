// What a span is: its place in the tree, its name and kind, how it ends, and who owns it.
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

static_assert(!std::is_copy_constructible_v<Span> && std::is_nothrow_move_constructible_v<Span>);
static_assert(!std::is_copy_assignable_v<Span> && std::is_nothrow_move_assignable_v<Span>);
static_assert(!std::is_move_constructible_v<Scope>);

Tracer tracer() { return Tracer::get("span_test", "1.2", "https://example.com/schema"); }

TEST(Span, that_starts_while_another_is_active_becomes_its_child) {
  testing::Recorder recorder;
  {
    Span order = tracer().start("order", {.kind = SpanKind::server});
    const Scope scope = order.activate();
    Span reserve = tracer().start("reserve");
    {
      const Scope inner = reserve.activate();
      Span lookup = tracer().start("lookup", {.kind = SpanKind::client});
    }
    reserve.end();
    Span pay = tracer().start("pay", {.kind = SpanKind::producer});
    Span seen = tracer().start("seen", {.kind = SpanKind::consumer});
  }
  EXPECT_EQ(recorder.tree(), R"(
order SERVER
  pay PRODUCER
  reserve INTERNAL
    lookup CLIENT
  seen CONSUMER
)");
}

TEST(Span, that_is_not_active_has_no_children) {
  testing::Recorder recorder;
  {
    Span first = tracer().start("first");
    Span second = tracer().start("second");
  }
  EXPECT_EQ(recorder.tree(), R"(
first INTERNAL
second INTERNAL
)");
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_NE(spans[0].context.trace_id, spans[1].context.trace_id);
}

TEST(Span, with_an_explicit_parent_ignores_the_active_one) {
  testing::Recorder recorder;
  {
    Span chosen = tracer().start("chosen");
    Span active = tracer().start("active");
    const Scope scope = active.activate();
    Context parent;
    parent.span = chosen.context();
    Span child = tracer().start("child", {.parent = &parent});
  }
  EXPECT_EQ(recorder.tree(), R"(
active INTERNAL
chosen INTERNAL
  child INTERNAL
)");
}

TEST(Span, with_an_empty_context_as_parent_is_a_new_root) {
  testing::Recorder recorder;
  {
    Span active = tracer().start("active");
    const Scope scope = active.activate();
    const Context none;
    Span root = tracer().start("root", {.parent = &none});
    EXPECT_NE(root.context().trace_id, active.context().trace_id);
  }
  EXPECT_EQ(recorder.tree(), R"(
active INTERNAL
root INTERNAL
)");
}

TEST(Span, with_a_parent_that_lacks_one_of_its_ids_is_a_new_root) {
  testing::Recorder recorder;
  Context no_span_id;
  no_span_id.span.trace_id = {1, 2};
  Context no_trace_id;
  no_trace_id.span.span_id = {3};
  {
    Span a = tracer().start("a", {.parent = &no_span_id});
    Span b = tracer().start("b", {.parent = &no_trace_id});
    EXPECT_NE(a.context().trace_id, (TraceId{1, 2}));
  }
  for (const testing::OwnedSpan& span : recorder.spans())
    EXPECT_FALSE(span.parent_span_id.valid()) << span.name;
}

TEST(Span, of_a_remote_parent_says_so_and_is_itself_local) {
  testing::Recorder recorder;
  Context from_afar;
  from_afar.span.trace_id = {7, 8};
  from_afar.span.span_id = {9};
  from_afar.span.flags.bits = TraceFlags::sampled_bit;
  from_afar.span.remote = true;
  from_afar.span.trace_state = TraceState::parse("vendor=value");
  {
    Span span = tracer().start("handle", {.parent = &from_afar});
    EXPECT_FALSE(span.context().remote);
    EXPECT_EQ(span.context().trace_id, (TraceId{7, 8}));
    EXPECT_EQ(span.context().trace_state.header(), "vendor=value");
  }
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_TRUE(spans[0].parent_remote);
  EXPECT_EQ(spans[0].parent_span_id, SpanId{9});
  EXPECT_EQ(recorder.tree(), R"(
handle INTERNAL
  parent (not here)
)");
}

TEST(Span, carries_its_scope_name_version_and_schema) {
  testing::Recorder recorder;
  tracer().start("a").end();
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].scope_name, "span_test");
  EXPECT_EQ(spans[0].scope_version, "1.2");
  EXPECT_EQ(spans[0].scope_schema_url, "https://example.com/schema");
}

TEST(Tracer, is_the_same_for_the_same_scope_and_another_for_another_version) {
  const std::string name = "some.library";
  EXPECT_EQ(&Tracer::get(name, "1").scope(), &Tracer::get("some.library", "1").scope());
  EXPECT_NE(&Tracer::get(name, "1").scope(), &Tracer::get(name, "2").scope());
  EXPECT_NE(&Tracer::get(name, "1").scope(), &Tracer::get(name, "1", "schema").scope());
}

TEST(Span, copies_its_name_and_can_be_renamed) {
  testing::Recorder recorder;
  {
    std::string name = "temporary";
    Span span = tracer().start(name);
    name = "OVERWRITE";
    Span renamed = tracer().start("before");
    name = "after";
    renamed.set_name(name);
    name = "XXXXX";
    Span nameless = tracer().start("");
  }
  EXPECT_EQ(recorder.tree(), R"(
 INTERNAL
after INTERNAL
temporary INTERNAL
)");
}

TEST(Span, keeps_a_name_that_is_longer_than_a_record) {
  testing::Recorder recorder;
  const std::string name(5000, 'n');
  tracer().start(name).end();
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].name, name);
}

TEST(Span, lasts_from_its_start_to_its_end) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("work");
    recorder.clock().advance(std::chrono::milliseconds(20));
    Span inner = tracer().start("late", {.start_tick = recorder.clock().now() - 5000});
  }
  EXPECT_EQ(recorder.tree({.durations = true}), R"(
work INTERNAL 20ms
late INTERNAL 5us
)");
}

TEST(Span, never_lasts_less_than_nothing) {
  testing::Recorder recorder;
  tracer().start("from the future", {.start_tick = recorder.clock().now() + 1000}).end();
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].end_unix_nanos, spans[0].start_unix_nanos);
}

TEST(Span, ends_once_however_often_end_is_called) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("once");
    span.end();
    EXPECT_FALSE(span.recording());
    recorder.clock().advance(std::chrono::seconds(1));
    span.end();
    span.set("late", 1);
    span.set_name("late");
    span.set_status(StatusCode::error, "late");
    span.add_event("late");
    span.add_link({span.context()});
  }
  EXPECT_EQ(recorder.tree({.durations = true}), R"(
once INTERNAL 0ns
)");
  EXPECT_EQ(recorder.counters()[Counter::spans_finished], 1U);
}

TEST(Span, keeps_its_context_after_its_end) {
  testing::Recorder recorder;
  Span span = tracer().start("ended");
  const SpanContext context = span.context();
  span.end();
  EXPECT_EQ(span.context(), context);
  Context parent;
  parent.span = span.context();
  tracer().start("follow-up", {.parent = &parent}).end();
  EXPECT_EQ(recorder.tree(), R"(
ended INTERNAL
  follow-up INTERNAL
)");
}

TEST(Span, that_is_discarded_is_not_exported_and_not_a_loss) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("regretted");
    span.set("a.long.value", std::string(10000, 'x'));
    span.discard();
    EXPECT_FALSE(span.recording());
    span.discard();
    span.end();
  }
  EXPECT_EQ(recorder.tree(), "\n");
  EXPECT_EQ(recorder.counters()[Counter::spans_started], 1U);
  EXPECT_EQ(recorder.counters()[Counter::spans_finished], 0U);
  EXPECT_EQ(recorder.counters().dropped_spans(), 0U);
}

TEST(Span, goes_on_in_whom_it_was_moved_to) {
  testing::Recorder recorder;
  {
    Span first = tracer().start("moved");
    first.set("before", 1);
    Span second = std::move(first);
    EXPECT_FALSE(
        first.recording());  // NOLINT(bugprone-use-after-move): what a moved-from span does is specified
    first.set("lost", 1);
    first.end();
    EXPECT_TRUE(second.recording());
    second.set("after", 2);
  }
  EXPECT_EQ(recorder.tree(), R"(
moved INTERNAL
  after = 2
  before = 1
)");
}

TEST(Span, ends_when_another_is_assigned_to_it) {
  testing::Recorder recorder;
  Span span = tracer().start("first");
  recorder.clock().advance(std::chrono::milliseconds(1));
  span = tracer().start("second");
  recorder.clock().advance(std::chrono::milliseconds(2));
  Span& same = span;
  span = std::move(same);
  EXPECT_TRUE(span.recording());
  span.end();
  EXPECT_EQ(recorder.tree({.durations = true}), R"(
first INTERNAL 1ms
second INTERNAL 2ms
)");
}

TEST(Span, that_was_made_by_default_does_nothing) {
  testing::Recorder recorder;
  {
    Span none;
    EXPECT_FALSE(none.recording());
    EXPECT_FALSE(none.context().valid());
    none.set("a", 1);
    none.set_error("x");
    none.add_event("x");
    const Scope scope = none.activate();
    EXPECT_FALSE(Context::current().span.valid());
    none.discard();
  }
  EXPECT_EQ(recorder.tree(), "\n");
}

TEST(Span, may_be_handed_to_another_thread_and_end_there) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("travels");
    span.set("on.main", 1);
    std::thread([moved = std::move(span)]() mutable {
      moved.set("on.thread", std::string(6000, 'y'));
      const Scope scope = moved.activate();
      tracer().start("child").end();
    }).join();
  }
  EXPECT_EQ(recorder.tree({.without = {"on.thread"}}), R"(
travels INTERNAL
  on.main = 1
  child INTERNAL
)");
  EXPECT_EQ(recorder.spans().size(), 2U);
}

TEST(Span, has_ids_that_never_repeat) {
  testing::Recorder recorder({.random_ids = true});
  for (int i = 0; i < 1000; ++i)
    tracer().start("x").end();
  std::map<SpanId, int> span_ids;
  std::map<TraceId, int> trace_ids;
  for (const testing::OwnedSpan& span : recorder.spans()) {
    ++span_ids[span.context.span_id];
    ++trace_ids[span.context.trace_id];
    EXPECT_TRUE(span.context.valid());
  }
  EXPECT_EQ(span_ids.size(), 1000U);
  EXPECT_EQ(trace_ids.size(), 1000U);
}

TEST(Span, of_an_unsampled_trace_records_nothing_but_has_a_context) {
  testing::Recorder recorder({.sampler = always_off_sampler()});
  bool ran = false;
  {
    Span span = tracer().start("silent");
    EXPECT_FALSE(span.recording());
    EXPECT_TRUE(span.context().valid());
    EXPECT_FALSE(span.context().sampled());
    constexpr AttributeKey<std::string_view> key{"expensive"};
    span.set_lazy(key, [&ran] {
      ran = true;
      return std::string("value");
    });
    const Scope scope = span.activate();
    Span child = tracer().start("child");
    EXPECT_EQ(child.context().trace_id, span.context().trace_id);
    EXPECT_NE(child.context().span_id, span.context().span_id);
  }
  EXPECT_FALSE(ran);
  EXPECT_EQ(recorder.tree(), "\n");
  EXPECT_EQ(recorder.counters()[Counter::spans_started], 2U);
  EXPECT_EQ(recorder.counters()[Counter::spans_sampled], 0U);
}

}  // namespace
}  // namespace midtrace
