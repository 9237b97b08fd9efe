// What a span costs that goes through the bridge into opentelemetry-cpp, next to the same span made on
// opentelemetry-cpp's API, with the same provider.
//
// Measured on AMD EPYC (2.45 GHz, virtual), 2 cores, not idle (load 4.3 to 6.6), g++ 12.2 -O2,
// opentelemetry-cpp 1.29.0 (development). Three runs, with the ratio to opentelemetry-cpp alone: sampled
// 2 636, 4 622 and 1 841 ns (1.33, 1.14 and 1.31; the reference 2 015, 4 192 and 1 335 ns: its background
// thread makes it drift), 22 allocations (21); unsampled 207, 219 and 187 ns (2.32, 2.33 and 2.41; the
// reference 87, 91 and 78 ns), 1 allocation (1).
#include <midtrace/otel_bridge.h>
#include <midtrace/trace/counters.h>

#include "cases.h"
#include "reference.h"
#include "sdk_tracing.h"

namespace midtrace::bench {

namespace {

// Below the SDK's queue of 2048.
constexpr std::size_t burst = 2000;
// While the clock is calibrated, in a process's first second, every bridged span reads the system's.
constexpr std::int64_t calibration_nanos = 1'500'000'000;

void compare(Session& session, const std::string& name, bool sampled) {
  SdkTracing direct(sampled ? sdk::trace::AlwaysOnSamplerFactory::Create()
                            : sdk::trace::AlwaysOffSamplerFactory::Create());
  const otel_bridge::Bridge bridge = otel_bridge::install(direct.provider());
  const Tracer tracer = Tracer::get("bench");
  std::uint64_t made = 0;
  // The contestants share the provider, its processor and its exporter.
  const auto block = [&](auto&& trace_one) {
    const Cost cost = timed(burst, trace_one);
    made += burst;
    direct.flush();
    return cost;
  };
  const Contestant contestants[] = {
      {"bare", [] { return timed(burst, [](std::size_t) { read_values(span_values()); }); }},
      {"direct",
       [&] { return block([&](std::size_t) { trace_one_span_with_sdk(direct.tracer(), span_values()); }); }},
      {"bridged", [&] { return block([&](std::size_t) { trace_one_span(tracer, span_values()); }); }},
  };
  const Counters before = counters();
  for (const std::int64_t begin = wall_nanos(); wall_nanos() - begin < calibration_nanos;)
    contestants[2].block();
  const Rounds rounds = interleave(contestants, session.rounds(100));
  const Counters after = counters();

  Row row{name, "ns", rounds.added(2, 0)};
  row.reference = Reference{reference_name(), rounds.added(1, 0), rounds.ratio(2, 1, 0)};
  if (!bridge.ok()) {
    row.void_reason = "the bridge was not installed";
  } else if (after.dropped_spans() != before.dropped_spans() || direct.exported() != (sampled ? made : 0)) {
    row.void_reason = "spans were lost";
  } else if ((after[Counter::spans_sampled] != before[Counter::spans_sampled]) != sampled) {
    row.void_reason = "the spans did not go through the bridge";
  }
  Row allocations{name + ": heap allocations", "per span", exactly(rounds.allocations(2))};
  const double theirs = rounds.allocations(1);
  allocations.reference =
      Reference{reference_name(), exactly(theirs), exactly(theirs > 0 ? rounds.allocations(2) / theirs : 1)};
  allocations.void_reason = row.void_reason;
  session.add(std::move(row));
  session.add(std::move(allocations));
}

}  // namespace

void bridged_span(Session& session) {
  compare(session, "sampled span through the bridge, 8 attributes", true);
  compare(session, "unsampled span through the bridge, 8 attributes", false);
}

}  // namespace midtrace::bench
