// The Sampler seam and the specification's samplers.
//
// A sampler declares what it needs, so that a span that is dropped normalizes, formats and collects nothing.
// sample() may run on any thread at once, must not throw or block, and sees the trace id before the span id
// is made. The built-in samplers need nothing, or only links; the native backend runs them without a virtual
// call. Source: OpenTelemetry Trace SDK, Sampling; conventions 10; design decision D27 for links.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <midtrace/context/context.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

struct SamplerNeeds {
  bool name = false;
  bool links = false;
  bool attributes = false;
};

enum class Decision : std::uint8_t { drop, record_only, record_and_sample };

struct SamplingInput {
  // Null for a root. Without ids for a root below a decision that came without them
  // (SpanContext::decision_only).
  const SpanContext* parent;
  TraceId trace_id;
  std::string_view name;
  SpanKind kind;
  std::span<const Link> links;
  std::span<const Attribute> attributes;
};

struct SamplingResult {
  Decision decision = Decision::drop;
  // When set, replaces the span's tracestate (an empty one clears it).
  std::optional<TraceState> trace_state = std::nullopt;
  // Added to the span when it records; must live until start returns.
  std::span<const Attribute> attributes = {};
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual SamplerNeeds needs() const noexcept = 0;
  virtual SamplingResult sample(const SamplingInput& input) noexcept = 0;
  virtual std::string description() const = 0;
};

std::shared_ptr<Sampler> always_on_sampler();
std::shared_ptr<Sampler> always_off_sampler();
// Decides from the low 63 random bits of the trace id (as the Go and Python SDKs do), so a higher ratio keeps
// every trace that a lower one keeps. A ratio outside [0, 1] is clamped. Use it as a root sampler.
std::shared_ptr<Sampler> trace_id_ratio_sampler(double ratio);

// A remote parent that deferred its decision (TraceFlags::deferred_bit) asks `root`; a link like that does
// not count.
struct ParentBasedOptions {
  std::shared_ptr<Sampler> root = {};                       // null: always on
  std::shared_ptr<Sampler> remote_parent_sampled = {};      // null: always on
  std::shared_ptr<Sampler> remote_parent_not_sampled = {};  // null: always off
  std::shared_ptr<Sampler> local_parent_sampled = {};       // null: always on
  std::shared_ptr<Sampler> local_parent_not_sampled = {};   // null: always off
  // D27: a root with links is sampled if any of them is; one with a single unsampled link is dropped as its
  // creator was; one with several asks `root`. Without it a linked consumer would be drawn a second time.
  bool roots_follow_links = true;
};
std::shared_ptr<Sampler> parent_based_sampler(ParentBasedOptions options);

// By the names of OTEL_TRACES_SAMPLER (conventions 8). `argument` is OTEL_TRACES_SAMPLER_ARG. Null for an
// unknown name or a bad argument, with the reason in `error`.
std::shared_ptr<Sampler> make_sampler(std::string_view name, std::string_view argument, std::string& error);

}  // namespace v1
}  // namespace midtrace
