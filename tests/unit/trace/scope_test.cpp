// The current context of a thread, and the scopes that change it.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/propagation/carrier.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("scope_test"); }

Context context_of(std::uint64_t number) {
  Context context;
  context.span.trace_id = {1, number};
  context.span.span_id = {number};
  return context;
}

std::uint64_t current_number() { return Context::current().span.span_id.value; }

TEST(Scope, makes_a_context_current_until_it_ends) {
  EXPECT_EQ(Context::current(), Context());
  {
    const Scope outer(context_of(1));
    EXPECT_EQ(Context::current(), context_of(1));
    {
      const Scope inner(context_of(2));
      EXPECT_EQ(current_number(), 2U);
    }
    EXPECT_EQ(current_number(), 1U);
  }
  EXPECT_EQ(Context::current(), Context());
}

TEST(Scope, ends_early_once) {
  const Scope outer(context_of(1));
  Scope inner(context_of(2));
  inner.end();
  EXPECT_EQ(current_number(), 1U);
  inner.end();
  EXPECT_EQ(current_number(), 1U);
}

TEST(Scope, belongs_to_its_thread) {
  const Scope scope(context_of(1));
  std::thread([] {
    EXPECT_EQ(Context::current(), Context());
    const Scope other(context_of(2));
    EXPECT_EQ(current_number(), 2U);
  }).join();
  EXPECT_EQ(current_number(), 1U);
}

TEST(Scope, carries_a_context_that_was_handed_to_another_thread) {
  testing::Recorder recorder;
  {
    Span order = tracer().start("order");
    const Scope scope = order.activate();
    std::thread([context = Context::current()] {
      const Scope here(context);
      tracer().start("work").end();
    }).join();
  }
  EXPECT_EQ(recorder.tree(), R"(
order INTERNAL
  work INTERNAL
)");
}

TEST(Scope, that_ends_before_an_inner_one_is_counted_and_the_inner_one_stays_current) {
  testing::Recorder recorder;
  auto outer = std::make_unique<Scope>(context_of(1));
  auto inner = std::make_unique<Scope>(context_of(2));
  outer.reset();
  EXPECT_EQ(current_number(), 2U);
  EXPECT_EQ(recorder.counters()[Counter::scopes_ended_out_of_order], 1U);
  inner.reset();
  EXPECT_EQ(Context::current(), Context());
  EXPECT_EQ(recorder.counters()[Counter::scopes_ended_out_of_order], 1U);
}

TEST(Scope, that_ends_out_of_order_in_the_middle_leaves_its_neighbours_alone) {
  auto first = std::make_unique<Scope>(context_of(1));
  auto second = std::make_unique<Scope>(context_of(2));
  auto third = std::make_unique<Scope>(context_of(3));
  second.reset();
  EXPECT_EQ(current_number(), 3U);
  const auto fourth = std::make_unique<Scope>(context_of(4));
  third.reset();
  EXPECT_EQ(current_number(), 4U);
  first.reset();
  EXPECT_EQ(current_number(), 4U);
}

TEST(Scope, that_ends_on_another_thread_is_counted_and_repaired_at_the_owners_next_look) {
  testing::Recorder recorder;
  const Scope outer(context_of(1));
  auto inner = std::make_unique<Scope>(context_of(2));
  std::thread([&inner] { inner.reset(); }).join();
  EXPECT_EQ(recorder.counters()[Counter::scopes_ended_elsewhere], 1U);
  EXPECT_EQ(current_number(), 1U);
}

TEST(Scope, may_end_in_order_after_an_inner_one_ended_elsewhere) {
  testing::Recorder recorder;
  auto outer = std::make_unique<Scope>(context_of(1));
  auto inner = std::make_unique<Scope>(context_of(2));
  std::thread([&inner] { inner.reset(); }).join();
  outer.reset();
  EXPECT_EQ(Context::current(), Context());
  EXPECT_EQ(recorder.counters()[Counter::scopes_ended_out_of_order], 0U)
      << "the outer scope did nothing wrong";
}

TEST(Scope, may_outlive_its_thread) {
  testing::Recorder recorder;
  std::unique_ptr<Scope> left_over;
  std::thread([&left_over] { left_over = std::make_unique<Scope>(context_of(9)); }).join();
  // Most probably on the same recycled block.
  std::thread([&left_over] {
    EXPECT_EQ(Context::current(), Context());
    const Scope own(context_of(1));
    left_over.reset();
    EXPECT_EQ(current_number(), 1U) << "the scope of the thread that ended took nothing from this one";
  }).join();
  EXPECT_EQ(Context::current(), Context());
}

