#include <midtrace/trace/rule_based_sampler.h>

#include <algorithm>
#include <utility>

#include "compiled_sampler.h"
#include "glob.h"

namespace midtrace {
inline namespace v1 {

namespace {

// A key's identity is computed once: spans compare by it before they compare text.
struct ReadyCondition {
  AttributeCondition condition;
  std::uint64_t identity;

  bool holds_for(const Attribute& attribute) const noexcept {
    if (attribute.key.identity() != identity || attribute.key.name() != condition.key) return false;
    const AttributeValue& value = attribute.value;
    if (const auto* text = std::get_if<std::string>(&condition.equals))
      return value.type() == AttributeType::string && value.as_string() == *text;
    if (const auto* truth = std::get_if<bool>(&condition.equals))
      return value.type() == AttributeType::boolean && value.as_boolean() == *truth;
    if (const auto* integer = std::get_if<std::int64_t>(&condition.equals))
      return value.type() == AttributeType::integer && value.as_integer() == *integer;
    if (const auto* real = std::get_if<double>(&condition.equals))
      return value.type() == AttributeType::real && value.as_real() == *real;
    return true;
  }
};

class ReadyRule {
 public:
  explicit ReadyRule(SpanRule rule)
      : name_(std::move(rule.name)),
        kind_(rule.kind),
        links_(rule.links),
        action_(rule.action != nullptr ? std::move(rule.action) : always_on_sampler()) {
    for (AttributeCondition& condition : rule.attributes) {
      const std::uint64_t identity = AnyKey(condition.key).identity();
      attributes_.push_back({std::move(condition), identity});
    }
    const CompiledSampler compiled = compile(action_);
    constant_ = !compiled.parent_based && compiled.root.plain_for_children;
  }

  SamplerNeeds needs() const noexcept {
    return SamplerNeeds{!name_.empty(), links_ != LinkCondition::any, !attributes_.empty()} |
           action_->needs();
  }

  bool matches(const SamplingInput& input) const noexcept {
    return (!kind_ || *kind_ == input.kind) && links_match(input.links) &&
           (name_.empty() || matches_glob(input.name, name_)) &&
           std::all_of(attributes_.begin(), attributes_.end(), [&input](const ReadyCondition& condition) {
             return std::any_of(
                 input.attributes.begin(), input.attributes.end(),
                 [&condition](const Attribute& attribute) { return condition.holds_for(attribute); });
           });
  }

  SamplingResult decide(const SamplingInput& input) const {
    SamplingResult result = action_->sample(input);
    if (constant_ && input.parent != nullptr && !input.parent->trace_state.empty())
      result.trace_state = inherited_state(*input.parent, false);
    return result;
  }

 private:
  bool links_match(std::span<const Link> links) const noexcept {
    if (links_ == LinkCondition::any) return true;
    return std::any_of(links.begin(), links.end(), [this](const Link& link) {
      return link.context.valid() && (links_ == LinkCondition::has_link || link.context.sampled());
    });
  }

  std::string name_;
  std::optional<SpanKind> kind_;
  LinkCondition links_;
  std::vector<ReadyCondition> attributes_;
  std::shared_ptr<Sampler> action_;
  bool constant_;  // keeps or drops whatever the parent is
};

class RuleBasedSampler final : public Sampler {
 public:
  explicit RuleBasedSampler(RuleBasedOptions options)
      : otherwise_(options.otherwise != nullptr ? std::move(options.otherwise) : parent_based_sampler({})) {
    rules_.reserve(options.rules.size());
    for (SpanRule& rule : options.rules)
      rules_.emplace_back(std::move(rule));
  }

  SamplerNeeds needs() const noexcept override {
    SamplerNeeds all = otherwise_->needs();
    for (const ReadyRule& rule : rules_)
      all = all | rule.needs();
    return all;
  }
  SamplingResult sample(const SamplingInput& input) override {
    const auto first = std::find_if(rules_.begin(), rules_.end(),
                                    [&input](const ReadyRule& rule) { return rule.matches(input); });
    return first != rules_.end() ? first->decide(input) : otherwise_->sample(input);
  }
  // Without what the rules look for, which may be nobody's business.
  std::string description() const override {
    return "RuleBasedSampler{rules=" + std::to_string(rules_.size()) +
           ",otherwise=" + otherwise_->description() + "}";
  }

 private:
  std::vector<ReadyRule> rules_;
  std::shared_ptr<Sampler> otherwise_;
};

}  // namespace

std::shared_ptr<Sampler> rule_based_sampler(RuleBasedOptions options) {
  return std::make_shared<RuleBasedSampler>(std::move(options));
}

}  // namespace v1
}  // namespace midtrace
