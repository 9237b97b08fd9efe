// What happens when spans come faster than they go: the cost of dropping, the rate of the collector, and an
// exporter that does not return.
//
// Measured on AMD EPYC (2.45 GHz, virtual), 2 cores with little else to do (load 1.4), g++ 12.2 -O2,
// opentelemetry-cpp 1.29.0 (development). Two runs: dropping at end 18.9 and 18.6 ns: holds. A span dropped
// for a full queue costs 72 ns as a whole. Export 8.9 and 8.6 million spans/s discarding, 3.0 million as
// OTLP/JSON. Stuck exporter 0.62 and 0.61 of the normal time: holds.
//
// Without a record, measured later and not idle (load 5 to 12): 19.8 to 20.3 ns in 12 of 12 runs of this
// case, but there are phases of some 20 seconds in which the same program takes 31 to 38 ns and misses 30. In
// them no system calls are made, a loop of dependent arithmetic keeps its pace, and where the program is
// loaded makes no difference; the cause is not known.
#include <midtrace/export/exporters.h>

#include "cases.h"
#include "workload.h"

namespace midtrace::bench {

namespace {

constexpr std::size_t burst = 2000;

// Spans that have started and hold their attributes.
void start_spans(std::vector<Span>& spans, const Tracer& tracer) {
  spans.clear();
  for (std::size_t i = 0; i < burst; ++i) {
    spans.push_back(tracer.start(span_values().name));
    set_eight_attributes(spans.back(), span_values());
  }
}

void fill_queue(Tracing& tracing, const Tracer& tracer) {
  tracing.exporter().shut();
  while (tracing.counters()[Counter::dropped_queue_full] == 0)
    trace_one_span(tracer, span_values());
  tracing.exporter().wait_until_entered();
  // What the collector took before it was held has made room again.
  for (std::size_t i = 0; i < 4096; ++i)
    trace_one_span(tracer, span_values());
}

// `dropped` must have grown by `operations`, all of them by `cause`.
std::string not_dropped(const Counters& before, const Counters& after, Counter cause,
                        std::uint64_t operations) {
  const std::uint64_t by_cause = after[cause] - before[cause];
  if (by_cause == operations && after.dropped_spans() - before.dropped_spans() == operations) return {};
  return "of " + std::to_string(operations) + " spans " + std::to_string(by_cause) + " were dropped as " +
         std::string(counter_name(cause));
}

void dropped_at_end(Session& session) {
  Tracing tracing;
  const Tracer tracer = Tracer::get("bench");
  fill_queue(tracing, tracer);

  std::vector<Span> spans;
  spans.reserve(burst);
  std::uint64_t dropped = 0;
  const Contestant contestants[] = {
      {"bare", [&] { return timed(burst, [&](std::size_t i) { keep(i); }); }},
      {"end",
       [&] {
         start_spans(spans, tracer);
         dropped += burst;
         return timed(burst, [&](std::size_t i) { spans[i].end(); });
       }},
      {"whole",
       [&] {
         dropped += burst;
         return timed(burst, [&](std::size_t) { trace_one_span(tracer, span_values()); });
       }},
  };
  const Counters before = tracing.counters();
  const Rounds rounds = interleave(contestants, session.rounds(100));
  const std::string problem = not_dropped(before, tracing.counters(), Counter::dropped_queue_full, dropped);
  tracing.exporter().open_again();

  Row end{"drop, queue full: end of the span", "ns", rounds.added(1, 0)};
  end.at_most = 30;
  end.void_reason = problem;
  session.add(std::move(end));
  Row whole{"drop, queue full: start, 8 attributes, end", "ns", rounds.added(2, 0)};
  whole.void_reason = problem;
  session.add(std::move(whole));
}

void dropped_at_start(Session& session) {
  SetupOptions options;
  options.batch = room_for(1U << 17U);
  options.batch->memory_bytes = 2ULL * 1024 * 1024;
  Tracing tracing(std::move(options));
  const Tracer tracer = Tracer::get("bench");
  // Spans that run for the whole measurement hold every record there is.
  std::vector<Span> holders;
  while (tracing.counters()[Counter::dropped_no_record] == 0)
    holders.push_back(tracer.start("holder"));

  std::uint64_t dropped = 0;
  const Contestant contestants[] = {
      {"bare", [&] { return timed(burst, [&](std::size_t) { read_values(span_values()); }); }},
      {"whole",
       [&] {
         dropped += burst;
         return timed(burst, [&](std::size_t) { trace_one_span(tracer, span_values()); });
       }},
  };
  const Counters before = tracing.counters();
  const Rounds rounds = interleave(contestants, session.rounds(100));
  Row row{"drop, no record left: start, 8 attributes, end", "ns", rounds.added(1, 0)};
  row.at_most = 30;
  row.void_reason = not_dropped(before, tracing.counters(), Counter::dropped_no_record, dropped);
  session.add(std::move(row));
}

// Exported spans per second of wall time, while a thread makes spans as fast as it can.
double exported_per_second(std::shared_ptr<Exporter> also, std::int64_t nanos) {
  SetupOptions options;
  if (also != nullptr) options.exporters.push_back(std::move(also));
  Tracing tracing(std::move(options));
  const Tracer tracer = Tracer::get("bench");
  const std::int64_t begin = wall_nanos();
  std::int64_t now = begin;
  while (now - begin < nanos) {
    for (std::size_t i = 0; i < 256; ++i)
      trace_one_span(tracer, span_values());
    now = wall_nanos();
  }
  const std::uint64_t exported = tracing.exporter().exported();
  return static_cast<double>(exported) * 1e9 / static_cast<double>(now - begin);
}

}  // namespace

void dropped_span(Session& session) {
  dropped_at_end(session);
  dropped_at_start(session);
}

void export_rate(Session& session) {
  const std::int64_t nanos = session.quick() ? 200'000'000 : 1'000'000'000;
  std::vector<double> discarded;
  std::vector<double> written;
  for (int round = 0; round < 5; ++round) {
    discarded.push_back(exported_per_second(nullptr, nanos));
    written.push_back(exported_per_second(otlp_file_exporter("/dev/null"), nanos));
  }
  session.add({"export rate under overload, discarding exporter", "spans/s", estimate(std::move(discarded))});
  session.add(
      {"export rate under overload, OTLP/JSON to /dev/null", "spans/s", estimate(std::move(written))});
}

void stuck_exporter(Session& session) {
  constexpr std::size_t spans = 1'000'000;
  // Wall time: blocking would not show in CPU time.
  const auto run = [](bool stuck) {
    Tracing tracing;
    const Tracer tracer = Tracer::get("bench");
    if (stuck) fill_queue(tracing, tracer);
    const std::int64_t begin = wall_nanos();
    for (std::size_t i = 0; i < spans; ++i)
      trace_one_span(tracer, span_values());
    const auto nanos = static_cast<double>(wall_nanos() - begin);
    tracing.exporter().open_again();
    return Cost{nanos / static_cast<double>(spans), 0};
  };
  const Contestant contestants[] = {{"normal", [&] { return run(false); }},
                                    {"stuck", [&] { return run(true); }}};
  const Rounds rounds = interleave(contestants, session.quick() ? 3 : 9);
  Row row{"1 000 000 spans, exporter never returns (wall time)", "ns/span", rounds.cost(1)};
  row.reference = Reference{"exporter returns", rounds.cost(0), rounds.ratio(1, 0)};
  row.at_most_of_reference = 3;
  session.add(std::move(row));
}

}  // namespace midtrace::bench
