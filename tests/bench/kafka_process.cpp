// What process(batch) costs for each message, and that it does not grow with the batch.
#include <librdkafka/rdkafka.h>

#include <midtrace/kafka/process.h>
#include <midtrace/kafka/producer.h>

#include <string>
#include <vector>

#include "cases.h"
#include "kafka_client.h"
#include "workload.h"

namespace midtrace::bench {

namespace {

// Messages as a consumer would have received them, each from a trace of its own.
class ReceivedBatch {
 public:
  ReceivedBatch(std::size_t size, rd_kafka_topic_t* topic) : messages_(size) {
    deliveries_.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
      messages_[i].rkt = topic;
      messages_[i].payload = payload_;
      messages_[i].len = sizeof(payload_);
      messages_[i].offset = static_cast<std::int64_t>(i);
      kafka::detail::Delivery delivery{&messages_[i]};
      delivery.creation = context_of(sampled_header);
      delivery.creation.span.trace_id.low += i;
      delivery.creation.span.span_id.value += i;
      deliveries_.push_back(std::move(delivery));
    }
  }
  std::size_t size() const { return messages_.size(); }
  std::span<const kafka::detail::Delivery> deliveries() const { return deliveries_; }

 private:
  char payload_[100] = {};
  std::vector<rd_kafka_message_t> messages_;
  std::vector<kafka::detail::Delivery> deliveries_;
};

}  // namespace

// process(batch), from its start to its end, for each message.
void kafka_process(Session& session) {
  Tracing tracing(room_for_a_burst());
  KafkaClient client(Broker::unreachable, true);
  const auto traced = client.ready() ? kafka::detail::find_producer(client.get()) : nullptr;
  std::vector<ReceivedBatch> batches;
  for (const std::size_t size : {100, 1, 10, 1000, 10000})
    batches.emplace_back(size, client.topic());

  std::vector<Contestant> contestants;
  for (const ReceivedBatch& batch : batches) {
    contestants.push_back({std::to_string(batch.size()), [&tracing, &traced, &batch] {
                             const std::size_t repetitions = 20000 / (batch.size() + 50) + 1;
                             Cost cost = timed(repetitions, [&](std::size_t) {
                               const kafka::ProcessScope scope(
                                   kafka::detail::start_process(batch.deliveries(), traced, true));
                             });
                             tracing.flush();
                             cost.nanos /= static_cast<double>(batch.size());
                             cost.allocations /= static_cast<double>(batch.size());
                             return cost;
                           }});
  }
  std::string problem = traced == nullptr ? "a client could not be made or instrumented" : "";
  if (!problem.empty()) {
    Row row{"Kafka process(batch)", "ns", {}};
    row.void_reason = problem;
    return session.add(std::move(row));
  }
  const Rounds rounds = interleave(contestants, session.rounds(40));
  if (tracing.counters().dropped_spans() != 0) problem = "spans were dropped";
  if (tracing.counters()[Counter::spans_sampled] != tracing.counters()[Counter::spans_started])
    problem = "not every span recorded";
  for (const std::size_t which : {1, 2, 0, 3, 4}) {
    const std::size_t size = batches[which].size();
    Row row{"Kafka process(batch) of " + std::to_string(size) + ", for each message", "ns",
            rounds.cost(which)};
    if (size > 100) {
      row.reference = Reference{"a batch of 100", rounds.cost(0), rounds.ratio(which, 0)};
      row.at_most_of_reference = 1.5;
    }
    row.void_reason = problem;
    session.add(std::move(row));
  }
}

}  // namespace midtrace::bench
