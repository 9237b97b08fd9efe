// Sampling as a span sees it: flags on the wire, what a sampler of the user's is shown and may change.
#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/propagation/propagator.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/backend.h>
#include <midtrace/trace/rate_limiting_sampler.h>
#include <midtrace/trace/rule_based_sampler.h>
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

TEST(CustomSampler, that_only_records_is_unsampled_on_the_wire_and_for_its_children) {
  testing::Recorder recorder(
      {.sampler = parent_based_sampler({.root = std::make_shared<Witness>(Decision::record_only)})});
  Span root = tracer().start("root");
  EXPECT_TRUE(root.recording());
  std::string traceparent;
  class Carrier final : public CarrierWriter {
   public:
    explicit Carrier(std::string& text) : text_(text) {}
    void set(std::string_view name, std::string_view value) noexcept override {
      if (name == "traceparent") text_ = value;
    }

   private:
    std::string& text_;
  } carrier(traceparent);
  Context context;
  context.span = root.context();
  propagator().inject(context, carrier);
  EXPECT_EQ(traceparent.substr(traceparent.size() - 3), "-00");
  const Scope scope = root.activate();
  EXPECT_FALSE(tracer().start("child").recording());
}

TEST(CustomSampler, that_only_records_does_so_with_pending_spans_too) {
  testing::Recorder recorder({.sampler = std::make_shared<Witness>(Decision::record_only)});
  PendingSpan pending = tracer().start_pending("send");
  EXPECT_TRUE(pending.recording());
  Span span = tracer().resume(std::move(pending), "send");
  EXPECT_TRUE(span.recording());
  EXPECT_FALSE(span.context().sampled());
  span.end();
  EXPECT_EQ(recorder.tree(), "\n");
}

TEST(CustomSampler, gives_its_attributes_to_pending_spans_too) {
  const auto witness = std::make_shared<Witness>(Decision::record_and_sample);
  std::string rule = "a value that is copied, because the sampler may forget it";
  std::vector<Attribute> added{{"sampling.rule", rule}};
  const std::vector<std::string> names{"n0", "n1", "n2", "n3", "n4", "n5",
                                       "n6", "n7", "n8", "n9", "na", "nb"};
  for (const std::string& name : names)  // more than a record's own slots
    added.push_back({name, 1});
  witness->added = added;
  testing::Recorder recorder({.sampler = witness});
  PendingSpan first = tracer().start_pending("send");
  PendingSpan pending;
  pending = std::move(first);
  rule.assign(rule.size(), '?');
  const std::array<Attribute, 1> own{{{"own", 1}}};
  tracer().resume(std::move(pending), "send orders", {.attributes = own}).end();
  { const PendingSpan lost = tracer().start_pending("lost"); }
  const auto spans = recorder.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].attributes.size(), 14U);
  EXPECT_EQ(spans[0].attributes.front().key, "own");
  EXPECT_EQ(spans[0].attribute("sampling.rule"), "a value that is copied, because the sampler may forget it");
  EXPECT_EQ(spans[0].attribute("nb"), "1");
  EXPECT_EQ(spans[0].dropped_attributes, 0U);
}

// Breaks the rule that a sampler must not throw.
class Thrower final : public Sampler {
 public:
  SamplerNeeds needs() const noexcept override { return {}; }
  SamplingResult sample(const SamplingInput&) override { throw std::string("not even a std::exception"); }
  std::string description() const override { return "Thrower"; }
};

