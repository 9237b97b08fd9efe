// CompiledSampler: the built-in samplers as plain numbers, so that the native backend decides without a
// virtual call.
//
// A sampler that is not built in stays behind its interface. Immutable once compiled; any thread.
#pragma once

#include <cstdint>
#include <memory>

#include <midtrace/trace/sampler.h>

namespace midtrace {
inline namespace v1 {

// One rule: keep the trace ids of which the low 63 bits are below a bound, or ask a sampler of the user's.
struct SamplingRule {
  static constexpr std::uint64_t keep_all = 1ULL << 63U;

  std::uint64_t bound = keep_all;
  std::shared_ptr<Sampler> custom;

  bool keeps(TraceId id) const noexcept { return (id.low >> 1U) < bound; }
};

struct CompiledSampler {
  SamplingRule root;
  SamplingRule remote_parent_sampled;
  SamplingRule remote_parent_not_sampled;
  SamplingRule local_parent_sampled;
  SamplingRule local_parent_not_sampled;
  bool parent_based = true;
  bool roots_follow_links = true;

  // The parent may be a decision without ids. One that deferred its decision counts as none.
  const SamplingRule& rule_for(const SpanContext* parent) const noexcept {
    if (!parent_based || parent == nullptr) return root;
    if (parent->remote && parent->flags.deferred()) [[unlikely]]
      return root;
    if (parent->remote) return parent->sampled() ? remote_parent_sampled : remote_parent_not_sampled;
    return parent->sampled() ? local_parent_sampled : local_parent_not_sampled;
  }
};

// Null compiles to the default, parent-based with always-on roots.
CompiledSampler compile(const std::shared_ptr<Sampler>& sampler);

// What D27 says about a root with links: keep it, drop it, or ask the root sampler.
enum class LinkVerdict : std::uint8_t { keep, drop, ask };
LinkVerdict judge_links(std::span<const Link> links) noexcept;

}  // namespace v1
}  // namespace midtrace
