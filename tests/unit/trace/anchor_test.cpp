// Several copies of midtrace in one process act as one: this program has one and exports the anchor, the
// plugin that it loads with RTLD_LOCAL has another.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

#include "anchor_plugin.h"
#include "test_exporters.h"

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("program"); }

void* load() {
  void* library = dlopen(MIDTRACE_TEST_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) ADD_FAILURE() << dlerror();
  return library;
}

const Plugin& plugin() {
  static const Plugin& loaded = *[] {
    auto* entry = reinterpret_cast<const Plugin* (*)()>(dlsym(load(), "midtrace_test_plugin"));
    return entry();
  }();
  return loaded;
}

// What callbacks into this program saw.
Context seen;
void look() { seen = Context::current(); }

TEST(Anchor, has_one_cell_in_the_program_and_a_copy_of_the_library_in_the_plugin) {
  EXPECT_NE(dlsym(RTLD_DEFAULT, "midtrace_anchor_v1"), nullptr) << "the program must export it";
  void* library = load();
  EXPECT_NE(dlsym(library, "midtrace_anchor_v1"), dlsym(RTLD_DEFAULT, "midtrace_anchor_v1"));
  dlclose(library);
}

TEST(Anchor, joins_spans_of_the_program_and_of_the_plugin_to_one_trace) {
  testing::Recorder recorder;
  {
    Span order = tracer().start("order");
    const Scope scope = order.activate();
    plugin().span_around("in the plugin", [] {
      Span inner = tracer().start("in the program again");
      const Scope deeper = inner.activate();
      plugin().span_around("in the plugin again", [] {});
    });
    tracer().start("afterwards").end();
  }
  EXPECT_EQ(recorder.tree(), R"(
order INTERNAL
  afterwards INTERNAL
  in the plugin INTERNAL
    in the program again INTERNAL
      in the plugin again INTERNAL
)");
  EXPECT_EQ(recorder.counters()[Counter::spans_exported], 5U) << "each span once";
}

TEST(Anchor, shows_the_context_of_the_program_to_the_plugin) {
  testing::Recorder recorder;
  EXPECT_EQ(plugin().current().span_id, 0U);
  Span order = tracer().start("order");
  Context around;
  around.baggage = Baggage().with("tenant", "blue");
  const Scope scope = order.activate(suppressed(around));
  const PluginContext there = plugin().current();
  EXPECT_EQ(there.trace_id_low, order.context().trace_id.low);
  EXPECT_EQ(there.span_id, order.context().span_id.value);
  EXPECT_STREQ(there.tenant, "blue");
  EXPECT_EQ(there.suppressed, 1);
}

TEST(Anchor, shows_the_context_of_the_plugin_to_the_program) {
  testing::Recorder recorder;
  plugin().span_around("in the plugin", [] { look(); });
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(seen.span.span_id, spans[0].context.span_id);
  plugin().tenant_around("green", [] { look(); });
  EXPECT_EQ(seen.baggage.get("tenant"), "green");
  EXPECT_EQ(seen.baggage.find("tenant")->metadata, "metadata");
  EXPECT_TRUE(seen.suppressed);
  EXPECT_EQ(Context::current(), Context());
}

TEST(Anchor, carries_everything_a_span_holds) {
  testing::Recorder recorder;
  plugin().rich_span();
  EXPECT_EQ(recorder.tree(), R"(
rich, renamed CONSUMER
  status ERROR: went wrong
  at.start = 1
  bool = true
  bools = [true, false]
  integer = -3
  integers = [1, -1]
  real = 1.5
  reals = [0.5]
  replaced = last
  string = ssssssssss
  strings = [a, b]
  event event {key = value}
  link -> (not here) {offset = 7}
  link -> (not here) {offset = 7}
)");
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].scope_name, "plugin");
  EXPECT_EQ(spans[0].scope_version, "2.0");
  EXPECT_EQ(spans[0].links.at(1).context.trace_state.header(), "vendor=link");
  EXPECT_EQ(spans[0].events.at(0).unix_nanos, spans[0].start_unix_nanos)
      << "the plugin's ticks are those of the program's clock";
}

TEST(Anchor, reads_the_programs_clock_in_the_plugin) {
  testing::Recorder recorder;
  plugin().current();
  EXPECT_EQ(plugin().now_unix_nanos(), tick_to_unix_nanos(current_tick()));
  recorder.clock().advance(std::chrono::hours(1));
  EXPECT_EQ(plugin().now_unix_nanos(), tick_to_unix_nanos(current_tick()));
}

TEST(Anchor, keeps_links_and_counts_those_beyond_the_limit_as_in_one_copy) {
  testing::Recorder recorder;
  plugin().linked_span(3, 2, 0);
  plugin().linked_span(100, 50, 0);
  plugin().linked_span(200, 0, 0);
  plugin().linked_span(1000, 100, 1);
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 4U);
  EXPECT_EQ(spans[0].links.size(), 5U);
  EXPECT_EQ(spans[0].dropped_links, 0U);
  EXPECT_EQ(spans[1].links.size(), 128U);
  EXPECT_EQ(spans[1].dropped_links, 22U);
  EXPECT_EQ(spans[2].links.size(), 128U);
  EXPECT_EQ(spans[2].dropped_links, 72U);
  EXPECT_EQ(spans[3].links.size(), 1024U);
  EXPECT_EQ(spans[3].dropped_links, 76U);
  for (const testing::OwnedSpan& span : spans) {
    for (std::size_t i = 0; i < span.links.size(); ++i)
      EXPECT_EQ(span.links[i].context.span_id.value, i + 1);
  }
}

