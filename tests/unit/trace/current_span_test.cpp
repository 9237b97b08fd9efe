// current_span() annotates the span of the innermost scope of this thread, as long as it runs.
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/context/bind.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/current_span.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("current_span_test"); }

void price() {
  current_span().set("order.lines", 3);
  current_span().set(semconv::server_port, 9092);
  const Attribute attributes[] = {{"a", 1}, {"b", "two"}};
  current_span().set(attributes);
  current_span().add_event("priced", {{"total", 12.5}});
}

TEST(CurrentSpan, isAnnotatedFromAnywhereBelowItsScope) {
  testing::Recorder recorder;
  {
    const Span order = tracer().start("order");
    const Scope scope = order.activate();
    price();
    EXPECT_TRUE(current_span().recording());
    EXPECT_EQ(current_span().context(), order.context());
  }
  EXPECT_EQ(recorder.tree(), R"(
order INTERNAL
  a = 1
  b = two
  order.lines = 3
  server.port = 9092
  event priced {total = 12.5}
)");
}

TEST(CurrentSpan, takesANameAStatusALinkAndAnException) {
  testing::Recorder recorder;
  Link link;
  {
    const Span other = tracer().start("other");
    link.context = other.context();
    const Span order = tracer().start("order");
    const Scope scope = order.activate();
    current_span().set_name("renamed");
    current_span().add_link(link);
    current_span().set_error("declined", "card");
    current_span().record_exception(std::runtime_error("no"));
  }
  EXPECT_EQ(recorder.tree(), R"(
other INTERNAL
renamed INTERNAL
  status ERROR: card
  error.type = declined
  event exception {exception.message = no, exception.type = std::runtime_error}
  link -> other
)");
}

TEST(CurrentSpan, isTheInnermostAndThenTheOuterAgain) {
  testing::Recorder recorder;
  {
    const Span outer = tracer().start("outer");
    const Scope outer_scope = outer.activate();
    {
      const Span inner = tracer().start("inner");
      const Scope inner_scope = inner.activate();
      current_span().set("depth", 2);
    }
    current_span().set("depth", 1);
  }
  EXPECT_EQ(recorder.tree(), R"(
outer INTERNAL
  depth = 1
  inner INTERNAL
    depth = 2
)");
}

TEST(CurrentSpan, recordsNothingWithoutAScopeOrTracing) {
  EXPECT_FALSE(current_span().recording());
  current_span().set("a", 1);
  testing::Recorder recorder;
  const Span order = tracer().start("order");
  EXPECT_FALSE(current_span().recording()) << "it is not current";
  EXPECT_FALSE(current_span().context().valid());
}

TEST(CurrentSpan, recordsNothingOnceTheSpanHasEnded) {
  testing::Recorder recorder;
  {
    Span order = tracer().start("order");
    const Scope scope = order.activate();
    order.end();
    EXPECT_FALSE(current_span().recording());
    current_span().set("late", true);
    // Another span may have the same record now.
    Span other = tracer().start("other");
    current_span().set("late", true);
    other.end();
    EXPECT_TRUE(current_span().context().valid()) << "the context stays current as long as the scope";
  }
  {
    Span order = tracer().start("discarded");
    const Scope scope = order.activate();
    order.discard();
    EXPECT_FALSE(current_span().recording());
    const Span other = tracer().start("after it");
    current_span().set("late", true);
  }
  EXPECT_EQ(recorder.tree(), R"(
after it INTERNAL
  parent (not here)
order INTERNAL
  other INTERNAL
)");
}

TEST(CurrentSpan, recordsNothingElsewhereThanOnTheThreadOfItsScope) {
  testing::Recorder recorder;
  {
    const Span order = tracer().start("order");
    const Scope scope = order.activate();
    start_thread([] {
      EXPECT_FALSE(current_span().recording()) << "a bound context is ids, not a record";
      EXPECT_TRUE(current_span().context().valid());
      current_span().set("elsewhere", true);
    }).join();
  }
  EXPECT_EQ(recorder.tree(), R"(
order INTERNAL
)");
}

TEST(CurrentSpan, recordsNothingForASpanThatIsNotSampled) {
  testing::Recorder recorder({.sampler = always_off_sampler()});
  const Span order = tracer().start("order");
  const Scope scope = order.activate();
  EXPECT_FALSE(current_span().recording());
  current_span().set("a", 1);
  EXPECT_EQ(recorder.tree(), "\n");
}

// What was current on a thread is looked at there, while the record serves others.
TEST(CurrentSpan, thatEndedIsSafeToLookAtWhileOthersUseItsRecord) {
  testing::Recorder recorder({.batch = {.queue_size = 65536}});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int j = 0; j < 2000; ++j) {
        Span span = tracer().start("span");
        const Scope scope = span.activate();
        current_span().set("inside", j);
        std::thread ended_elsewhere;
        if (j % 500 == 0) {
          ended_elsewhere = std::thread([moved = std::move(span)]() mutable { moved.end(); });
          ended_elsewhere.join();
        } else {
          span.end();
        }
        current_span().set("outside", j);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (const testing::OwnedSpan& span : recorder.spans()) {
    EXPECT_EQ(span.attributes.size(), 1U);
    EXPECT_EQ(span.attribute("outside"), "");
  }
}

}  // namespace
}  // namespace midtrace
