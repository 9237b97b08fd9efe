// Jaeger's own propagation: `uber-trace-id`, and one `uberctx-<name>` header for each baggage member.
//
// Extraction accepts ids of any length up to 32 and 16 digits, in any case, with zeros missing on the left;
// colons may be percent-encoded; the parent's id is ignored; of repeated headers the last well-formed one
// counts. Injection writes full ids and the parent as `0`. "Debug" is kept in the flags of the SpanContext.
// Ids that `into` has already (from a traceparent) keep their tracestate and random flag.
//
// Baggage values are URL-encoded on carriers like HTTP and plain text on others (CarrierKind). Names that
// come over HTTP are taken in lower case, as Jaeger's clients do, because proxies change the case. Received
// members are added to those in `into`; the limits of Baggage hold both ways, and what has no place is
// counted as in W3C baggage. Members have no metadata here. Immutable; any thread; nothing throws, nothing
// allocates without baggage. Deprecated by OpenTelemetry, for systems that still speak it. Source: Jaeger
// client libraries, propagation format; conventions 7.5.
#pragma once

#include <midtrace/propagation/propagator.h>

namespace midtrace {
inline namespace v1 {

class JaegerPropagator final : public Propagator {
 public:
  void inject(const Context& context, CarrierWriter& carrier) const noexcept override;
  void extract(const CarrierReader& carrier, Context& into) const noexcept override;
  // Without those of the baggage, which have no fixed names (is_baggage_field).
  std::span<const std::string_view> fields() const noexcept override;
};

}  // namespace v1
}  // namespace midtrace