TEST(Anchor, counts_dropped_attributes_and_events_once) {
  testing::Recorder recorder;
  plugin().crowded_span(130, 131);
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].attributes.size(), 128U);
  EXPECT_EQ(spans[0].dropped_attributes, 2U);
  EXPECT_EQ(spans[0].events.size(), 128U);
  EXPECT_EQ(spans[0].dropped_events, 3U);
}

TEST(Anchor, applies_the_programs_limits_to_the_plugins_spans) {
  testing::Recorder recorder({.limits = {.attribute_count = 10, .event_count = 2}});
  plugin().crowded_span(15, 5);
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].attributes.size(), 10U);
  EXPECT_EQ(spans[0].dropped_attributes, 5U);
  EXPECT_EQ(spans[0].events.size(), 2U);
  EXPECT_EQ(spans[0].dropped_events, 3U);
}

TEST(Anchor, applies_the_programs_sampler_to_the_plugins_spans) {
  testing::Recorder recorder({.sampler = always_off_sampler()});
  plugin().rich_span();
  plugin().span_around("unsampled", [] { look(); });
  EXPECT_TRUE(seen.span.valid());
  EXPECT_FALSE(seen.span.sampled());
  EXPECT_EQ(recorder.tree(), "\n");
  EXPECT_EQ(recorder.counters()[Counter::spans_started], 2U);
}

TEST(Anchor, resumes_and_discards_spans_of_the_plugin) {
  testing::Recorder recorder;
  plugin().pending_span(1);
  plugin().discarded_span();
  EXPECT_EQ(recorder.tree(), R"(
resumed PRODUCER
  offset = 1
)");
}

TEST(Anchor, lets_only_one_copy_claim_a_client) {
  testing::Recorder recorder;
  const int client = 0;
  EXPECT_EQ(plugin().claim(&client), 1);
  EXPECT_FALSE(claim_client(&client));
  EXPECT_EQ(plugin().claim(&client), 0);
  release_client(&client);
  EXPECT_TRUE(claim_client(&client));
  EXPECT_EQ(plugin().claim(&client), 0);
  plugin().release(&client);
  EXPECT_EQ(plugin().claim(&client), 1);
  plugin().release(&client);
}

TEST(Anchor, lets_only_one_copy_claim_a_client_before_anybody_sets_tracing_up) {
  const int client = 0;
  EXPECT_TRUE(claim_client(&client));
  EXPECT_EQ(plugin().claim(&client), 0);
  testing::Recorder recorder;
  EXPECT_EQ(plugin().claim(&client), 0);
  EXPECT_FALSE(claim_client(&client));
  plugin().release(&client);
  EXPECT_EQ(plugin().claim(&client), 1);
  release_client(&client);
}

TEST(Anchor, flushes_from_the_plugin) {
  const auto exporter = std::make_shared<midtrace_test::CountingExporter>();
  testing::Recorder recorder({.more_exporters = {exporter}});
  tracer().start("span").end();
  EXPECT_EQ(plugin().flush(), 1);
  EXPECT_EQ(exporter->spans.load(), 1U);
}

TEST(Anchor, works_on_threads_and_past_the_end_of_set_up) {
  {
    testing::Recorder recorder;
    std::thread([] { plugin().span_around("on a thread", [] {}); }).join();
    EXPECT_EQ(recorder.tree(), R"(
on a thread INTERNAL
)");
  }
  plugin().rich_span();
  plugin().span_around("after the end", [] { look(); });
  EXPECT_FALSE(seen.span.valid());
  testing::Recorder recorder;
  plugin().span_around("set up again", [] {});
  EXPECT_EQ(recorder.tree(), R"(
set up again INTERNAL
)");
}

TEST(Anchor, works_the_other_way_round_when_the_plugin_sets_tracing_up_first) {
  ASSERT_EQ(plugin().set_up(), 1);
  const auto exporter = std::make_shared<midtrace_test::CountingExporter>();
  {
    Span order = tracer().start("order");
    EXPECT_TRUE(order.recording());
    const Scope scope = order.activate();
    EXPECT_EQ(plugin().current().span_id, order.context().span_id.value);
    plugin().span_around("in the plugin", [] { tracer().start("in the program").end(); });
    // The program's own set-up comes too late and changes nothing.
    SetupOptions options;
    options.exporters.push_back(exporter);
    options.read_environment = false;
    Telemetry telemetry = setup(std::move(options));
    EXPECT_TRUE(telemetry.ok());
    tracer().start("still the plugin's").end();
  }
  EXPECT_TRUE(Telemetry().flush());
  EXPECT_EQ(plugin().shut_down(), 4U);
  EXPECT_EQ(exporter->spans.load(), 0U);
  testing::Recorder recorder;
  tracer().start("the program's turn").end();
  plugin().span_around("and the plugin attaches", [] {});
  EXPECT_EQ(recorder.tree(), R"(
and the plugin attaches INTERNAL
the program's turn INTERNAL
)");
}

TEST(Anchor, survives_that_the_application_closes_the_plugin) {
  // In a process of its own, because the other cases keep the plugin open.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        void* library = load();
        auto* entry = reinterpret_cast<const Plugin* (*)()>(dlsym(library, "midtrace_test_plugin"));
        std::thread used([entry] {
          entry()->set_up();
          entry()->rich_span();
        });
        used.join();
        // This thread has state of the plugin's, and its collector runs.
        entry()->span_around("x", [] {});
        dlclose(library);
        std::thread([] { tracer().start("after").end(); }).join();
        std::thread forked([] {
          const pid_t child = fork();
          if (child == 0) _exit(0);
          waitpid(child, nullptr, 0);
        });
        forked.join();
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace midtrace