TEST(CustomSampler, that_throws_is_counted_and_its_span_is_sampled_as_the_parent_is) {
  for (const bool delegate : {false, true}) {
    const auto thrower = std::make_shared<Thrower>();
    std::shared_ptr<Sampler> sampler = thrower;
    if (delegate) {
      sampler = parent_based_sampler(
          {.root = thrower, .remote_parent_sampled = thrower, .remote_parent_not_sampled = thrower});
    }
    testing::Recorder recorder({.sampler = sampler});
    const Context sampled = remote_parent(1);
    const Context unsampled = remote_parent(0);
    tracer().start("root").end();
    tracer().start("below a sampled parent", {.parent = &sampled}).end();
    tracer().start("below an unsampled parent", {.parent = &unsampled}).end();
    EXPECT_EQ(recorder.tree(), R"(
below a sampled parent INTERNAL
  parent (not here)
)");
    EXPECT_EQ(recorder.counters()[Counter::hook_failures], 3U);
  }
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

// --- what a sampler needs, and what is made for it

// Attributes that are costly to make: counts how often that happened.
struct Costly {
  std::span<const Attribute> operator()() {
    ++made;
    text = "made " + std::to_string(made);
    attributes = {{{"costly", text}}};
    return attributes;
  }
  int made = 0;
  std::string text;
  std::array<Attribute, 1> attributes{{{"costly", ""}}};
};

// Looks only at attributes, and says so or does not.
class Reader final : public Sampler {
 public:
  explicit Reader(bool says_so) : says_so_(says_so) {}
  SamplerNeeds needs() const noexcept override { return {.attributes = says_so_}; }
  SamplingResult sample(const SamplingInput& input) override {
    seen.clear();
    for (const Attribute& attribute : input.attributes)
      seen.emplace_back(attribute.key.name());
    return {decision};
  }
  std::string description() const override { return "Reader"; }

  std::vector<std::string> seen;
  Decision decision = Decision::drop;

 private:
  bool says_so_;
};

TEST(LazyAttributes, are_not_made_for_a_span_that_a_sampler_without_needs_drops) {
  const std::shared_ptr<Sampler> samplers[] = {
      always_off_sampler(),
      trace_id_ratio_sampler(0.0),
      probability_sampler(0.0),
      rate_limiting_sampler({.traces_per_second = 0}),
      parent_based_sampler({.root = always_off_sampler()}),
      rule_based_sampler({.rules = {{.name = "drop*", .action = always_off_sampler()}}}),
      std::make_shared<Reader>(false),
  };
  for (const std::shared_ptr<Sampler>& sampler : samplers) {
    testing::Recorder recorder({.sampler = sampler});
    EXPECT_FALSE(sampler_needs().attributes);
    Costly costly;
    const std::array<Link, 2> links{{{remote_parent(0).span}, {remote_parent(0).span}}};
    EXPECT_FALSE(tracer().start("dropped", {.lazy_attributes = costly}).recording());
    EXPECT_FALSE(tracer().start("dropped", {.links = links, .lazy_attributes = costly}).recording());
    EXPECT_FALSE(tracer().start_pending("dropped", {.lazy_attributes = costly}).recording());
    EXPECT_EQ(costly.made, 0) << sampler->description();
  }
}

TEST(LazyAttributes, are_made_once_for_a_span_that_records) {
  testing::Recorder recorder;
  Costly costly;
  const std::array<Attribute, 1> plain{{{"plain", 1}}};
  tracer().start("eager", {.attributes = plain, .lazy_attributes = costly}).end();
  EXPECT_EQ(costly.made, 1);
  PendingSpan pending = tracer().start_pending("pending", {.lazy_attributes = costly});
  EXPECT_EQ(costly.made, 1) << "nobody needs them yet";
  tracer().resume(std::move(pending), "pending", {.lazy_attributes = costly}).end();
  EXPECT_EQ(costly.made, 2);
  EXPECT_EQ(recorder.tree(), R"(
eager INTERNAL
  costly = made 1
  plain = 1
pending INTERNAL
  costly = made 2
)");
}

TEST(LazyAttributes, are_made_once_for_a_sampler_that_needs_them_and_used_again) {
  const auto reader = std::make_shared<Reader>(true);
  testing::Recorder recorder({.sampler = parent_based_sampler({.root = reader})});
  EXPECT_TRUE(sampler_needs().attributes);
  Costly costly;
  tracer().start("dropped", {.lazy_attributes = costly}).end();
  EXPECT_EQ(costly.made, 1);
  EXPECT_EQ(reader->seen, std::vector<std::string>{"costly"});
  reader->decision = Decision::record_and_sample;
  Span span = tracer().start("kept", {.lazy_attributes = costly});
  EXPECT_EQ(costly.made, 2);
  const Context unsampled = remote_parent(0);
  tracer().start("its delegate needs nothing", {.parent = &unsampled, .lazy_attributes = costly}).end();
  EXPECT_EQ(costly.made, 2);
  span.end();
  EXPECT_EQ(recorder.tree(), R"(
kept INTERNAL
  costly = made 2
)");
}

TEST(LazyAttributes, that_throw_are_counted_and_the_span_goes_on) {
  for (const bool for_the_sampler : {false, true}) {
    const auto reader = std::make_shared<Reader>(for_the_sampler);
    reader->decision = Decision::record_and_sample;
    testing::Recorder recorder({.sampler = reader});
    int calls = 0;
    tracer()
        .start("goes on", {.lazy_attributes = [&calls]() -> std::span<const Attribute> {
                 ++calls;
                 throw std::string("no");
               }})
        .end();
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(recorder.counters()[Counter::hook_failures], 1U);
    EXPECT_EQ(recorder.tree(), R"(
goes on INTERNAL
)");
  }
}

TEST(SamplerNeeds, are_those_of_the_sampler_in_use_and_nothing_without_set_up) {
  EXPECT_FALSE(sampler_needs().name || sampler_needs().links || sampler_needs().attributes);
  testing::Recorder recorder({.sampler = parent_based_sampler({})});
  EXPECT_TRUE(sampler_needs().links);
  EXPECT_FALSE(sampler_needs().name || sampler_needs().attributes);
}

TEST(SamplerNeeds, of_a_backend_that_does_not_know_are_everything) {
  class Other final : public Backend {
   public:
    Context ambient() noexcept override { return {}; }
    Started start(const StartArguments& arguments) noexcept override {
      attributes = arguments.attributes.size();
      return {};
    }
    ActivationToken activate(const Context&, std::uint64_t, SpanRecord*) noexcept override { return {}; }
    void deactivate(const ActivationToken&) noexcept override {}
    void finish(SpanRecord*, std::uint64_t) noexcept override {}
    void discard(SpanRecord*, std::uint64_t) noexcept override {}
    bool flush(std::chrono::milliseconds) noexcept override { return true; }
    Counters counters() noexcept override { return {}; }
    std::size_t attributes = 0;
  };
  static Other other;
  set_backend(&other);
  EXPECT_TRUE(sampler_needs().name && sampler_needs().links && sampler_needs().attributes);
  Costly costly;
  EXPECT_FALSE(tracer().start("elsewhere", {.lazy_attributes = costly}).recording());
  set_backend(nullptr);
  EXPECT_EQ(costly.made, 1);
  EXPECT_EQ(other.attributes, 1U);
}

// --- consistent probability sampling

TEST(ProbabilitySampling, writes_the_threshold_of_roots_and_children_pass_it_on) {
  testing::Recorder recorder({.sampler = parent_based_sampler({.root = probability_sampler(1.0)})});
  Span root = tracer().start("root");
  EXPECT_EQ(root.context().trace_state.header(), "ot=th:0");
  const Scope scope = root.activate();
  Span child = tracer().start("child");
  EXPECT_EQ(child.context().trace_state.header(), "ot=th:0");
  EXPECT_TRUE(child.context().sampled());
}

TEST(ProbabilitySampling, decides_by_the_low_56_bits_of_the_trace_id) {
  testing::Recorder recorder({.sampler = probability_sampler(0.25), .random_ids = true});
  int kept = 0;
  for (int i = 0; i < 2000; ++i) {
    const Span span = tracer().start("root");
    const bool keeps = (span.context().trace_id.low & 0xFFFFFFFFFFFFFF) >= 0xc0000000000000;
    EXPECT_EQ(span.recording(), keeps);
    EXPECT_EQ(span.context().sampled(), keeps);
    EXPECT_EQ(span.context().trace_state.header(), keeps ? "ot=th:c" : "");
    kept += keeps ? 1 : 0;
  }
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, 2000);
}

