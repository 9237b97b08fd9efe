// What the Kafka cases share: a producer for blocks of many messages, and what makes their figures void.
//
// One thread per client.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/kafka/instrument.h>
#include <midtrace/kafka/producer.h>
#include <midtrace/propagation/propagator.h>

#include "workload.h"

namespace midtrace::bench {

inline constexpr std::string_view sampled_header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
inline constexpr std::string_view unsampled_header =
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

inline Context context_of(std::string_view header) {
  Context context;
  context.span = parse_traceparent(header);
  return context;
}

enum class Broker { unreachable, mock };

// A producer with one topic.
class KafkaClient {
 public:
  // `prepare` sees the configuration before it is instrumented.
  KafkaClient(Broker broker, bool traced, const std::function<void(rd_kafka_conf_t*)>& prepare = {}) {
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
    if (prepare) prepare(conf);
    if (traced) instrumented_ = kafka::instrument(conf);
    char reason[256];
    client_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    if (client_ != nullptr) topic_ = rd_kafka_topic_new(client_, "orders", nullptr);
    ready_ = topic_ != nullptr && instrumented_ == traced;
  }
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;
  ~KafkaClient() {
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

  // `size` messages in one call, librdkafka's own or the wrapper's.
  void produce_batch(std::size_t size, bool by_wrapper) {
    rd_kafka_message_t message{};
    message.payload = payload_;
    message.len = sizeof(payload_);
    message.key = key_;
    message.key_len = sizeof(key_) - 1;
    batch_.assign(size, message);
    const auto count = static_cast<int>(size);
    const int good = by_wrapper
                         ? kafka::Producer(client_).produce_batch(topic_, RD_KAFKA_PARTITION_UA,
                                                                  RD_KAFKA_MSG_F_COPY, batch_.data(), count)
                         : rd_kafka_produce_batch(topic_, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                                  batch_.data(), count);
    failures_ += static_cast<std::size_t>(count - good);
  }

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
  std::vector<rd_kafka_message_t> batch_;
  rd_kafka_t* client_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  bool instrumented_ = false;
  bool ready_ = false;
  std::size_t failures_ = 0;
};

inline SetupOptions room_for_a_burst() {
  SetupOptions options;
  options.batch = room_for(1U << 16U);
  options.batch->memory_bytes = 256ULL * 1024 * 1024;
  return options;
}

inline std::string lost(const Tracing& tracing, std::span<KafkaClient* const> clients) {
  for (const KafkaClient* client : clients) {
    if (!client->ready()) return "a client could not be made or instrumented";
    if (client->failures() != 0) return std::to_string(client->failures()) + " produce calls failed";
  }
  const Counters now = tracing.counters();
  for (const Counter counter : {Counter::injection_skipped, Counter::operations_lost}) {
    if (now[counter] != 0) return std::string(counter_name(counter)) + " = " + std::to_string(now[counter]);
  }
  return now.dropped_spans() == 0 ? "" : std::to_string(now.dropped_spans()) + " spans were dropped";
}

// How many sends must have recorded.
inline std::string wrong_sampling(const Counters& before, const Counters& after, std::uint64_t least,
                                  std::uint64_t most) {
  const std::uint64_t recorded = after[Counter::spans_sampled] - before[Counter::spans_sampled];
  if (recorded >= least && recorded <= most) return {};
  return std::to_string(recorded) + " send spans recorded instead of " + std::to_string(least) +
         (least != most ? " to " + std::to_string(most) : "");
}

}  // namespace midtrace::bench
