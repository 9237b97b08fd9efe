// B3, the propagation of Zipkin: one header (`b3`) or several (`x-b3-...`).
//
// Extraction takes `b3` first, then the several; of repeated headers the last well-formed one. Trace ids of
// 16 digits are padded with zeros on the left, the parent's id is accepted and ignored. What B3 says beside
// the ids is kept in the SpanContext: "debug" and "deferred" in its flags, a decision that came alone as a
// remote context without ids (SpanContext::decision_only), which leaves a span that `into` has already alone.
// Ids that `into` has already (from a traceparent) keep their tracestate and random flag.
//
// Injection writes the state of the span: `1`, `0`, `d` for a forced trace, nothing when it is deferred;
// never the parent's id. A decision without ids is written as it came. Immutable; any thread; nothing throws
// or allocates. Source: openzipkin/b3-propagation; conventions 7.4.
#pragma once

#include <cstdint>

#include <midtrace/propagation/propagator.h>

namespace midtrace {
inline namespace v1 {

enum class B3Format : std::uint8_t { single, multi };

class B3Propagator final : public Propagator {
 public:
  // The format that is written; both are read.
  explicit B3Propagator(B3Format written = B3Format::single) noexcept : written_(written) {}

  void inject(const Context& context, CarrierWriter& carrier) const noexcept override;
  void extract(const CarrierReader& carrier, Context& into) const noexcept override;
  // Those of both formats.
  std::span<const std::string_view> fields() const noexcept override;

 private:
  B3Format written_;
};

}  // namespace v1
}  // namespace midtrace
