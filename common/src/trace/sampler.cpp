#include <midtrace/trace/sampler.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>

#include <midtrace/trace/instrumentation.h>

#include "../context/ot_member.h"
#include "compiled_sampler.h"

namespace midtrace {
inline namespace v1 {

namespace {

// A sampler that one rule describes.
class RuleSampler : public Sampler {
 public:
  SamplerNeeds needs() const noexcept override { return {}; }
  virtual SamplingRule rule() const = 0;
};

SamplingRule rule_of(const std::shared_ptr<Sampler>& sampler) {
  SamplingRule rule;
  if (const auto* simple = dynamic_cast<const RuleSampler*>(sampler.get())) {
    rule = simple->rule();
  } else {
    rule.plain_for_roots = false;
    rule.plain_for_children = false;
  }
  rule.needs = sampler->needs();
  if (!rule.plain_for_roots || !rule.plain_for_children) rule.sampler = sampler;
  return rule;
}

// At least six decimals, as in the specification's examples, and as many as tell two ratios apart.
std::string ratio_text(double ratio) {
  constexpr std::size_t decimals = 6;
  char digits[1100];  // the smallest double has 1074 decimals
  const char* end =
      std::to_chars(digits, digits + sizeof(digits), ratio + 0.0, std::chars_format::fixed).ptr;  // no -0
  std::string text(static_cast<const char*>(digits), end);
  std::size_t point = text.find('.');
  if (point == std::string::npos) {
    point = text.size();
    text += '.';
  }
  if (text.size() < point + 1 + decimals) text.resize(point + 1 + decimals, '0');
  return text;
}

// From 0 to 1, also for NaN.
double clamped(double ratio) noexcept { return ratio > 0.0 ? std::min(ratio, 1.0) : 0.0; }

class ConstantSampler final : public RuleSampler {
 public:
  explicit ConstantSampler(bool keeps) : keeps_(keeps) {}

  SamplingResult sample(const SamplingInput&) override {
    return {keeps_ ? Decision::record_and_sample : Decision::drop};
  }
  std::string description() const override { return keeps_ ? "AlwaysOnSampler" : "AlwaysOffSampler"; }
  SamplingRule rule() const override {
    SamplingRule rule;
    rule.bound = keeps_ ? SamplingRule::keep_all : 0;
    return rule;
  }

 private:
  const bool keeps_;
};

class RatioSampler final : public RuleSampler {
 public:
  explicit RatioSampler(double ratio)
      : ratio_(ratio),
        bound_(ratio >= 1.0 ? SamplingRule::keep_all : static_cast<std::uint64_t>(std::ldexp(ratio, 63))) {}

  SamplingResult sample(const SamplingInput& input) override {
    SamplingResult result{rule().keeps(input.trace_id) ? Decision::record_and_sample : Decision::drop};
    if (input.parent == nullptr) return result;
    // A parent that leaves the decision to us makes this span as good as a root.
    if (input.parent->valid() && !input.parent->flags.deferred() &&
        !warned_.exchange(true, std::memory_order_relaxed)) {
      report(
          Severity::warning, "sampler.ratio_below_parent",
          "TraceIdRatioBased decides for a span that has a parent; SDKs compute this ratio differently, so "
          "traces may come apart. Use it as the root of a parent-based sampler "
          "(OTEL_TRACES_SAMPLER=parentbased_traceidratio), or use the probability sampler.");
    }
    // The parent's probability is not this span's.
    if (OtMember::of(input.parent->trace_state).has_threshold_text)
      result.trace_state = with_threshold(input.parent->trace_state, std::nullopt);
    return result;
  }
  std::string description() const override { return "TraceIdRatioBased{" + ratio_text(ratio_) + "}"; }
  SamplingRule rule() const override {
    SamplingRule rule;
    rule.bound = bound_;
    rule.plain_for_children = false;
    return rule;
  }

 private:
  const double ratio_;
  const std::uint64_t bound_;
  std::atomic<bool> warned_{false};
};

class ProbabilitySampler final : public RuleSampler {
 public:
  explicit ProbabilitySampler(double ratio) : ratio_(ratio), threshold_(threshold_of(ratio)) {
    if (threshold_ == OtMember::keep_none) return;
    for (TraceState& state : kept_.states)
      state = with_threshold({}, threshold_);
  }

  SamplingResult sample(const SamplingInput& input) override {
    if (input.parent == nullptr) {
      if (!rule().keeps(input.trace_id)) return {Decision::drop};
      return {Decision::record_and_sample, kept_.states.front()};
    }
    const TraceState& inherited = input.parent->trace_state;
    const OtMember member = OtMember::of(inherited);
    if (!member.randomness && !input.parent->flags.random() &&
        !warned_.exchange(true, std::memory_order_relaxed)) {
      report(Severity::warning, "sampler.not_random",
             "The probability sampler decides for a span of which the parent says neither that its trace id "
             "is random (flag 02 of traceparent) nor another randomness (ot=rv of tracestate); it presumes "
             "that the id is random. Update what starts these traces, or use the sampler as the root of a "
             "parent-based one.");
    }
    if (member.randomness_for(input.trace_id) >= threshold_)
      return {Decision::record_and_sample, with_threshold(inherited, threshold_)};
    SamplingResult dropped;
    if (member.has_threshold_text) dropped.trace_state = with_threshold(inherited, std::nullopt);
    return dropped;
  }
  std::string description() const override { return "ProbabilitySampler{" + ratio_text(ratio_) + "}"; }
  // R >= T, written as ~R < 2^56 - T in the upper 56 of 63 bits.
  SamplingRule rule() const override {
    SamplingRule rule;
    rule.bound = (OtMember::keep_none - threshold_) << 7U;
    rule.flip = ~std::uint64_t{0};
    rule.shift = 8;
    rule.plain_for_children = false;
    rule.kept_root_states = &kept_;
    return rule;
  }

 private:
  const double ratio_;
  const std::uint64_t threshold_;
  PreparedStates kept_;
  std::atomic<bool> warned_{false};
};

class ParentBasedSampler final : public Sampler {
 public:
  explicit ParentBasedSampler(ParentBasedOptions options) : options_(std::move(options)) {
    if (!options_.root) options_.root = always_on_sampler();
    if (!options_.remote_parent_sampled) options_.remote_parent_sampled = always_on_sampler();
    if (!options_.remote_parent_not_sampled) options_.remote_parent_not_sampled = always_off_sampler();
    if (!options_.local_parent_sampled) options_.local_parent_sampled = always_on_sampler();
    if (!options_.local_parent_not_sampled) options_.local_parent_not_sampled = always_off_sampler();
  }

  SamplerNeeds needs() const noexcept override {
    return SamplerNeeds{.links = options_.roots_follow_links} | options_.root->needs() |
           options_.remote_parent_sampled->needs() | options_.remote_parent_not_sampled->needs() |
           options_.local_parent_sampled->needs() | options_.local_parent_not_sampled->needs();
  }
  SamplingResult sample(const SamplingInput& input) override {
    if (input.parent == nullptr) {
      if (options_.roots_follow_links && !input.links.empty()) {
        const LinkVerdict verdict = judge_links(input.links);
        if (verdict == LinkVerdict::keep) return {Decision::record_and_sample};
        if (verdict == LinkVerdict::drop) return {Decision::drop};
      }
      return options_.root->sample(input);
    }
    if (input.parent->remote) {
      if (input.parent->flags.deferred()) return options_.root->sample(input);
      return (input.parent->sampled() ? options_.remote_parent_sampled : options_.remote_parent_not_sampled)
          ->sample(input);
    }
    return (input.parent->sampled() ? options_.local_parent_sampled : options_.local_parent_not_sampled)
        ->sample(input);
  }
  std::string description() const override {
    return "ParentBased{root=" + options_.root->description() +
           ",remoteParentSampled=" + options_.remote_parent_sampled->description() +
           ",remoteParentNotSampled=" + options_.remote_parent_not_sampled->description() +
           ",localParentSampled=" + options_.local_parent_sampled->description() +
           ",localParentNotSampled=" + options_.local_parent_not_sampled->description() + "}";
  }
  void compile_into(CompiledSampler& compiled) const {
    compiled.parent_based = true;
    compiled.roots_follow_links = options_.roots_follow_links;
    compiled.root = rule_of(options_.root);
    compiled.remote_parent_sampled = rule_of(options_.remote_parent_sampled);
    compiled.remote_parent_not_sampled = rule_of(options_.remote_parent_not_sampled);
    compiled.local_parent_sampled = rule_of(options_.local_parent_sampled);
    compiled.local_parent_not_sampled = rule_of(options_.local_parent_not_sampled);
  }

 private:
  ParentBasedOptions options_;
};

}  // namespace

LinkVerdict judge_links(std::span<const Link> links) noexcept {
  std::size_t creators = 0;
  for (const Link& link : links) {
    if (!link.context.valid() || link.context.flags.deferred()) continue;
    if (link.context.sampled()) return LinkVerdict::keep;
    ++creators;
  }
  return creators == 1 ? LinkVerdict::drop : LinkVerdict::ask;
}

TraceState inherited_state(const SpanContext& parent, bool continues_sampling) noexcept {
  // A local parent's threshold was settled when it started.
  if (parent.trace_state.empty() || (continues_sampling && !parent.remote && parent.sampled()))
    return parent.trace_state;
  const OtMember member = OtMember::of(parent.trace_state);
  const bool true_still = continues_sampling && parent.sampled() && member.threshold &&
                          member.randomness_for(parent.trace_id) >= *member.threshold;
  return true_still || !member.has_threshold_text ? parent.trace_state
                                                  : with_threshold(parent.trace_state, std::nullopt);
}

CompiledSampler compile(const std::shared_ptr<Sampler>& sampler) {
  CompiledSampler compiled;
  if (sampler == nullptr) {
    compiled.remote_parent_not_sampled.bound = 0;
    compiled.local_parent_not_sampled.bound = 0;
    return compiled;
  }
  compiled.needs = sampler->needs();
  if (const auto* parent_based = dynamic_cast<const ParentBasedSampler*>(sampler.get())) {
    parent_based->compile_into(compiled);
  } else {
    compiled.parent_based = false;
    compiled.root = rule_of(sampler);
  }
  return compiled;
}

std::shared_ptr<Sampler> always_on_sampler() { return std::make_shared<ConstantSampler>(true); }

std::shared_ptr<Sampler> always_off_sampler() { return std::make_shared<ConstantSampler>(false); }

std::shared_ptr<Sampler> trace_id_ratio_sampler(double ratio) {
  return std::make_shared<RatioSampler>(clamped(ratio));
}

std::shared_ptr<Sampler> probability_sampler(double ratio) {
  return std::make_shared<ProbabilitySampler>(clamped(ratio));
}

std::shared_ptr<Sampler> parent_based_sampler(ParentBasedOptions options) {
  return std::make_shared<ParentBasedSampler>(std::move(options));
}

}  // namespace v1
}  // namespace midtrace