TEST(ProbabilitySampling, is_inherited_only_as_far_as_it_is_true) {
  // The remote parent's randomness is 6, unless its tracestate says another one.
  const struct {
    std::uint8_t flags;
    const char* state;
    const char* becomes;
  } rows[] = {
      {1, "", ""},
      {1, "a=b", "a=b"},
      {1, "ot=th:0,a=b", "ot=th:0,a=b"},
      {1, "a=b,ot=x:1;th:0", "a=b,ot=x:1;th:0"},  // unchanged means as it was
      {1, "ot=th:00000000000006", "ot=th:00000000000006"},
      {1, "ot=th:4;rv:6e6d1a75832a2f", "ot=th:4;rv:6e6d1a75832a2f"},
      // Sampled, although R < T: somebody on the way decided otherwise.
      {1, "ot=th:00000000000007", ""},
      {1, "a=b,ot=th:8;x:1", "ot=x:1,a=b"},
      {1, "ot=th:8;rv:6e6d1a75832a2f", "ot=rv:6e6d1a75832a2f"},
      // Not sampled: no threshold at all, whether R >= T or not.
      {0, "ot=th:0", ""},
      {0, "ot=th:8", ""},
      {0, "ot=th:0;rv:00000000000001;x:1,a=b", "ot=rv:00000000000001;x:1,a=b"},
      {0, "ot=rv:00000000000001", "ot=rv:00000000000001"},
      // Malformed.
      {1, "ot=th:G;x:1", "ot=x:1"},
      {1, "ot=th:000000000000000,a=b", "a=b"},
      {1, "ot=rv:1;th:0", "ot=rv:1;th:0"},
  };
  testing::Recorder recorder({.sampler = parent_based_sampler({.root = probability_sampler(0.5)})});
  for (const auto& row : rows) {
    Context parent = remote_parent(row.flags);
    parent.span.trace_state = TraceState::parse(row.state);
    const Span span = tracer().start("child", {.parent = &parent});
    EXPECT_EQ(span.context().sampled(), row.flags == 1);
    EXPECT_EQ(span.context().trace_state.header(), row.becomes) << row.state;
    const PendingSpan pending = tracer().start_pending("child", {.parent = &parent});
    EXPECT_EQ(pending.context().trace_state.header(), row.becomes) << row.state;
  }
}

