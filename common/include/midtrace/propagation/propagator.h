// The propagator seam, and the propagator that all modules use.
//
// `inject` writes the context's fields; `extract` reads them into a context. Extraction failures never throw
// and never clear what `into` already holds: they are counted by cause and the fields count as absent. An
// extracted SpanContext is remote. Propagators are immutable and may be called from any thread. Source:
// OpenTelemetry Context, Propagators API; conventions 7.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <midtrace/context/context.h>
#include <midtrace/propagation/carrier.h>

namespace midtrace {
inline namespace v1 {

class Propagator {
 public:
  virtual ~Propagator() = default;
  virtual void inject(const Context& context, CarrierWriter& carrier) const noexcept = 0;
  virtual void extract(const CarrierReader& carrier, Context& into) const noexcept = 0;
  // The names that belong to the format, whichever of them one inject sets: a carrier that is used again must
  // lose them first. Names that depend on the context are not among them (is_baggage_field). Static storage.
  virtual std::span<const std::string_view> fields() const noexcept = 0;
};

// `traceparent` and `tracestate`. Source: W3C Trace Context Level 2; conventions 7.1 and 7.2.
class TraceContextPropagator final : public Propagator {
 public:
  void inject(const Context& context, CarrierWriter& carrier) const noexcept override;
  void extract(const CarrierReader& carrier, Context& into) const noexcept override;
  std::span<const std::string_view> fields() const noexcept override;
};

// `baggage`. Source: W3C Baggage; conventions 7.3.
class BaggagePropagator final : public Propagator {
 public:
  void inject(const Context& context, CarrierWriter& carrier) const noexcept override;
  void extract(const CarrierReader& carrier, Context& into) const noexcept override;
  std::span<const std::string_view> fields() const noexcept override;
};

// Several propagators in order: when several find a context, the last one's is taken.
class CompositePropagator final : public Propagator {
 public:
  explicit CompositePropagator(std::vector<std::shared_ptr<const Propagator>> parts);
  void inject(const Context& context, CarrierWriter& carrier) const noexcept override;
  void extract(const CarrierReader& carrier, Context& into) const noexcept override;
  std::span<const std::string_view> fields() const noexcept override;

 private:
  std::vector<std::shared_ptr<const Propagator>> parts_;
  std::vector<std::string_view> fields_;
};

// The propagator in use: what setup() chose, `tracecontext,baggage` before that. Valid for the life of the
// process.
const Propagator& propagator() noexcept;
// Replaces it, for applications that do not call setup(). The replaced one is kept alive, because another
// thread may be using it. Any thread.
void set_propagator(std::shared_ptr<const Propagator> replacement) noexcept;

// A propagator by the names of OTEL_PROPAGATORS (conventions 8): `tracecontext`, `baggage`, `b3`, `b3multi`,
// `jaeger`, `none`, comma-separated, in any case, in the order of CompositePropagator. Unknown names are
// passed to `unknown` and ignored; duplicates count once.
std::shared_ptr<const Propagator> make_propagator(std::string_view names,
                                                  FunctionRef<void(std::string_view name)> unknown);

// Whether a field holds baggage and so is no part of the trace context: `baggage`, and Jaeger's
// `uberctx-<name>`.
inline constexpr std::string_view jaeger_baggage_prefix = "uberctx-";
bool is_baggage_field(std::string_view name) noexcept;

// W3C traceparent as text, for callers that have no carrier: always 55 characters.
inline constexpr std::size_t traceparent_length = 55;
void write_traceparent(const SpanContext& context, char (&out)[traceparent_length]) noexcept;
// Ids and flags of a traceparent header value (no tracestate) as a remote context, or an invalid one. Never
// throws.
SpanContext parse_traceparent(std::string_view header) noexcept;

}  // namespace v1
}  // namespace midtrace
