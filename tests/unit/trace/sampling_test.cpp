// Sampling as a span sees it: flags on the wire, what a sampler of the user's is shown and may change.
#include <array>
#include <atomic>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("sampling_test"); }

Context remote_parent(std::uint8_t flags) {
  Context context;
  context.span.trace_id = {5, 6};
  context.span.span_id = {7};
  context.span.flags.bits = flags;
  context.span.remote = true;
  return context;
}

// Notes what it was shown, and answers as it is told.
class Witness final : public Sampler {
 public:
  explicit Witness(Decision decision) : decision_(decision) {}
  SamplerNeeds needs() const noexcept override { return {true, true, true}; }
  SamplingResult sample(const SamplingInput& input) noexcept override {
    ++calls;
    name = input.name;
    kind = input.kind;
    trace_id = input.trace_id;
    had_parent = input.parent != nullptr;
    had_decision = had_parent && input.parent->decision_only();
    links = input.links.size();
    attributes = input.attributes.size();
    SamplingResult result;
    result.decision = decision_;
    result.trace_state = trace_state;
    result.attributes = added;
    return result;
  }
  std::string description() const override { return "Witness"; }

  std::optional<TraceState> trace_state;
  std::span<const Attribute> added;
  int calls = 0;
  std::string name;
  SpanKind kind = SpanKind::internal;
  TraceId trace_id;
  bool had_parent = false;
  bool had_decision = false;
  std::size_t links = 0;
  std::size_t attributes = 0;

 private:
  Decision decision_;
};

TEST(Sampling, sets_the_random_flag_on_roots_with_random_ids_and_children_copy_it) {
  testing::Recorder recorder({.random_ids = true});
  Span root = tracer().start("root");
  EXPECT_EQ(root.context().flags.bits, TraceFlags::sampled_bit | TraceFlags::random_bit);
  const Scope scope = root.activate();
  EXPECT_EQ(tracer().start("child").context().flags.bits, TraceFlags::sampled_bit | TraceFlags::random_bit);
  const Context plain = remote_parent(TraceFlags::sampled_bit);
  EXPECT_EQ(tracer().start("a", {.parent = &plain}).context().flags.bits, TraceFlags::sampled_bit);
  const Context random = remote_parent(TraceFlags::random_bit);
  EXPECT_EQ(tracer().start("b", {.parent = &random}).context().flags.bits,
            TraceFlags::sampled_bit | TraceFlags::random_bit);
  const Context future = remote_parent(0x3F);
  EXPECT_EQ(tracer().start("c", {.parent = &future}).context().flags.bits,
            TraceFlags::sampled_bit | TraceFlags::random_bit)
      << "bits that nobody has defined yet are not passed on";
}

TEST(Sampling, leaves_the_random_flag_to_the_id_generator) {
  testing::Recorder recorder;
  EXPECT_EQ(tracer().start("root").context().flags.bits, TraceFlags::sampled_bit);
}

TEST(Sampling, of_an_unsampled_parent_drops_its_descendants_by_default) {
  testing::Recorder recorder({.sampler = parent_based_sampler({})});
  const Context unsampled = remote_parent(0);
  {
    Span span = tracer().start("a", {.parent = &unsampled});
    EXPECT_FALSE(span.recording());
    EXPECT_EQ(span.context().trace_id, (TraceId{5, 6}));
    EXPECT_NE(span.context().span_id, SpanId{7}) << "an unsampled span has an id of its own";
    const Scope scope = span.activate();
    EXPECT_FALSE(tracer().start("b").recording());
  }
  EXPECT_EQ(recorder.tree(), "\n");
}

// A decision that came without ids, as B3's `b3: 0`.
Context decision(std::uint8_t flags) {
  Context context = remote_parent(flags);
  context.span.trace_id = {};
  context.span.span_id = {};
  return context;
}