TEST(ProbabilitySampling, is_no_longer_said_where_a_delegate_drops_or_only_records_a_child) {
  Context parent = remote_parent(1);
  parent.span.trace_state = TraceState::parse("ot=th:0,a=b");
  for (const Decision decision : {Decision::drop, Decision::record_only}) {
    const auto witness = std::make_shared<Witness>(decision);
    testing::Recorder recorder({.sampler = parent_based_sampler({.remote_parent_sampled = witness})});
    EXPECT_EQ(tracer().start("child", {.parent = &parent}).context().trace_state.header(), "a=b");
    witness->trace_state = TraceState::parse("ot=th:0");
    EXPECT_EQ(tracer().start("child", {.parent = &parent}).context().trace_state.header(), "ot=th:0")
        << "what a sampler chooses is its own affair";
  }
}

TEST(ProbabilitySampling, is_not_inherited_by_what_always_on_keeps_by_itself) {
  testing::Recorder recorder({.sampler = always_on_sampler()});
  Context parent = remote_parent(1);
  parent.span.trace_state = TraceState::parse("ot=th:0,a=b");
  EXPECT_EQ(tracer().start("child", {.parent = &parent}).context().trace_state.header(), "a=b");
}

TEST(ProbabilitySampling, of_a_root_with_links_follows_them_without_a_threshold) {
  const std::array<Link, 2> links{{{remote_parent(1).span}, {remote_parent(0).span}}};
  const std::array<Link, 2> unsampled{{{remote_parent(0).span}, {remote_parent(0).span}}};
  for (const double ratio : {0.0, 1.0}) {
    testing::Recorder recorder({.sampler = parent_based_sampler({.root = probability_sampler(ratio)})});
    const Span followed = tracer().start("any is sampled", {.links = links});
    EXPECT_TRUE(followed.recording());
    EXPECT_EQ(followed.context().trace_state.header(), "") << "its probability is not known";
    const Span dropped = tracer().start("its creator dropped", {.links = std::span(unsampled).first(1)});
    EXPECT_FALSE(dropped.recording());
    const Span drawn = tracer().start("a batch of unsampled ones", {.links = unsampled});
    EXPECT_EQ(drawn.recording(), ratio == 1.0);
    EXPECT_EQ(drawn.context().trace_state.header(), ratio == 1.0 ? "ot=th:0" : "");
  }
}

