// The Sampler seam and the specification's samplers.
//
// A sampler declares what it needs, so that a span that is dropped normalizes, formats and collects nothing.
// sample() may run on any thread at once, must not block, and sees the trace id before the span id is made.
// When it throws, the exception is swallowed, counted (Counter::hook_failures) and reported, and the span is
// sampled if its parent is; a root is dropped. The built-in samplers need nothing, or only links; the native
// backend runs them without a virtual call. rule_based_sampler.h and rate_limiting_sampler.h have two more.
//
// A child inherits its parent's tracestate unless the sampler returns another one. Of the inherited one the
// backend removes the probability `ot=th:..` where it is not true any more: the span is not sampled, or the
// threshold is malformed or contradicts the parent's sampled flag. Source: OpenTelemetry Trace SDK, Sampling;
// conventions 10; design decision D27 for links.
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

// drop: neither recorded nor sampled. record_only: the span takes attributes, but is not exported, and its
// sampled flag is off on the wire.
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
  // When set, replaces the span's tracestate (an empty one clears it), also of a dropped span.
  std::optional<TraceState> trace_state = std::nullopt;
  // Added to the span when it records; must live until start returns.
  std::span<const Attribute> attributes = {};
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  // Asked once, when tracing is set up.
  virtual SamplerNeeds needs() const noexcept = 0;
  virtual SamplingResult sample(const SamplingInput& input) = 0;
  virtual std::string description() const = 0;
};

std::shared_ptr<Sampler> always_on_sampler();
std::shared_ptr<Sampler> always_off_sampler();
// TraceIdRatioBased. Decides from the low 63 random bits of the trace id (as the Go and Python SDKs do), so a
// higher ratio keeps every trace that a lower one keeps. A ratio outside [0, 1] is clamped. Use it as a root
// sampler: SDKs disagree about these bits, so it warns once when it decides for a span that has a parent.
std::shared_ptr<Sampler> trace_id_ratio_sampler(double ratio);
// ProbabilitySampler: the consistent one, on which all SDKs agree. Keeps a span when the 56 bits of
// randomness of its trace (`ot=rv:..`, else the low 56 bits of the trace id) reach the threshold of the
// ratio, and then writes `ot=th:..`, from which backends compute how many spans this one stands for. The
// ratio is rounded to four significant hex digits of the threshold. Below 2^-56 nothing is kept, above 1
// everything. Warns once when the trace id of a span with a parent is not known to be random. Trace ids are
// presumed to be random: an IdGenerator of the application's must see to it.
std::shared_ptr<Sampler> probability_sampler(double ratio);

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

// By the names of OTEL_TRACES_SAMPLER (conventions 8): always_on, always_off, traceidratio, and our own
// probability and rate_limiting; each also with parentbased_ before it, which makes it the root of a
// parent-based sampler. `argument` is OTEL_TRACES_SAMPLER_ARG: a ratio from 0 to 1 (empty: 1), or the traces
// per second (empty: 100). Null for an unknown name or a bad argument, with the reason in `error`.
std::shared_ptr<Sampler> make_sampler(std::string_view name, std::string_view argument, std::string& error);

}  // namespace v1
}  // namespace midtrace