TEST(Sampling, of_a_root_follows_a_decision_that_came_without_ids) {
  testing::Recorder recorder({.sampler = parent_based_sampler({.root = trace_id_ratio_sampler(0.5)})});
  const std::array<Link, 1> links{{{remote_parent(TraceFlags::sampled_bit).span}}};
  for (int i = 0; i < 10; ++i) {
    const Context denied = decision(0);
    Span root = tracer().start("denied", {.parent = &denied, .links = links});
    EXPECT_FALSE(root.recording()) << "whatever the links say";
    EXPECT_TRUE(root.context().valid()) << "its ids are its own";
    EXPECT_FALSE(root.context().remote);
    const Scope scope = root.activate();
    EXPECT_FALSE(tracer().start("child of denied").recording());
    const Context accepted = decision(TraceFlags::sampled_bit);
    EXPECT_TRUE(tracer().start("accepted", {.parent = &accepted}).recording());
  }
  for (const testing::OwnedSpan& span : recorder.spans()) {
    EXPECT_EQ(span.name, "accepted");
    EXPECT_FALSE(span.parent_span_id.valid());
  }
}

TEST(Sampling, follows_a_decision_without_ids_that_is_current) {
  testing::Recorder recorder({.sampler = parent_based_sampler({})});
  const Scope scope(decision(0));
  EXPECT_FALSE(tracer().start("root").recording());
}

TEST(Sampling, of_a_span_whose_parent_deferred_the_decision_asks_the_root_sampler) {
  for (const bool keep : {true, false}) {
    testing::Recorder recorder(
        {.sampler = parent_based_sampler({.root = keep ? always_on_sampler() : always_off_sampler()})});
    for (const bool sampled : {false, true}) {
      const Context deferred =
          remote_parent(TraceFlags::deferred_bit | (sampled ? TraceFlags::sampled_bit : 0));
      Span span = tracer().start("span", {.parent = &deferred});
      EXPECT_EQ(span.recording(), keep);
      EXPECT_EQ(span.context().trace_id, deferred.span.trace_id);
      EXPECT_EQ(span.context().flags.bits, keep ? TraceFlags::sampled_bit : 0) << "the decision is made now";
      const std::array<Link, 1> links{{{deferred.span}}};
      EXPECT_EQ(tracer().start("root", {.links = links}).recording(), keep)
          << "a link like that does not count";
    }
  }
}

TEST(Sampling, hands_a_forced_trace_on_whatever_the_sampler_says) {
  constexpr std::uint8_t forced = TraceFlags::sampled_bit | TraceFlags::debug_bit;
  for (const bool keep : {true, false}) {
    testing::Recorder recorder({.sampler = keep ? parent_based_sampler({}) : always_off_sampler()});
    for (const Context& around : {remote_parent(forced), decision(forced)}) {
      Span span = tracer().start("span", {.parent = &around});
      EXPECT_EQ(span.context().flags.bits, TraceFlags::debug_bit | (keep ? TraceFlags::sampled_bit : 0));
      const Scope scope = span.activate();
      EXPECT_TRUE(tracer().start("child").context().flags.debug());
    }
    for (const testing::OwnedSpan& span : recorder.spans())
      EXPECT_EQ(SpanView::otlp_flags(span.context.flags, false), 0x101U) << "exports do not know it";
  }
}

TEST(Sampling, with_the_default_sampler_follows_links) {
  testing::Recorder recorder({.sampler = parent_based_sampler({.root = always_off_sampler()})});
  const std::array<Link, 2> links{{{remote_parent(0).span}, {remote_parent(1).span}}};
  tracer().start("one sampled", {.links = links}).end();
  tracer().start("one unsampled", {.links = std::span(links).first(1)}).end();
  EXPECT_EQ(recorder.tree({.links = false}), R"(
one sampled INTERNAL
)");
}

TEST(Sampling, with_a_ratio_keeps_whole_traces) {
  testing::Recorder recorder(
      {.sampler = parent_based_sampler({.root = trace_id_ratio_sampler(0.3)}), .random_ids = true});
  for (int i = 0; i < 1000; ++i) {
    Span root = tracer().start("root");
    const Scope scope = root.activate();
    Span child = tracer().start("child");
    EXPECT_EQ(child.recording(), root.recording());
  }
  std::map<TraceId, int> traces;
  for (const testing::OwnedSpan& span : recorder.spans())
    ++traces[span.context.trace_id];
  EXPECT_GT(traces.size(), 200U);
  EXPECT_LT(traces.size(), 400U);
  for (const auto& [id, spans] : traces)
    EXPECT_EQ(spans, 2);
}