TEST(Scope, nests_1024_deep_and_counts_what_is_deeper) {
  testing::Recorder recorder;
  std::vector<std::unique_ptr<Scope>> scopes;
  for (std::uint64_t i = 1; i <= 1100; ++i) {
    scopes.push_back(std::make_unique<Scope>(context_of(i)));
    EXPECT_EQ(current_number(), std::min<std::uint64_t>(i, 1024));
  }
  EXPECT_EQ(recorder.counters()[Counter::scopes_too_deep], 76U);
  for (std::uint64_t i = 1100; i >= 1; --i) {
    scopes.pop_back();
    EXPECT_EQ(current_number(), std::min<std::uint64_t>(i - 1, 1024));
  }
  EXPECT_EQ(recorder.counters()[Counter::scopes_ended_out_of_order], 0U);
}

TEST(Scope, of_a_span_keeps_baggage_and_suppression_of_what_is_current) {
  testing::Recorder recorder;
  Context around;
  around.baggage = Baggage().with("tenant", "blue");
  const Scope outer(suppressed(around));
  Span span = tracer().start("work");
  const Scope inner = span.activate();
  EXPECT_EQ(Context::current().baggage.get("tenant"), "blue");
  EXPECT_TRUE(Context::current().suppressed);
  EXPECT_EQ(Context::current().span, span.context());
}

TEST(Scope, of_a_span_takes_baggage_and_suppression_from_a_context_that_is_given) {
  testing::Recorder recorder;
  Context ambient;
  ambient.baggage = Baggage().with("tenant", "blue");
  const Scope outer(suppressed(ambient));
  Context around = context_of(4);
  around.baggage = Baggage().with("tenant", "red");
  Span span = tracer().start("work");
  const Scope inner = span.activate(around);
  EXPECT_EQ(Context::current().baggage.get("tenant"), "red");
  EXPECT_FALSE(Context::current().suppressed);
  EXPECT_EQ(Context::current().span, span.context());
}

TEST(Suppression, is_obeyed_by_modules_and_not_by_spans_that_the_application_starts) {
  testing::Recorder recorder;
  {
    Span outer = tracer().start("outer");
    const Scope current = outer.activate();
    const Scope quiet(suppressed(Context::current()));
    Span inner = tracer().start("by hand");
    EXPECT_TRUE(inner.recording());
    const Scope below = inner.activate();
    EXPECT_TRUE(Context::current().suppressed) << "a span's scope does not lift it";
    EXPECT_EQ(Context::current().span.span_id, inner.context().span_id);
  }
  EXPECT_FALSE(Context::current().suppressed) << "it ends with its scope";
  EXPECT_EQ(recorder.tree(), R"(
outer INTERNAL
  by hand INTERNAL
)");
}

TEST(Suppression, lets_the_application_inject_the_context_itself) {
  testing::Recorder recorder;
  Span span = tracer().start("span");
  const Scope current = span.activate();
  const Scope quiet(suppressed(Context::current()));
  MapCarrier::Map headers;
  MapCarrier carrier(headers);
  propagator().inject(Context::current(), carrier);
  EXPECT_EQ(headers.count("traceparent"), 1U);
}

TEST(Suppression, is_a_property_of_the_context) {
  EXPECT_FALSE(Context::current().suppressed);
  {
    const Scope scope(suppressed(Context::current()));
    EXPECT_TRUE(Context::current().suppressed);
  }
  EXPECT_FALSE(Context::current().suppressed);
}

TEST(Scope, does_not_end_the_span_and_outlives_it) {
  testing::Recorder recorder;
  {
    Span span = tracer().start("short");
    const Scope scope = span.activate();
    span.end();
    EXPECT_EQ(Context::current().span, span.context());
    tracer().start("child of what has ended").end();
  }
  EXPECT_EQ(recorder.tree(), R"(
short INTERNAL
  child of what has ended INTERNAL
)");
}

TEST(Scope, works_without_setup_so_that_contexts_are_forwarded) {
  const Scope scope(context_of(5));
  Span span = tracer().start("not recorded");
  EXPECT_FALSE(span.recording());
  EXPECT_EQ(span.context(), context_of(5).span) << "without a tracer the ambient context goes on unchanged";
  const Context other = context_of(6);
  EXPECT_EQ(tracer().start("not recorded", {.parent = &other}).context(), other.span);
  const Scope none{Context()};
  EXPECT_FALSE(tracer().start("not recorded").context().valid());
}

}  // namespace
}  // namespace midtrace
