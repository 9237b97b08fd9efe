// Whether a message costs the same however many were sent before it, and however many are sent at once.
//
// A header that is added by hand goes along as the measure of the machine: what grows for it as well, for
// want of cache, is not ours.
//
// Measured on AMD EPYC (2.45 GHz, virtual), 2 cores busy with other work (load 8), g++ 12.2 -O2: the last
// tenth of 10^6 messages costs 1.46 x the hand-added header, the first 1.54 x. A message of a batch of 50 000
// adds 1.10 to 1.24 x what one of 10 adds (479 and 425 ns), one of 1 000 as much: what is left is cache, not
// length.
#include <malloc.h>

#include <array>
#include <vector>

#include <midtrace/kafka/producer.h>

#include "cases.h"
#include "kafka_client.h"

namespace midtrace::bench {

namespace {

// What a later or larger block may cost more than the first, both in proportion to the hand-added header.
constexpr double growth = 1.15;
// What it may add more, where the difference of two measurements is compared with another.
constexpr double growth_of_added = 1.4;

// Bursts of the same size of both, one after the other.
struct Bursts {
  std::vector<double> hand;
  std::vector<double> traced;

  double ratio(std::size_t at) const { return traced[at] / hand[at]; }
  Estimate ratio(std::size_t begin, std::size_t count) const {
    std::vector<double> samples;
    for (std::size_t at = begin; at < begin + count; ++at)
      samples.push_back(ratio(at));
    return estimate(std::move(samples));
  }
  // Of the last `count` bursts against the first, paired in their order.
  Estimate growth(std::size_t count) const {
    std::vector<double> samples;
    for (std::size_t at = 0; at < count; ++at)
      samples.push_back(ratio(hand.size() - count + at) / ratio(at));
    return estimate(std::move(samples));
  }
};

}  // namespace

// Up to a million messages, or ten; the queue is purged after each two thousand.
void kafka_message_count(Session& session) {
  constexpr std::size_t burst = 2000;
  constexpr std::size_t warm_up = 5;
  const std::size_t bursts = (session.long_run() ? 10'000'000 : 1'000'000) / burst;
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  Tracing tracing(room_for_a_burst());
  const Context around = context_of(sampled_header);
  KafkaClient hand(Broker::unreachable, false);
  KafkaClient traced(Broker::unreachable, true);
  KafkaClient* const clients[] = {&hand, &traced};

  Bursts all;
  std::string problem = lost(tracing, clients);
  const auto by_hand = [&](bool counts) {
    const Cost cost = timed(burst, [&](std::size_t) { hand.produce_with(sampled_header.data()); });
    hand.purge();
    if (counts) all.hand.push_back(cost.nanos);
  };
  const auto by_midtrace = [&](bool counts) {
    const Scope scope(around);
    const Cost cost = timed(burst, [&](std::size_t) { traced.produce(); });
    traced.purge();
    tracing.flush();
    if (counts) all.traced.push_back(cost.nanos);
  };
  for (std::size_t i = 0; problem.empty() && i < warm_up + bursts; ++i) {
    const bool counts = i >= warm_up;
    if (i % 2 == 0) by_hand(counts);
    by_midtrace(counts);
    if (i % 2 != 0) by_hand(counts);
  }
  if (problem.empty()) problem = lost(tracing, clients);

  const std::string many = session.long_run() ? "10^7" : "10^6";
  Row row{
      "Kafka produce, sampled, against the hand-added header: last tenth of " + many + " messages", "x", {}};
  row.void_reason = problem;
  if (problem.empty()) {
    row.value = all.ratio(bursts - bursts / 10, bursts / 10);
    row.reference = Reference{"first tenth", all.ratio(0, bursts / 10), all.growth(bursts / 10)};
  }
  row.at_most_of_reference = growth;
  session.add(std::move(row));
}

// Ten to fifty thousand messages in a produce_batch() call. The smaller batches come in larger groups, so
// that what is measured is not the purge.
void kafka_batch_size(Session& session) {
  constexpr std::size_t messages = 50'000;  // of a block; below the queue of finished spans
  constexpr std::array<std::size_t, 3> sizes{10, 1000, messages};
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  Tracing tracing(room_for_a_burst());
  const Context around = context_of(sampled_header);
  KafkaClient bare(Broker::unreachable, false);
  KafkaClient traced(Broker::unreachable, true);
  KafkaClient* const clients[] = {&bare, &traced};
  std::string problem = lost(tracing, clients);

  const auto block = [&](KafkaClient& client, std::size_t size, bool by_wrapper) {
    const Scope scope(around);
    const Cost cost = timed(messages / size, [&](std::size_t) { client.produce_batch(size, by_wrapper); });
    client.purge();
    tracing.flush();
    return Cost{cost.nanos / static_cast<double>(size), 0};
  };
  std::vector<Contestant> contestants;
  for (const std::size_t size : sizes) {
    contestants.push_back({"bare", [&, size] { return block(bare, size, false); }});
    contestants.push_back({"sampled", [&, size] { return block(traced, size, true); }});
  }
  Rounds rounds(contestants.size());
  if (problem.empty()) {
    rounds = interleave(contestants, session.rounds(12));
    problem = lost(tracing, clients);
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::size_t sampled = 2 * i + 1;
    Row row{
        "Kafka produce_batch of " + std::to_string(sizes[i]) + ", sampled: adds to a message without header",
        "ns",
        {}};
    row.void_reason = problem;
    if (problem.empty()) row.value = rounds.added(sampled, sampled - 1);
    if (i == 0) {
      row.reference = Reference{"bare", problem.empty() ? rounds.cost(0) : Estimate(),
                                problem.empty() ? rounds.ratio(1, 0) : Estimate()};
    } else {
      row.reference = Reference{"batches of " + std::to_string(sizes[0]), {}, {}};
      if (problem.empty()) {
        row.reference->value = rounds.added(1, 0);
        row.reference->ratio = rounds.growth(sampled, sampled - 1, 1, 0);
      }
      row.at_most_of_reference = growth_of_added;
    }
    session.add(std::move(row));
  }
}

}  // namespace midtrace::bench