TEST(CustomSampler, sees_everything_that_is_known_at_start) {
  const auto witness = std::make_shared<Witness>(Decision::record_and_sample);
  testing::Recorder recorder({.sampler = witness});
  const std::array<Attribute, 2> attributes{{{"a", 1}, {"b", 2}}};
  const std::array<Link, 1> links{{{remote_parent(1).span}}};
  const Context parent = remote_parent(0);
  tracer()
      .start("shown",
             {.kind = SpanKind::consumer, .parent = &parent, .links = links, .attributes = attributes})
      .end();
  EXPECT_EQ(witness->calls, 1);
  EXPECT_EQ(witness->name, "shown");
  EXPECT_EQ(witness->kind, SpanKind::consumer);
  EXPECT_EQ(witness->trace_id, (TraceId{5, 6}));
  EXPECT_TRUE(witness->had_parent);
  EXPECT_EQ(witness->links, 1U);
  EXPECT_EQ(witness->attributes, 2U);
  Span root = tracer().start("root");
  EXPECT_FALSE(witness->had_parent);
  EXPECT_EQ(witness->trace_id, root.context().trace_id);
}

TEST(CustomSampler, sees_a_decision_that_came_without_ids) {
  auto witness = std::make_shared<Witness>(Decision::record_and_sample);
  testing::Recorder recorder({.sampler = witness});
  const Context denied = decision(0);
  EXPECT_TRUE(tracer().start("root", {.parent = &denied}).recording()) << "it decides";
  EXPECT_TRUE(witness->had_decision);
}

TEST(CustomSampler, may_add_attributes_and_change_the_tracestate) {
  const auto witness = std::make_shared<Witness>(Decision::record_and_sample);
  const std::array<Attribute, 1> added{{{"sampling.rule", "vip"}}};
  witness->added = added;
  witness->trace_state = TraceState::parse("ot=th:c");
  testing::Recorder recorder({.sampler = witness});
  Context parent = remote_parent(1);
  parent.span.trace_state = TraceState::parse("a=b");
  {
    Span span =
        tracer().start("changed", {.parent = &parent, .attributes = std::array<Attribute, 1>{{{"own", 1}}}});
    EXPECT_EQ(span.context().trace_state.header(), "ot=th:c");
    witness->trace_state = TraceState();
    EXPECT_EQ(tracer().start("cleared", {.parent = &parent}).context().trace_state.header(), "");
    witness->trace_state.reset();
    EXPECT_EQ(tracer().start("kept", {.parent = &parent}).context().trace_state.header(), "a=b");
  }
  EXPECT_EQ(recorder.tree(), R"(
changed INTERNAL
  parent (not here)
  own = 1
  sampling.rule = vip
cleared INTERNAL
  parent (not here)
  sampling.rule = vip
kept INTERNAL
  parent (not here)
  sampling.rule = vip
)");
}

TEST(CustomSampler, changes_the_tracestate_of_a_dropped_span_too) {
  const auto witness = std::make_shared<Witness>(Decision::drop);
  witness->trace_state = TraceState::parse("ot=rv:00000000000001");
  testing::Recorder recorder({.sampler = witness});
  Span span = tracer().start("dropped");
  EXPECT_FALSE(span.recording());
  EXPECT_EQ(span.context().trace_state.header(), "ot=rv:00000000000001");
}

TEST(CustomSampler, that_only_records_makes_spans_that_record_but_are_neither_sampled_nor_exported) {
  testing::Recorder recorder({.sampler = std::make_shared<Witness>(Decision::record_only)});
  {
    Span span = tracer().start("for processors only");
    EXPECT_TRUE(span.recording());
    EXPECT_FALSE(span.context().sampled());
    span.set("a", 1);
  }
  EXPECT_EQ(recorder.tree(), "\n");
  EXPECT_EQ(recorder.counters().dropped_spans(), 0U);
  EXPECT_EQ(recorder.counters()[Counter::spans_exported], 0U);
}

TEST(CustomSampler, works_as_a_delegate_of_the_parent_based_one) {
  const auto witness = std::make_shared<Witness>(Decision::record_and_sample);
  testing::Recorder recorder({.sampler = parent_based_sampler({.local_parent_sampled = witness})});
  Span root = tracer().start("root");
  EXPECT_EQ(witness->calls, 0);
  const Scope scope = root.activate();
  tracer().start("child").end();
  EXPECT_EQ(witness->calls, 1);
  EXPECT_TRUE(witness->had_parent);
}

}  // namespace
}  // namespace midtrace
