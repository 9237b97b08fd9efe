// What it costs to write a context into a carrier and to read one from it, with W3C trace context and the
// least of a carrier.
//
// Measured on AMD EPYC (2.45 GHz, virtual), 2 cores with little else to do (load 1.4), g++ 12.2 -O2,
// opentelemetry-cpp 1.29.0 (development). Two runs: inject 10.0 ns (reference 39): holds. Extract 17.9 ns
// (reference 288 and 290): holds. No allocations.
#include <midtrace/propagation/propagator.h>

#include <cstring>

#include "cases.h"
#include "reference.h"
#include "workload.h"

namespace midtrace::bench {

namespace {

constexpr std::size_t burst = 20'000;

// One field in memory of its own.
class OneField final : public CarrierReader, public CarrierWriter {
 public:
  OneField() = default;
  explicit OneField(std::string_view value) { OneField::set("traceparent", value); }

  void get_all(std::string_view name, FunctionRef<bool(std::string_view)> visit) const noexcept override {
    if (name == std::string_view(name_, name_size_)) visit(value());
  }
  void for_each(FunctionRef<bool(std::string_view, std::string_view)> visit) const noexcept override {
    visit({name_, name_size_}, value());
  }
  void set(std::string_view name, std::string_view value) noexcept override {
    name_size_ = std::min(name.size(), sizeof(name_));
    std::memcpy(name_, name.data(), name_size_);
    value_size_ = std::min(value.size(), sizeof(value_));
    std::memcpy(value_, value.data(), value_size_);
  }
  std::string_view value() const noexcept { return {value_, value_size_}; }

 private:
  char name_[16] = {};
  char value_[64] = {};
  std::size_t name_size_ = 0;
  std::size_t value_size_ = 0;
};

constexpr std::string_view header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

Context sample_context() {
  Context context;
  context.span = parse_traceparent(header);
  return context;
}

Contestant bare_loop() {
  return {"bare", [] { return timed(burst, [](std::size_t index) { keep(index); }); }};
}

void report(Session& session, std::string name, double at_most, const std::vector<Contestant>& contestants,
            const std::optional<ReferenceContestant>& reference, const std::string& problem) {
  const Rounds rounds = interleave(contestants, session.rounds(100));
  Row row{name, "ns", rounds.added(1, 0)};
  row.at_most = at_most;
  row.void_reason = problem;
  if (reference && reference->problem().empty())
    row.reference = Reference{reference_name(), rounds.added(3, 0), rounds.ratio(1, 3, 0)};
  session.add(std::move(row));
  Row allocations{name + ": heap allocations", "per call", exactly(rounds.allocations(1))};
  allocations.at_most = 0;
  session.add(std::move(allocations));
  session.add({name + ", with baggage propagation (the default)", "ns", rounds.added(2, 0)});
}

std::shared_ptr<const Propagator> default_propagator() {
  return make_propagator("tracecontext,baggage", [](std::string_view) {});
}

}  // namespace

void inject_trace_context(Session& session) {
  const TraceContextPropagator alone;
  const auto both = default_propagator();
  const Context context = sample_context();
  OneField carrier;
  const auto loop = [&](const Propagator& propagator) {
    return timed(burst, [&](std::size_t) {
      propagator.inject(context, carrier);
      keep(carrier);
    });
  };
  std::vector<Contestant> contestants{
      bare_loop(), {"midtrace", [&] { return loop(alone); }}, {"default", [&] { return loop(*both); }}};
  const auto reference = reference_inject(burst);
  if (reference) contestants.push_back(reference->contestant);
  alone.inject(context, carrier);
  const bool right = carrier.value() == header;
  report(session, "inject W3C trace context", 20, contestants, reference, right ? "" : "wrong header");
}

void extract_trace_context(Session& session) {
  const TraceContextPropagator alone;
  const auto both = default_propagator();
  const OneField carrier(header);
  const auto loop = [&](const Propagator& propagator) {
    return timed(burst, [&](std::size_t) {
      Context context;
      propagator.extract(carrier, context);
      keep(context);
    });
  };
  std::vector<Contestant> contestants{
      bare_loop(), {"midtrace", [&] { return loop(alone); }}, {"default", [&] { return loop(*both); }}};
  const auto reference = reference_extract(burst);
  if (reference) contestants.push_back(reference->contestant);
  Context context;
  alone.extract(carrier, context);
  const bool right = context.span.trace_id == sample_context().span.trace_id && context.span.remote;
  report(session, "extract W3C trace context", 30, contestants, reference, right ? "" : "wrong context");
}

}  // namespace midtrace::bench
