// A million messages through a real broker, counted: each is one send and one process span, and a span that
// is not exported is in a counter that says why.

#include <array>
#include <atomic>
#include <future>
#include <thread>

#include "live/kafka_broker_fixture.h"
#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

// Sanitizers make everything an order of magnitude slower, and counting is no different there.
#if defined(MIDTRACE_TEST_LEAK_CHECK) || defined(MIDTRACE_TEST_THREAD_SANITIZER)
constexpr std::uint64_t messages = 50'000;
#else
constexpr std::uint64_t messages = 1'000'000;
#endif

// Counts by kind and forgets. While it is shut, exporting does not return.
class CountingExporter final : public Exporter {
 public:
  ExportResult export_batch(const ExportBatch& batch) noexcept override {
    shut_.wait(true);
    for (const SpanView& span : batch.spans)
      counts_[static_cast<std::size_t>(span.kind())].fetch_add(1, std::memory_order_relaxed);
    return ExportResult::success;
  }
  std::uint64_t count(SpanKind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  std::uint64_t all() const {
    std::uint64_t sum = 0;
    for (const auto& each : counts_)
      sum += each;
    return sum;
  }
  void shut() { shut_ = true; }
  void open_again() {
    shut_ = false;
    shut_.notify_all();
  }

 private:
  std::array<std::atomic<std::uint64_t>, 8> counts_{};
  std::atomic<bool> shut_{false};
};

class KafkaMillion : public OnKafkaBroker<KafkaFixture> {
 protected:
  void start_cluster() override {}
  std::string bootstrap_servers() const override { return broker_->bootstrap_servers(); }

  void start_counting(BatchOptions batch) {
    recorder_.reset();
    before_ = counters();
    exporter_ = std::make_shared<CountingExporter>();
    telemetry_ =
        setup({.service_name = "test", .exporters = {exporter_}, .batch = batch, .read_environment = false});
    ASSERT_TRUE(telemetry_.ok()) << telemetry_.error();
  }
  // Since start_counting().
  std::uint64_t counted(Counter counter) const { return counters()[counter] - before_[counter]; }
  std::uint64_t dropped() const { return counters().dropped_spans() - before_.dropped_spans(); }

  Client make_fast_producer() {
    return make_producer({}, {{"linger.ms", "5"},
                              {"compression.codec", "lz4"},
                              {"batch.num.messages", "10000"},
                              {"queue.buffering.max.messages", "100000"}});
  }

  void send(rd_kafka_t* producer, const std::string& topic, std::uint64_t count) {
    for (std::uint64_t sent = 0; sent < count;) {
      const auto partition = static_cast<std::int32_t>(sent % partitions);
      const rd_kafka_resp_err_t error = produce(
          producer, {.topic = topic, .value = "an order of a hundred apples", .partition = partition});
      if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_poll(producer, 10);
        continue;
      }
      ASSERT_EQ(error, RD_KAFKA_RESP_ERR_NO_ERROR);
      if (++sent % 1000 == 0) rd_kafka_poll(producer, 0);
    }
    ASSERT_EQ(rd_kafka_flush(producer, 60000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  // How many there are polls with messages; stops after `count` messages, or when none come for long.
  struct Consumed {
    std::uint64_t messages = 0;
    std::uint64_t polls = 0;
  };
  Consumed consume_all(const std::string& topic, std::uint64_t count) {
    const Client consumer = make_consumer({}, {topic}, partitions);
    Consumed consumed;
    auto last = std::chrono::steady_clock::now();
    while (consumed.messages < count && std::chrono::steady_clock::now() - last < 30s) {
      const kafka::Batch batch = kafka::consume_batch(consumer.get(), 1000, 100ms);
      std::uint64_t in_batch = 0;
      for (const auto message : batch) {
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        ++in_batch;
        const auto processing = kafka::process(message);
      }
      if (in_batch == 0) continue;
      last = std::chrono::steady_clock::now();
      consumed.messages += in_batch;
      ++consumed.polls;
    }
    return consumed;
  }

  static constexpr int partitions = 4;
  std::shared_ptr<CountingExporter> exporter_;
  Counters before_;
  Telemetry telemetry_;
};

TEST_F(KafkaMillion, EveryMessageHasItsSendAndItsProcessSpan) {
  ASSERT_NO_FATAL_FAILURE(create_topic("million", partitions));
  ASSERT_NO_FATAL_FAILURE(start_counting({.queue_size = 1U << 17U, .memory_bytes = 512ULL << 20U}));
  auto consumed = std::async(std::launch::async, [&] { return consume_all("million", messages); });
  {
    const Client producer = make_fast_producer();
    send(producer.get(), "million", messages);
  }
  const Consumed all = consumed.get();
  EXPECT_EQ(all.messages, messages);
  ASSERT_TRUE(telemetry_.flush(60s));
  EXPECT_EQ(exporter_->count(SpanKind::producer), messages);
  EXPECT_EQ(exporter_->count(SpanKind::consumer), messages);
  EXPECT_EQ(exporter_->count(SpanKind::client), all.polls);
  EXPECT_EQ(counted(Counter::spans_sampled), 2 * messages + all.polls);
  EXPECT_EQ(counted(Counter::spans_exported), 2 * messages + all.polls);
  EXPECT_EQ(dropped(), 0U);
  EXPECT_EQ(counted(Counter::injection_skipped), 0U);
  EXPECT_EQ(counted(Counter::operations_lost), 0U);
}

// The same with an exporter that is stuck meanwhile: the application goes on, and what was exported and what
// was dropped, by reason, are all messages.
TEST_F(KafkaMillion, WhatIsNotExportedIsCountedByItsReason) {
  constexpr std::uint64_t fewer = messages / 10;
  ASSERT_NO_FATAL_FAILURE(create_topic("tenth", partitions));
  ASSERT_NO_FATAL_FAILURE(start_counting({.queue_size = 2048}));
  exporter_->shut();
  {
    const Client producer = make_fast_producer();
    send(producer.get(), "tenth", fewer);
  }
  exporter_->open_again();
  ASSERT_TRUE(telemetry_.flush(60s));
  EXPECT_GT(counted(Counter::dropped_queue_full), 0U);
  EXPECT_EQ(dropped(), counted(Counter::dropped_queue_full) + counted(Counter::dropped_no_record));
  EXPECT_EQ(exporter_->count(SpanKind::producer) + dropped(), fewer);
  // Whatever became of their spans, the messages carry their contexts and are delivered.
  const Consumed all = consume_all("tenth", fewer);
  EXPECT_EQ(all.messages, fewer);
  ASSERT_TRUE(telemetry_.flush(60s));
  EXPECT_EQ(exporter_->all() + dropped(), counted(Counter::spans_sampled));
  EXPECT_EQ(counted(Counter::spans_sampled), 2 * fewer + all.polls);
}

}  // namespace
}  // namespace midtrace::test
