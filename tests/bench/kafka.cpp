// What tracing adds to a Kafka producer: on the application's thread when a message is enqueued, on
// librdkafka's broker thread when it is acknowledged, and in memory while it is on its way.
//
// Measured on AMD EPYC (2.45 GHz, virtual), 2 cores with little else to do (load 1.4), g++ 12.2 -O2,
// opentelemetry-cpp 1.29.0 (development). Medians of two full runs: unsampled adds 35 and 39 ns to the
// hand-added header: holds in one, in the other the upper end of its interval (78) misses. Sampled adds 227
// and 219 ns (upper ends 279 and 264): misses 220. Against tracing by hand with the reference (2 217 and 2
// 450 ns) 1/10 and 1/12: holds. Acknowledgement: unsampled 3.4 and 3.5 ns,
// sampled 212 and 215 ns: hold. 107 bytes per open send: holds.
#include <librdkafka/rdkafka.h>
#include <malloc.h>

#include <midtrace/kafka/instrument.h>
#include <midtrace/kafka/process.h>
#include <midtrace/kafka/producer.h>
#include <midtrace/propagation/propagator.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "cases.h"
#include "reference.h"
#include "workload.h"

namespace midtrace::bench {

namespace {

// Enqueued at once. Their spans hold no records until the purge, which is not measured.
constexpr std::size_t burst = 50'000;
// Acknowledged at once: below the default queue of finished spans.
constexpr std::size_t acknowledged_burst = 2000;
constexpr std::string_view sampled_header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view unsampled_header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

Context context_of(std::string_view header) {
  Context context;
  context.span = parse_traceparent(header);
  return context;
}

// CPU time of the thread that acknowledges, read at every 200th message. The median of such a stretch leaves
// out those that contain the thread's work on its socket.
class AcknowledgementProbe {
 public:
  static constexpr std::size_t stretch = 200;

  void attach(rd_kafka_conf_t* conf) { rd_kafka_conf_interceptor_add_on_new(conf, "probe", on_new, this); }

  std::size_t acknowledged() const { return acknowledged_.load(); }
  void restart() {
    std::lock_guard guard(mutex_);
    stretches_.clear();
    acknowledged_ = 0;
  }
  double nanos_per_message() const {
    std::lock_guard guard(mutex_);
    return stretches_.empty() ? 0 : estimate(stretches_).median / static_cast<double>(stretch);
  }

 private:
  static rd_kafka_resp_err_t on_new(rd_kafka_t* client, const rd_kafka_conf_t*, void* probe, char*,
                                    std::size_t) {
    return rd_kafka_interceptor_add_on_acknowledgement(client, "probe", on_acknowledgement, probe);
  }
  static rd_kafka_resp_err_t on_acknowledgement(rd_kafka_t*, rd_kafka_message_t*, void* probe) {
    static_cast<AcknowledgementProbe*>(probe)->count();
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  void count() {
    if (acknowledged_.fetch_add(1, std::memory_order_relaxed) % stretch != 0) return;
    const std::int64_t now = thread_cpu_nanos();
    std::lock_guard guard(mutex_);
    if (acknowledged_.load(std::memory_order_relaxed) > stretch)
      stretches_.push_back(static_cast<double>(now - last_));
    last_ = now;
  }

  std::atomic<std::size_t> acknowledged_{0};
  mutable std::mutex mutex_;
  std::vector<double> stretches_;
  std::int64_t last_ = 0;
};

enum class Broker { unreachable, mock };

// A producer with one topic.
class Client {
 public:
  Client(Broker broker, bool traced, AcknowledgementProbe* probe = nullptr) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    set(conf, "queue.buffering.max.messages", "1000000");
    set(conf, "queue.buffering.max.kbytes", "1048576");
    set(conf, "log_level", "0");
    if (broker == Broker::mock) {
      // Few and large requests, so that acknowledgements come in long runs.
      set(conf, "test.mock.num.brokers", "1");
      set(conf, "linger.ms", "20");
      set(conf, "batch.num.messages", "100000");
      set(conf, "batch.size", "50000000");
      set(conf, "message.max.bytes", "100000000");
    } else {
      set(conf, "bootstrap.servers", "127.0.0.1:9");
      set(conf, "reconnect.backoff.ms", "10000");
      set(conf, "reconnect.backoff.max.ms", "10000");
    }
    rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int, const char*, void*) {});
    if (probe != nullptr) probe->attach(conf);
    if (traced) instrumented_ = kafka::instrument(conf);
    char reason[256];
    client_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    if (client_ != nullptr) topic_ = rd_kafka_topic_new(client_, "orders", nullptr);
    ready_ = topic_ != nullptr && instrumented_ == traced;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    if (topic_ != nullptr) rd_kafka_topic_destroy(topic_);
    if (client_ == nullptr) return;
    purge();
    rd_kafka_destroy(client_);
  }

