// The rule-based sampler: which spans a rule matches, what it does with them, and what it costs.
#include <midtrace/trace/rule_based_sampler.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "trace/glob.h"

namespace midtrace {
namespace {

Tracer tracer() { return Tracer::get("rules_test"); }

SpanContext remote_context(bool sampled) {
  SpanContext context;
  context.trace_id = {5, 6};
  context.span_id = {7};
  context.flags.bits = sampled ? TraceFlags::sampled_bit : 0;
  context.remote = true;
  return context;
}

TEST(Glob, matches_whole_names) {
  const struct {
    const char* pattern;
    const char* text;
    bool matches;
  } rows[] = {
      {"PING", "PING", true},
      {"PING", "ping", false},
      {"PING", "PING x", false},
      {"PING", "XPING", false},
      {"", "", true},
      {"", "x", false},
      {"*", "", true},
      {"*", "anything at all", true},
      {"**", "x", true},
      {"?", "x", true},
      {"?", "", false},
      {"?", "xy", false},
      {"send *", "send orders", true},
      {"send *", "send ", true},
      {"send *", "send", false},
      {"* orders", "send orders", true},
      {"* orders", "send orders 2", false},
      {"*ers*", "send orders 2", true},
      {"s*d*s", "send orders", true},
      {"s*d*x", "send orders", false},
      {"a*b*c", "abcbc", true},
      {"a*b*c", "abcbd", false},
      {"*ab", "aaab", true},
      {"*aab", "aaaab", true},
      {"a?c*", "abcdef", true},
      {"a?c*", "acbdef", false},
      {"*?", "", false},
      {"*?", "x", true},
      {"?*?", "x", false},
      {"[a-z]", "b", false},
      {"[a-z]", "[a-z]", true},
      {"\\*", "\\x", true},
  };
  for (const auto& row : rows)
    EXPECT_EQ(matches_glob(row.text, row.pattern), row.matches) << row.pattern << " / " << row.text;
}

TEST(Glob, stays_quick_with_many_stars) {
  // Exponential for a matcher that tries every way of dividing the name.
  std::string pattern;
  for (int i = 0; i < 100; ++i)
    pattern += "*a";
  EXPECT_FALSE(matches_glob(std::string(10000, 'a') + "b", pattern));
}

// The rule under test drops; everything else is kept.
bool matched(SpanRule rule, const SamplingInput& input) {
  rule.action = always_off_sampler();
  RuleBasedOptions options;
  options.rules.push_back(std::move(rule));
  options.otherwise = always_on_sampler();
  return rule_based_sampler(std::move(options))->sample(input).decision == Decision::drop;
}

TEST(SpanRule, matches_by_name_kind_and_links) {
  const std::array<Link, 1> unsampled{{{remote_context(false)}}};
  const std::array<Link, 2> sampled{{{remote_context(false)}, {remote_context(true)}}};
  const std::array<Link, 1> nowhere{};
  const auto named = [&](std::string_view name, SpanKind kind = SpanKind::client,
                         std::span<const Link> links = {}) {
    return SamplingInput{nullptr, {1, 2}, name, kind, links, {}};
  };
  EXPECT_TRUE(matched({}, named("anything"))) << "no condition";
  EXPECT_TRUE(matched({.name = "PING"}, named("PING")));
  EXPECT_FALSE(matched({.name = "PING"}, named("PINGS")));
  EXPECT_TRUE(matched({.name = "send *"}, named("send orders")));
  EXPECT_TRUE(matched({.kind = SpanKind::client}, named("x")));
  EXPECT_FALSE(matched({.kind = SpanKind::consumer}, named("x")));
  EXPECT_FALSE(matched({.name = "PING", .kind = SpanKind::consumer}, named("PING"))) << "all conditions";
  EXPECT_FALSE(matched({.links = LinkCondition::has_link}, named("x")));
  EXPECT_FALSE(matched({.links = LinkCondition::has_link}, named("x", SpanKind::client, nowhere)));
  EXPECT_TRUE(matched({.links = LinkCondition::has_link}, named("x", SpanKind::client, unsampled)));
  EXPECT_FALSE(matched({.links = LinkCondition::has_sampled_link}, named("x", SpanKind::client, unsampled)));
  EXPECT_TRUE(matched({.links = LinkCondition::has_sampled_link}, named("x", SpanKind::client, sampled)));
}

TEST(SpanRule, matches_by_attributes_of_the_same_type_and_value) {
  constexpr AttributeKey<std::string_view> topic{"messaging.destination.name"};
  const std::array<std::string_view, 1> tags{"x"};
  const std::array<Attribute, 7> attributes{{{topic, "orders"},
                                             {"user.id", "x"},
                                             {"size", 17},
                                             {"share", 0.5},
                                             {"again", true},
                                             {"tags", std::span<const std::string_view>(tags)},
                                             {"user.id", "y"}}};
  const SamplingInput input{nullptr, {1, 2}, "span", SpanKind::internal, {}, attributes};
  const struct {
    std::vector<AttributeCondition> conditions;
    bool matches;
  } rows[] = {
      {{{"user.id", "x"}}, true},
      {{{"user.id", "y"}}, true},  // each of a repeated key
      {{{"user.id", "z"}}, false},
      {{{"user.id", "X"}}, false},
      {{{"user.id", ""}}, false},
      {{{"user.id"}}, true},
      {{{"user.i"}}, false},
      {{{"user"}}, false},
      {{{"messaging.destination.name", "orders"}}, true},
      {{{"messaging.destination.name", "order"}}, false},
      {{{"size", 17}}, true},
      {{{"size", std::int64_t{18}}}, false},
      {{{"size", "17"}}, false},
      {{{"size", 17.0}}, false},
      {{{"size", true}}, false},
      {{{"share", 0.5}}, true},
      {{{"share", 0.25}}, false},
      {{{"again", true}}, true},
      {{{"again", false}}, false},
      {{{"again", 1}}, false},
      {{{"tags"}}, true},
      {{{"tags", "x"}}, false},
      {{{"user.id", "x"}, {"size", 17}}, true},
      {{{"user.id", "x"}, {"size", 18}}, false},
      {{{"absent"}, {"user.id", "x"}}, false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(matched({.attributes = row.conditions}, input), row.matches) << row.conditions.front().key;
    EXPECT_FALSE(
        matched({.attributes = row.conditions}, {nullptr, {1, 2}, "span", SpanKind::internal, {}, {}}));
  }
}

TEST(RuleBasedSampler, lets_the_first_rule_decide_that_matches) {
  RuleBasedOptions options;
  options.rules = {{.name = "a*", .action = always_off_sampler()},
                   {.name = "*b"},
                   {.name = "*", .action = probability_sampler(0.5)}};
  const auto sampler = rule_based_sampler(std::move(options));
  const auto kept = [&](std::string_view name, std::uint64_t randomness) {
    return sampler->sample({nullptr, {1, randomness}, name, SpanKind::internal, {}, {}}).decision !=
           Decision::drop;
  };
  EXPECT_FALSE(kept("ab", ~0ULL));
  EXPECT_TRUE(kept("bb", 1));
  EXPECT_TRUE(kept("c", 0x80000000000000));
  EXPECT_FALSE(kept("c", 0x7fffffffffffff));
}

// What people ask for: drop one user's traffic, keep all of one topic, drop PING, a tenth of the rest.
TEST(RuleBasedSampler, covers_the_usual_wishes) {
  RuleBasedOptions options;
  options.rules = {{.name = "PING", .action = always_off_sampler()},
                   {.attributes = {{"user.id", "x"}}, .action = always_off_sampler()},
                   {.attributes = {{"messaging.destination.name", "payments"}}}};
  options.otherwise = parent_based_sampler({.root = probability_sampler(0.0)});
  testing::Recorder recorder({.sampler = rule_based_sampler(std::move(options))});
  using Attributes = std::array<Attribute, 1>;
  tracer().start("PING").end();
  tracer()
      .start("send payments", {.attributes = Attributes{{{"messaging.destination.name", "payments"}}}})
      .end();
  tracer().start("send orders", {.attributes = Attributes{{{"messaging.destination.name", "orders"}}}}).end();
  {
    Context parent;
    parent.span = remote_context(true);
    Span request = tracer().start("request", {.parent = &parent});
    const Scope scope = request.activate();
    tracer().start("GET").end();
    Span ping = tracer().start("PING");
    const Scope inner = ping.activate();
    tracer().start("below PING").end();
    const std::array<Attribute, 2> of_x{{{"user.id", "x"}, {"messaging.destination.name", "payments"}}};
    tracer().start("send payments", {.attributes = of_x}).end();
  }
  EXPECT_EQ(recorder.tree({.attributes = false}), R"(
request INTERNAL
  parent (not here)
  GET INTERNAL
send payments INTERNAL
)");
}

TEST(RuleBasedSampler, hands_on_what_the_action_answers) {
  class Marker final : public Sampler {
   public:
    SamplerNeeds needs() const noexcept override { return {}; }
    SamplingResult sample(const SamplingInput&) override {
      return {Decision::record_only, TraceState::parse("rule=1"), attributes_};
    }
    std::string description() const override { return "Marker"; }

   private:
    std::array<Attribute, 1> attributes_{{{"rule", 1}}};
  };
  RuleBasedOptions options;
  options.rules = {{.action = std::make_shared<Marker>()}};
  testing::Recorder recorder({.sampler = rule_based_sampler(std::move(options))});
  Span span = tracer().start("marked");
  EXPECT_TRUE(span.recording());
  EXPECT_FALSE(span.context().sampled());
  EXPECT_EQ(span.context().trace_state.header(), "rule=1");
}

TEST(RuleBasedSampler, follows_parents_and_links_where_no_rule_matches) {
  testing::Recorder recorder({.sampler = rule_based_sampler({})});
  Context parent;
  parent.span = remote_context(false);
  EXPECT_FALSE(tracer().start("child", {.parent = &parent}).recording());
  EXPECT_TRUE(tracer().start("root").recording());
  const std::array<Link, 1> links{{{remote_context(false)}}};
  EXPECT_FALSE(tracer().start("linked", {.links = links}).recording());
}

TEST(RuleBasedSampler, at_the_root_of_a_parent_based_one_comes_after_links) {
  RuleBasedOptions options;
  options.rules = {{.action = always_off_sampler()}};
  testing::Recorder recorder(
      {.sampler = parent_based_sampler({.root = rule_based_sampler(std::move(options))})});
  const std::array<Link, 1> links{{{remote_context(true)}}};
  EXPECT_TRUE(tracer().start("linked", {.links = links}).recording());
  EXPECT_FALSE(tracer().start("root").recording());
}

TEST(RuleBasedSampler, keeps_no_probability_that_is_not_its_own) {
  RuleBasedOptions options;
  options.rules = {{.name = "kept"},
                   {.name = "dropped", .action = always_off_sampler()},
                   {.name = "drawn", .action = probability_sampler(1.0)}};
  testing::Recorder recorder({.sampler = rule_based_sampler(std::move(options)), .random_ids = true});
  Context parent;
  parent.span = remote_context(true);
  parent.span.flags.bits |= TraceFlags::random_bit;
  parent.span.trace_state = TraceState::parse("ot=th:00000000000001;x:1,a=b");
  const auto state = [&](std::string_view name) {
    return std::string(tracer().start(name, {.parent = &parent}).context().trace_state.header());
  };
  EXPECT_EQ(state("kept"), "ot=x:1,a=b");
  EXPECT_EQ(state("dropped"), "ot=x:1,a=b");
  EXPECT_EQ(state("drawn"), "ot=th:0;x:1,a=b");
  EXPECT_EQ(state("as the parent"), "ot=th:00000000000001;x:1,a=b");
}

TEST(RuleBasedSampler, needs_what_its_rules_and_their_actions_look_at) {
  const auto needs = [](std::vector<SpanRule> rules) {
    RuleBasedOptions options;
    options.rules = std::move(rules);
    options.otherwise = always_on_sampler();
    const SamplerNeeds all = rule_based_sampler(std::move(options))->needs();
    return std::string(all.name ? "name " : "") + (all.links ? "links " : "") +
           (all.attributes ? "attributes " : "");
  };
  EXPECT_EQ(needs({}), "");
  EXPECT_EQ(needs({{.kind = SpanKind::client}}), "");
  EXPECT_EQ(needs({{.name = "PING"}}), "name ");
  EXPECT_EQ(needs({{.links = LinkCondition::has_link}}), "links ");
  EXPECT_EQ(needs({{.name = "a"}, {.attributes = {{"b"}}}}), "name attributes ");
  EXPECT_EQ(needs({{.action = parent_based_sampler({})}}), "links ");
  EXPECT_TRUE(rule_based_sampler({})->needs().links) << "of the default for what no rule matches";
}

TEST(RuleBasedSampler, describes_itself_without_what_it_looks_for) {
  RuleBasedOptions options;
  options.rules = {{.attributes = {{"user.id", "secret"}}, .action = always_off_sampler()}};
  options.otherwise = probability_sampler(0.5);
  EXPECT_EQ(rule_based_sampler(std::move(options))->description(),
            "RuleBasedSampler{rules=1,otherwise=ProbabilitySampler{0.500000}}");
}

}  // namespace
}  // namespace midtrace
