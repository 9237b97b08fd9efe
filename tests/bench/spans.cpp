// What a span costs the thread that makes it: sampled and unsampled with eight attributes, and on many
// threads at once.
//
// Measured on AMD EPYC (2.45 GHz, virtual), 2 cores with little else to do (load 1.4), g++ 12.2 -O2,
// opentelemetry-cpp 1.29.0 (development). Medians of two full runs: sampled 102 and 99 ns: holds 120; against
// the reference (1 698 and 1 694 ns, 21 allocations) 1/17: misses 1/20. Unsampled 12.7 ns (reference 86 to
// 88, 1 allocation): holds. No allocations of ours. 4 threads 0.96 and 0.97, 16 threads 0.95 and 1.00 of one
// thread: holds. With warm caches and nothing else in the process a sampled span costs 73 ns; two readings of
// the clock are 20 of them. The same machine has slow phases, in which the reference takes 2 100 to 2 400 ns
// and a sampled span 145 to 170: the ratio stays at 1/14, and 120 is missed.
#include <barrier>
#include <thread>

#include "cases.h"
#include "reference.h"
#include "workload.h"

namespace midtrace::bench {

namespace {

// Below the default queue of 2048, so that nothing is dropped, and above half of it, so that the collector is
// awake and takes records while the burst goes on.
constexpr std::size_t burst = 2000;

// Bare loop, ours, and the reference where there is one.
struct AgainstReference {
  std::vector<Contestant> contestants;
  std::optional<ReferenceContestant> reference;

  AgainstReference(Contestant bare, Contestant ours, std::optional<ReferenceContestant> other)
      : contestants{std::move(bare), std::move(ours)}, reference(std::move(other)) {
    if (reference) contestants.push_back(reference->contestant);
  }

  void report(Session& session, const Rounds& rounds, Row row) const {
    row.value = rounds.added(1, 0);
    const std::string problem = reference ? reference->problem() : "none";
    if (problem.empty())
      row.reference = Reference{reference_name(), rounds.added(2, 0), rounds.ratio(1, 2, 0)};
    Row allocations{row.name + ": heap allocations", "per span", exactly(rounds.allocations(1))};
    if (row.reference) {
      const double theirs = rounds.allocations(2);
      allocations.reference = Reference{reference_name(), exactly(theirs),
                                        exactly(theirs > 0 ? rounds.allocations(1) / theirs : 1)};
    }
    allocations.at_most = 0;
    allocations.void_reason = row.void_reason;
    session.add(std::move(row));
    session.add(std::move(allocations));
  }
};

Contestant bare_loop() {
  return {"bare",
          [] { return timed(burst, [&values = span_values()](std::size_t) { read_values(values); }); }};
}

Contestant traced_loop(Tracing& tracing, const Tracer& tracer) {
  return {"midtrace", [&tracing, tracer] {
            const Cost cost = timed(burst, [&](std::size_t) { trace_one_span(tracer, span_values()); });
            tracing.flush();
            return cost;
          }};
}

// Threads that run bursts together, released and awaited by a barrier.
class Crew {
 public:
  Crew(std::size_t threads, std::size_t spans_each, const Tracer& tracer)
      : costs_(threads), gate_(static_cast<std::ptrdiff_t>(threads) + 1) {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this, i, spans_each, tracer] {
        while (true) {
          gate_.arrive_and_wait();
          if (stop_) return;
          costs_[i] = timed(spans_each, [&](std::size_t) { trace_one_span(tracer, span_values()); });
          gate_.arrive_and_wait();
        }
      });
    }
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() {
    stop_ = true;
    gate_.arrive_and_wait();
    for (std::thread& thread : threads_)
      thread.join();
  }

  // The mean over the threads.
  Cost burst() {
    gate_.arrive_and_wait();
    gate_.arrive_and_wait();
    Cost sum;
    for (const Cost& cost : costs_) {
      sum.nanos += cost.nanos / static_cast<double>(costs_.size());
      sum.allocations += cost.allocations / static_cast<double>(costs_.size());
    }
    return sum;
  }

 private:
  std::vector<Cost> costs_;
  bool stop_ = false;  // written before a release of the gate, read after it
  std::barrier<> gate_;
  std::vector<std::thread> threads_;
};

}  // namespace

void sampled_span(Session& session) {
  Tracing tracing;
  tracing.fill_queue(burst);
  const Tracer tracer = Tracer::get("bench");
  const AgainstReference all(bare_loop(), traced_loop(tracing, tracer), reference_sampled_span(burst));
  const Rounds rounds = interleave(all.contestants, session.rounds(200));
  Row row{"sampled span, 8 attributes, collector live", "ns", {}};
  row.at_most = 120;
  row.void_reason = tracing.loss(Tracing::Expect::all_sampled);
  if (all.reference && all.reference->problem().empty()) {
    Row against{"sampled span: against the reference SDK", "ns", rounds.added(1, 0)};
    against.reference = Reference{reference_name(), rounds.added(2, 0), rounds.ratio(1, 2, 0)};
    against.at_most_of_reference = 1.0 / 20;
    against.void_reason = row.void_reason;
    session.add(std::move(against));
  }
  all.report(session, rounds, std::move(row));
}

void unsampled_span(Session& session) {
  SetupOptions options;
  options.sampler = always_off_sampler();
  Tracing tracing(std::move(options));
  const Tracer tracer = Tracer::get("bench");
  const AgainstReference all(bare_loop(), traced_loop(tracing, tracer), reference_unsampled_span(burst));
  const Rounds rounds = interleave(all.contestants, session.rounds(200));
  Row row{"unsampled span, 8 attributes", "ns", {}};
  row.at_most = 15;
  row.void_reason = tracing.loss(Tracing::Expect::none_sampled);
  all.report(session, rounds, std::move(row));
}

void spans_on_many_threads(Session& session) {
  // The same number of records in flight for every crew, so that the ratio shows contention and not the
  // caches' size.
  constexpr std::size_t in_flight = 8000;
  constexpr std::size_t crew_sizes[] = {1, 4, 16};
  SetupOptions options;
  options.batch = room_for(in_flight);
  Tracing tracing(std::move(options));
  const Tracer tracer = Tracer::get("bench");

  std::vector<std::unique_ptr<Crew>> crews;
  std::vector<Contestant> contestants;
  for (const std::size_t size : crew_sizes) {
    Crew& crew = *crews.emplace_back(std::make_unique<Crew>(size, in_flight / size, tracer));
    contestants.push_back({std::to_string(size) + " threads", [&crew, &tracing] {
                             const Cost cost = crew.burst();
                             tracing.flush();
                             return cost;
                           }});
  }
  const Rounds rounds = interleave(contestants, session.rounds(100));
  const std::string loss = tracing.loss(Tracing::Expect::all_sampled);
  for (std::size_t i = 1; i < contestants.size(); ++i) {
    Row row{"sampled span on " + contestants[i].name, "ns", rounds.cost(i)};
    row.reference = Reference{"one thread", rounds.cost(0), rounds.ratio(i, 0)};
    row.at_most_of_reference = 1.3;
    row.void_reason = loss;
    session.add(std::move(row));
  }
}

}  // namespace midtrace::bench