  bool ready() const { return ready_; }
  rd_kafka_t* get() const { return client_; }
  rd_kafka_topic_t* topic() const { return topic_; }
  // How many calls failed.
  std::size_t failures() const { return failures_; }

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-statement-expression"  // librdkafka's macros
#endif
  void produce() {
    count(rd_kafka_producev(client_, RD_KAFKA_V_RKT(topic_), RD_KAFKA_V_KEY(key_, sizeof(key_) - 1),
                            RD_KAFKA_V_VALUE(payload_, sizeof(payload_)),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END));
  }
  void produce_with(const char* header) {
    count(rd_kafka_producev(client_, RD_KAFKA_V_RKT(topic_), RD_KAFKA_V_KEY(key_, sizeof(key_) - 1),
                            RD_KAFKA_V_VALUE(payload_, sizeof(payload_)),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_HEADER("traceparent", header, traceparent_length), RD_KAFKA_V_END));
  }

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

  void purge() {
    rd_kafka_purge(client_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(client_) > 0)
      rd_kafka_poll(client_, 1);
  }
  bool flush() { return rd_kafka_flush(client_, 30'000) == RD_KAFKA_RESP_ERR_NO_ERROR; }

 private:
  static void set(rd_kafka_conf_t* conf, const char* name, const char* value) {
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK)
      std::fprintf(stderr, "%s\n", reason);
  }
  void count(rd_kafka_resp_err_t error) {
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) ++failures_;
  }

  char key_[9] = "order-17";
  char payload_[100] = {};
  rd_kafka_t* client_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  bool instrumented_ = false;
  bool ready_ = false;
  std::size_t failures_ = 0;
};

SetupOptions room_for_a_burst() {
  SetupOptions options;
  options.batch = room_for(1U << 16U);
  options.batch->memory_bytes = 256ULL * 1024 * 1024;
  return options;
}

std::string lost(const Tracing& tracing, std::span<Client* const> clients) {
  for (const Client* client : clients) {
    if (!client->ready()) return "a client could not be made or instrumented";
    if (client->failures() != 0) return std::to_string(client->failures()) + " produce calls failed";
  }
  const Counters now = tracing.counters();
  for (const Counter counter : {Counter::injection_skipped, Counter::operations_lost}) {
    if (now[counter] != 0) return std::string(counter_name(counter)) + " = " + std::to_string(now[counter]);
  }
  return now.dropped_spans() == 0 ? "" : std::to_string(now.dropped_spans()) + " spans were dropped";
}

// `sends` must all have recorded, or none.
std::string wrong_sampling(const Counters& before, const Counters& after, std::uint64_t sends) {
  const std::uint64_t recorded = after[Counter::spans_sampled] - before[Counter::spans_sampled];
  return recorded == sends
             ? ""
             : std::to_string(recorded) + " send spans recorded instead of " + std::to_string(sends);
}

}  // namespace

void kafka_produce(Session& session) {
  // The allocator keeps what a purge frees, for every contestant alike, so that no block pays for pages that
  // another gave back.
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  Tracing tracing(room_for_a_burst());
  const Context sampled = context_of(sampled_header);
  const Context unsampled = context_of(unsampled_header);
  Client bare(Broker::unreachable, false);
  Client hand(Broker::unreachable, false);
  Client traced_unsampled(Broker::unreachable, true);
  Client traced_sampled(Broker::unreachable, true);
  Client by_reference(Broker::unreachable, false);
  Client* const clients[] = {&bare, &hand, &traced_unsampled, &traced_sampled, &by_reference};
  for (const Client* client : clients) {
    if (!client->ready()) {
      Row row{"Kafka produce", "ns", {}};
      row.void_reason = lost(tracing, clients);
      return session.add(std::move(row));
    }
  }

  const auto block = [&tracing](Client& client, auto&& operation) {
    const Cost cost = timed(burst, operation);
    client.purge();
    tracing.flush();
    return cost;
  };
  std::string sampling;
  const auto traced = [&](Client& client, const Context& around, std::uint64_t expected) {
    const Counters before = tracing.counters();
    const Scope scope(around);
    const Cost cost = block(client, [&](std::size_t) { client.produce(); });
    if (sampling.empty()) sampling = wrong_sampling(before, tracing.counters(), expected);
    return cost;
  };
  std::vector<Contestant> contestants{
      {"bare", [&] { return block(bare, [&](std::size_t) { bare.produce(); }); }},
      {"hand", [&] { return block(hand, [&](std::size_t) { hand.produce_with(sampled_header.data()); }); }},
      {"unsampled", [&] { return traced(traced_unsampled, unsampled, 0); }},
      {"sampled", [&] { return traced(traced_sampled, sampled, burst); }},
  };
  const auto reference = reference_send(1U << 16U);
  if (reference) {
    contestants.push_back({"reference", [&] {
                             const Cost cost = block(by_reference, [&](std::size_t) {
                               char header[traceparent_length];
                               reference->begin(header);
                               by_reference.produce_with(header);
                               reference->end();
                             });
                             reference->flush();
                             return cost;
                           }});
  }
  const Rounds rounds = interleave(contestants, session.rounds(16));
  std::string problem = lost(tracing, clients);
  if (problem.empty()) problem = sampling;

  session.add({"Kafka produce, bare", "ns", rounds.cost(0)});
  Row by_hand{"Kafka produce, hand-added constant header", "ns", rounds.cost(1)};
  by_hand.reference = Reference{"bare", rounds.cost(0), rounds.ratio(1, 0)};
  session.add(std::move(by_hand));
  const auto report = [&](std::string name, std::size_t contestant, double at_most) {
    Row row{std::move(name), "ns", rounds.added(contestant, 1)};
    row.reference = Reference{"hand-added header", rounds.cost(1), rounds.ratio(contestant, 1)};
    row.at_most = at_most;
    row.void_reason = problem;
    session.add(std::move(row));
  };
  report("Kafka produce, unsampled: adds to the hand-added header", 2, 60);
  report("Kafka produce, sampled: adds to the hand-added header", 3, 220);
  if (reference && reference->problem().empty()) {
    Row row{"Kafka produce, sampled: against tracing by hand", "ns", rounds.added(3, 1)};
    row.reference = Reference{reference_name(), rounds.added(4, 1), rounds.ratio(3, 4, 1)};
    row.at_most_of_reference = 1.0 / 8;
    row.void_reason = problem;
    session.add(std::move(row));
  }
  session.add({"Kafka produce, unsampled: heap allocations beyond the hand-added header", "per message",
               exactly(rounds.allocations(2) - rounds.allocations(1))});
}

