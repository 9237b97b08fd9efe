// CompiledSampler: the built-in samplers as plain numbers, so that the native backend decides without a
// virtual call.
//
// Whatever is not that simple stays behind the Sampler interface: samplers of the user's, and the ratio and
// probability samplers where a span has a parent. Immutable once compiled; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <midtrace/trace/sampler.h>

namespace midtrace {
inline namespace v1 {

// The tracestate of every root that a probability sampler keeps, several times, so that threads that count
// references to it share few cache lines.
struct PreparedStates {
  std::array<TraceState, 16> states;

  const TraceState& for_thread(const void* block) const noexcept {
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(block));
    return states[(address * 0x9E3779B97F4A7C15U) >> 60U];
  }
};

// One rule: keep the trace ids of which some bits are below a bound, or ask a sampler.
struct SamplingRule {
  static constexpr std::uint64_t keep_all = 1ULL << 63U;

  std::uint64_t bound = keep_all;
  std::uint64_t flip = 0;          // all ones: ids above a bound are kept instead
  unsigned shift = 0;              // how many high bits of the id's low half do not count
  bool plain_for_roots = true;     // keeps() decides for roots
  bool plain_for_children = true;  // and for children, whose parent has no tracestate
  SamplerNeeds needs;
  const PreparedStates* kept_root_states = nullptr;  // owned by `sampler`
  std::shared_ptr<Sampler> sampler;                  // what is asked otherwise; null when nothing is

  bool keeps(TraceId id) const noexcept { return (((id.low ^ flip) << shift) >> 1U) < bound; }
};

struct CompiledSampler {
  SamplingRule root;
  SamplingRule remote_parent_sampled;
  SamplingRule remote_parent_not_sampled;
  SamplingRule local_parent_sampled;
  SamplingRule local_parent_not_sampled;
  SamplerNeeds needs{.links = true};
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

// The tracestate of a child of which the sampler did not choose another: without an `ot=th:..` that is not
// true. `continues_sampling`: the span is sampled because its parent is.
TraceState inherited_state(const SpanContext& parent, bool continues_sampling) noexcept;

}  // namespace v1
}  // namespace midtrace
