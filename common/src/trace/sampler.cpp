#include <midtrace/trace/sampler.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "compiled_sampler.h"

namespace midtrace {
inline namespace v1 {

namespace {

// A sampler that the backend can flatten.
class BuiltInSampler : public Sampler {
 public:
  virtual void compile_into(CompiledSampler& compiled) const = 0;
};

class ThresholdSampler final : public BuiltInSampler {
 public:
  ThresholdSampler(std::uint64_t bound, std::string description)
      : bound_(bound), description_(std::move(description)) {}

  SamplerNeeds needs() const noexcept override { return {}; }
  SamplingResult sample(const SamplingInput& input) noexcept override {
    return {(input.trace_id.low >> 1U) < bound_ ? Decision::record_and_sample : Decision::drop};
  }
  std::string description() const override { return description_; }
  void compile_into(CompiledSampler& compiled) const override {
    compiled.parent_based = false;
    compiled.root = {bound_, nullptr};
  }

 private:
  std::uint64_t bound_;
  std::string description_;
};

SamplingRule rule_of(const std::shared_ptr<Sampler>& sampler) {
  if (dynamic_cast<const ThresholdSampler*>(sampler.get()) != nullptr) {
    CompiledSampler compiled;
    static_cast<const ThresholdSampler*>(sampler.get())->compile_into(compiled);
    return compiled.root;
  }
  return {0, sampler};
}

class ParentBasedSampler final : public BuiltInSampler {
 public:
  explicit ParentBasedSampler(ParentBasedOptions options) : options_(std::move(options)) {
    if (!options_.root) options_.root = always_on_sampler();
    if (!options_.remote_parent_sampled) options_.remote_parent_sampled = always_on_sampler();
    if (!options_.remote_parent_not_sampled) options_.remote_parent_not_sampled = always_off_sampler();
    if (!options_.local_parent_sampled) options_.local_parent_sampled = always_on_sampler();
    if (!options_.local_parent_not_sampled) options_.local_parent_not_sampled = always_off_sampler();
  }

  SamplerNeeds needs() const noexcept override {
    SamplerNeeds all;
    all.links = options_.roots_follow_links;
    for (const Sampler* part :
         {options_.root.get(), options_.remote_parent_sampled.get(), options_.remote_parent_not_sampled.get(),
          options_.local_parent_sampled.get(), options_.local_parent_not_sampled.get()}) {
      const SamplerNeeds needs = part->needs();
      all.name = all.name || needs.name;
      all.links = all.links || needs.links;
      all.attributes = all.attributes || needs.attributes;
    }
    return all;
  }
  SamplingResult sample(const SamplingInput& input) noexcept override {
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
  void compile_into(CompiledSampler& compiled) const override {
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

// Not std::tolower, which asks the application's locale.
std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

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

CompiledSampler compile(const std::shared_ptr<Sampler>& sampler) {
  CompiledSampler compiled;
  if (sampler == nullptr) {
    compiled.remote_parent_not_sampled.bound = 0;
    compiled.local_parent_not_sampled.bound = 0;
  } else if (const auto* built_in = dynamic_cast<const BuiltInSampler*>(sampler.get())) {
    built_in->compile_into(compiled);
  } else {
    compiled.parent_based = false;
    compiled.root = {0, sampler};
  }
  return compiled;
}

std::shared_ptr<Sampler> always_on_sampler() {
  return std::make_shared<ThresholdSampler>(SamplingRule::keep_all, "AlwaysOnSampler");
}

std::shared_ptr<Sampler> always_off_sampler() {
  return std::make_shared<ThresholdSampler>(0, "AlwaysOffSampler");
}

std::shared_ptr<Sampler> trace_id_ratio_sampler(double ratio) {
  const double clamped = ratio >= 0.0 ? std::min(ratio, 1.0) : 0.0;  // also for NaN
  char digits[16];
  const char* end = std::to_chars(digits, digits + sizeof(digits), clamped, std::chars_format::fixed, 6).ptr;
  const std::uint64_t bound =
      clamped >= 1.0 ? SamplingRule::keep_all : static_cast<std::uint64_t>(std::ldexp(clamped, 63));
  return std::make_shared<ThresholdSampler>(
      bound, "TraceIdRatioBased{" + std::string(static_cast<const char*>(digits), end) + "}");
}

std::shared_ptr<Sampler> parent_based_sampler(ParentBasedOptions options) {
  return std::make_shared<ParentBasedSampler>(std::move(options));
}

std::shared_ptr<Sampler> make_sampler(std::string_view name, std::string_view argument, std::string& error) {
  const std::string known = lower(name);
  const bool parent_based = known.starts_with("parentbased_");
  const std::string_view rule = std::string_view(known).substr(parent_based ? sizeof("parentbased_") - 1 : 0);
  std::shared_ptr<Sampler> sampler;
  if (rule == "always_on") {
    sampler = always_on_sampler();
  } else if (rule == "always_off") {
    sampler = always_off_sampler();
  } else if (rule == "traceidratio") {
    double ratio = 1.0;
    if (!argument.empty()) {
      const char* end = argument.data() + argument.size();
      const auto [stop, failure] = std::from_chars(argument.data(), end, ratio);
      if (failure != std::errc() || stop != end || !(ratio >= 0.0 && ratio <= 1.0)) {
        error = "'" + std::string(argument) + "' is not a number from 0 to 1";
        return nullptr;
      }
    }
    sampler = trace_id_ratio_sampler(ratio);
  } else {
    error =
        "'" + std::string(name) +
        "' is not one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, "
        "parentbased_traceidratio";
    return nullptr;
  }
  if (!parent_based) return sampler;
  ParentBasedOptions options;
  options.root = std::move(sampler);
  return parent_based_sampler(std::move(options));
}

}  // namespace v1
}  // namespace midtrace