void kafka_acknowledgement(Session& session) {
  Tracing tracing;
  AcknowledgementProbe probes[3];
  Client hand(Broker::mock, false, &probes[0]);
  Client traced_unsampled(Broker::mock, true, &probes[1]);
  Client traced_sampled(Broker::mock, true, &probes[2]);
  Client* const clients[] = {&hand, &traced_unsampled, &traced_sampled};
  const Context sampled = context_of(sampled_header);
  const Context unsampled = context_of(unsampled_header);

  std::string problem = lost(tracing, clients);
  const auto block = [&](std::size_t which, auto&& produce) {
    AcknowledgementProbe& probe = probes[which];
    probe.restart();
    for (std::size_t i = 0; i < acknowledged_burst; ++i)
      produce();
    if (!clients[which]->flush() || probe.acknowledged() != acknowledged_burst)
      problem = "not everything was acknowledged";
    tracing.flush();
    return Cost{probe.nanos_per_message(), 0};
  };
  const Contestant contestants[] = {
      {"hand", [&] { return block(0, [&] { hand.produce_with(sampled_header.data()); }); }},
      {"unsampled",
       [&] {
         const Scope scope(unsampled);
         return block(1, [&] { traced_unsampled.produce(); });
       }},
      {"sampled",
       [&] {
         const Scope scope(sampled);
         return block(2, [&] { traced_sampled.produce(); });
       }},
  };
  const auto report = [&](std::string name, double at_most, Estimate value) {
    Row row{std::move(name), "ns", value};
    row.at_most = at_most;
    row.void_reason = problem;
    session.add(std::move(row));
  };
  if (!problem.empty()) return report("Kafka acknowledgement", 250, {});
  const Rounds rounds = interleave(contestants, session.rounds(60));
  if (problem.empty()) problem = lost(tracing, clients);
  report("Kafka acknowledgement, unsampled (broker thread)", 5, rounds.added(1, 0));
  report("Kafka acknowledgement, sampled (broker thread)", 250, rounds.added(2, 0));
}

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
  Client client(Broker::unreachable, true);
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

namespace {

// Heap that one unacknowledged message holds.
std::vector<double> heap_per_message(bool traced) {
  constexpr std::size_t messages = 100'000;
  Tracing tracing;
  Client client(Broker::unreachable, traced);
  if (!client.ready()) return {};
  const Scope scope(context_of(sampled_header));
  const auto heap = [] {
    const struct mallinfo2 now = mallinfo2();
    return static_cast<double>(now.uordblks + now.hblkhd);
  };
  const double before = heap();
  for (std::size_t i = 0; i < messages; ++i) {
    if (traced) {
      client.produce();
    } else {
      client.produce_with(sampled_header.data());
    }
  }
  const double after = heap();
  const bool complete =
      client.failures() == 0 && tracing.counters()[Counter::spans_sampled] == (traced ? messages : 0);
  return complete ? std::vector<double>{(after - before) / static_cast<double>(messages)}
                  : std::vector<double>{};
}

}  // namespace

std::vector<double> child_kafka_hand() { return heap_per_message(false); }
std::vector<double> child_kafka_sampled() { return heap_per_message(true); }

void kafka_memory(Session& session) {
  const std::vector<double> hand = run_child("kafka_hand");
  const std::vector<double> sampled = run_child("kafka_sampled");
  const bool valid = hand.size() == 1 && sampled.size() == 1;
  Row row{"open Kafka send: heap beyond the hand-added header", "bytes",
          exactly(valid ? sampled[0] - hand[0] : 0)};
  if (valid) row.reference = Reference{"hand-added header", exactly(hand[0]), exactly(sampled[0] / hand[0])};
  row.at_most = 160;
  if (!valid) row.void_reason = "its process failed";
  session.add(std::move(row));
}

}  // namespace midtrace::bench