class KeptMessages final : public Logger {
 public:
  void log(Severity severity, std::string_view message) noexcept override {
    EXPECT_EQ(severity, Severity::warning);
    messages.emplace_back(message);
  }
  std::vector<std::string> messages;
};

Telemetry set_up(std::shared_ptr<Sampler> sampler, std::shared_ptr<Logger> logger) {
  SetupOptions options;
  options.sampler = std::move(sampler);
  options.logger = std::move(logger);
  options.exporters.push_back(std::make_shared<testing::MemoryExporter>());
  options.read_environment = false;
  return setup(std::move(options));
}

TEST(ProbabilitySampling, warns_once_of_a_parent_whose_trace_id_may_not_be_random) {
  const auto log = std::make_shared<KeptMessages>();
  const Telemetry telemetry = set_up(probability_sampler(0.5), log);
  tracer().start("root").end();
  Context parent = remote_parent(TraceFlags::sampled_bit | TraceFlags::random_bit);
  tracer().start("random", {.parent = &parent}).end();
  parent = remote_parent(TraceFlags::sampled_bit);
  parent.span.trace_state = TraceState::parse("ot=rv:00000000000001");
  tracer().start("with its own randomness", {.parent = &parent}).end();
  EXPECT_EQ(log->messages.size(), 0U);
  parent.span.trace_state = {};
  for (int i = 0; i < 3; ++i)
    tracer().start("not known to be random", {.parent = &parent}).end();
  ASSERT_EQ(log->messages.size(), 1U);
  EXPECT_NE(log->messages[0].find("flag 02 of traceparent"), std::string::npos);
}

// How often a sampler warns of what it does below `parent`, and that it names what to use instead.
std::size_t warnings_below(const Context& parent, std::shared_ptr<Sampler> sampler, const char* remedy) {
  const auto log = std::make_shared<KeptMessages>();
  const Telemetry telemetry = set_up(std::move(sampler), log);
  for (int i = 0; i < 3; ++i) {
    tracer().start("root").end();
    tracer().start("child", {.parent = &parent}).end();
  }
  for (const std::string& message : log->messages)
    EXPECT_NE(message.find(remedy), std::string::npos) << message;
  return log->messages.size();
}

TEST(SamplersForRoots, warn_once_when_they_decide_for_a_span_that_has_a_parent) {
  struct Case {
    std::function<std::shared_ptr<Sampler>()> make;
    const char* remedy;
  };
  const Case cases[] = {
      {[] { return trace_id_ratio_sampler(0.5); }, "parentbased_traceidratio"},
      {[] { return rate_limiting_sampler({.traces_per_second = 1000}); }, "parentbased_rate_limiting"},
      {[] { return rate_limiting_sampler({.traces_per_second = 0}); }, "parentbased_rate_limiting"},
  };
  const Context parent = remote_parent(TraceFlags::sampled_bit);
  const Context undecided = remote_parent(TraceFlags::deferred_bit);
  for (const auto& [make, remedy] : cases) {
    EXPECT_EQ(warnings_below(parent, make(), remedy), 1U) << remedy;
    EXPECT_EQ(warnings_below(parent, parent_based_sampler({.root = make()}), remedy), 0U) << remedy;
    EXPECT_EQ(warnings_below(parent, parent_based_sampler({.remote_parent_sampled = make()}), remedy), 1U)
        << remedy;
    EXPECT_EQ(warnings_below(undecided, parent_based_sampler({.root = make()}), remedy), 0U)
        << remedy << ": the parent left the decision to us";
  }
}

}  // namespace
}  // namespace midtrace
