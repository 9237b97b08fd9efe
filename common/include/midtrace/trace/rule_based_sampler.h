// The rule-based sampler: the first rule that matches a span decides about it.
//
//   options.sampler = rule_based_sampler({.rules = {
//       {.name = "PING", .action = always_off_sampler()},
//       {.attributes = {{"user.id", "load-test"}}, .action = always_off_sampler()},
//       {.attributes = {{"messaging.destination.name", "payments"}}},              // keep all of one topic
//       {.kind = SpanKind::consumer, .action = probability_sampler(0.1)},
//   }});
//
// A rule matches when all of its conditions do; one without conditions matches every span. Attributes are
// those that are known when the span starts: `StartOptions::attributes` and `lazy_attributes`, the latter
// made only because some rule asks for attributes. Where no rule matches, `otherwise` decides.
//
// At the top it decides for every span, so a rule may drop a span inside a sampled trace (its children follow
// it, when `otherwise` is parent-based), or keep one whose parent was dropped, which then stands alone. As
// the root of a parent-based sampler it decides for whole traces, by their first span. A span that a rule
// keeps always does not inherit the probability (`ot=th`) of its parent, which does not hold for it.
//
// Any thread; nothing is allocated, copied or formatted for a decision. A decision costs at most one
// comparison of each rule's conditions with each attribute or link; a pattern costs at most its length times
// that of the name. Source: conventions 10; OpenTelemetry's composable rule-based sampler, in spirit.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <midtrace/trace/sampler.h>

namespace midtrace {
inline namespace v1 {

struct AttributeCondition {
  std::string key;
  // The value, of the same type and equal; monostate: any value will do.
  std::variant<std::monostate, std::string, bool, std::int64_t, double> equals = {};
};

enum class LinkCondition : std::uint8_t { any, has_link, has_sampled_link };

struct SpanRule {
  // A pattern for the whole name: `*` stands for any characters, `?` for one byte, all else for itself, in
  // this case. Empty: any name.
  std::string name = {};
  std::optional<SpanKind> kind = {};
  std::vector<AttributeCondition> attributes = {};
  LinkCondition links = LinkCondition::any;
  std::shared_ptr<Sampler> action = {};  // null: always on
};

struct RuleBasedOptions {
  std::vector<SpanRule> rules = {};
  std::shared_ptr<Sampler> otherwise = {};  // null: parent-based, always on for roots
};

std::shared_ptr<Sampler> rule_based_sampler(RuleBasedOptions options);

}  // namespace v1
}  // namespace midtrace
