// What is said of a message by option: its time in the queue, how far behind the consumer is, and headers.

#include <librdkafka/rdkafkacpp.h>

#include <atomic>
#include <thread>

#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

// The Recorder's clock begins here.
constexpr std::int64_t epoch_ms = 1704067200000;

class KafkaCapture : public KafkaFixture {
 protected:
  // At so many milliseconds of the Recorder's clock.
  void send_at(const std::vector<std::int64_t>& times) {
    const Client producer = make_bare_producer();
    for (const std::int64_t time : times) {
      char value[] = "order";
      ASSERT_EQ(
          rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(value, 5),
                            RD_KAFKA_V_TIMESTAMP(epoch_ms + time),
                            RD_KAFKA_V_HEADERS(make_headers({{"traceparent", traceparent}})), RD_KAFKA_V_END),
          RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    deliver(producer.get());
  }
  // Only what this file is about.
  std::string said() {
    return recorder_->tree(
        {.without = {"messaging.system", "messaging.operation.name", "messaging.operation.type",
                     "messaging.client.id", "messaging.consumer.group.name", "server.address", "server.port",
                     "messaging.kafka.cluster.id", "messaging.destination.name", "messaging.kafka.offset",
                     "messaging.destination.partition.id", "messaging.batch.message_count"}});
  }

  static constexpr const char* traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
};

constexpr std::string_view two_seconds_tree = R"(
poll orders CLIENT
  midtrace.messaging.queue_time = 2
  link -> (not here)
process orders CONSUMER
  parent (not here)
  midtrace.messaging.queue_time = 2
  link -> (not here)
)";

TEST_F(KafkaCapture, QueueTimeIsFromTheTimestampToTheReceipt_Wrapper) {
  send_at({0});
  recorder_->clock().advance(2s);
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    recorder_->clock().advance(1h);  // waiting to be processed does not count
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(said(), two_seconds_tree);
}

TEST_F(KafkaCapture, QueueTimeIsFromTheTimestampToTheReceipt_Interceptors) {
  send_at({0});
  recorder_->clock().advance(2s);
  {
    const Client consumer = make_consumer();
    const OwnedMessage message = poll(consumer.get());
    recorder_->clock().advance(1h);
    const auto processing = kafka::process(message.get());
  }
  EXPECT_EQ(said(), two_seconds_tree);
}

TEST_F(KafkaCapture, QueueTimeOnAnotherThreadIsUntilProcessing) {
  send_at({0});
  recorder_->clock().advance(2s);
  {
    const Client consumer = make_consumer({.poll_spans = kafka::PollSpans::off});
    const OwnedMessage message = poll(consumer.get());
    recorder_->clock().advance(1s);
    std::thread([&] { const auto processing = kafka::process(consumer.get(), message.get()); }).join();
  }
  EXPECT_EQ(said(), R"(
process orders CONSUMER
  parent (not here)
  midtrace.messaging.queue_time = 3
  link -> (not here)
)");
}

TEST_F(KafkaCapture, QueueTimeOfABatchIsOnItsLinks) {
  send_at({0, 500});
  recorder_->clock().advance(2s);
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);
    const auto processing = kafka::process(batch);
    const auto one = kafka::process(batch[1]);
  }
  EXPECT_EQ(said(), R"(
poll orders CLIENT
  link -> (not here) {midtrace.messaging.queue_time = 2}
  link -> (not here) {midtrace.messaging.queue_time = 1.5}
process orders CONSUMER
  link -> (not here) {midtrace.messaging.queue_time = 2}
  link -> (not here) {midtrace.messaging.queue_time = 1.5}
  process orders CONSUMER
    midtrace.messaging.queue_time = 1.5
    link -> (not here)
)");
}

TEST_F(KafkaCapture, AMessageFromTheFutureWaitedForNothingAndSaysWhy) {
  send_at({5000});
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
  }
  EXPECT_EQ(said(), R"(
poll orders CLIENT
  midtrace.messaging.clock_skewed = true
  midtrace.messaging.queue_time = 0
  link -> (not here)
)");
}

// Sets `consumed` when a consumer of this configuration takes a message. KafkaConsumer::create() uses a copy,
// to which interceptors add themselves.
void note_consumption(RdKafka::Conf& conf, std::atomic<bool>* consumed) {
  rd_kafka_conf_interceptor_add_on_conf_dup(
      conf.c_ptr_global(), "note",
      [](rd_kafka_conf_t* copy, const rd_kafka_conf_t*, std::size_t, const char**, void* flag) {
        return rd_kafka_conf_interceptor_add_on_new(
            copy, "note",
            [](rd_kafka_t* client, const rd_kafka_conf_t*, void* noted, char*, std::size_t) {
              return rd_kafka_interceptor_add_on_consume(
                  client, "note",
                  [](rd_kafka_t*, rd_kafka_message_t*, void* at) {
                    *static_cast<std::atomic<bool>*>(at) = true;
                    return RD_KAFKA_RESP_ERR_NO_ERROR;
                  },
                  noted);
            },
            flag);
      },
      consumed);
}

// A message that is produced while the batch is waited for is not from the future.
TEST_F(KafkaCapture, EveryCallThatFillsABatchHasATimeOfItsOwn_Cpp) {
  start_recorder({.real_clock = true});
  const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  std::string why;
  for (const auto& [name, value] :
       Properties{{"bootstrap.servers", cluster_->bootstrap_servers()}, {"group.id", "workers"}})
    ASSERT_EQ(conf->set(name, value, why), RdKafka::Conf::CONF_OK) << why;
  ASSERT_TRUE(kafka::instrument(*conf));
  std::atomic<bool> first_consumed{false};
  note_consumption(*conf, &first_consumed);
  const std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(conf.get(), why));
  const std::unique_ptr<RdKafka::TopicPartition> partition(
      RdKafka::TopicPartition::create("orders", 0, RdKafka::Topic::OFFSET_BEGINNING));
  ASSERT_EQ(consumer->assign({partition.get()}), RdKafka::ERR_NO_ERROR);
  const Client producer = make_producer();
  ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  std::thread late([&] {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!first_consumed && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    EXPECT_TRUE(first_consumed) << "the batch does not have its first message";
    EXPECT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  });
  {
    const auto batch = kafka::consume_batch(*consumer, 2, 10s);
    late.join();
    EXPECT_EQ(batch.size(), 2U);
  }
  consumer->close();
  EXPECT_EQ(said().find("clock_skewed"), std::string::npos) << said();
}

TEST_F(KafkaCapture, QueueTimeCanBeSwitchedOff) {
  send_at({0});
  {
    const Client consumer = make_consumer({.capture_queue_time = false});
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(said().find("midtrace.messaging"), std::string::npos) << said();
}

TEST_F(KafkaCapture, LagIsWhatThePartitionHoldsBehindTheMessage) {
  send_at({0, 0, 0, 0});
  {
    const Client consumer = make_consumer({.capture_queue_time = false, .capture_lag = true});
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    { const auto processing = kafka::process(message); }
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);
    const OwnedMessage last = poll(consumer.get());  // not from interceptors
  }
  EXPECT_EQ(said(), R"(
poll orders CLIENT
  link -> (not here)
poll orders CLIENT
  midtrace.messaging.lag = 1
  link -> (not here)
  link -> (not here)
poll orders CLIENT
  midtrace.messaging.lag = 3
  link -> (not here)
process orders CONSUMER
  parent (not here)
  midtrace.messaging.lag = 3
  link -> (not here)
)");
}

class KafkaHeaderCapture : public KafkaCapture {
 protected:
  void send_with(const HeaderList& headers, kafka::Options options = {}) {
    const Client producer = make_producer(std::move(options));
    produce_from_own_traces(producer.get(), {{.headers = headers}});
  }
  std::string captured(std::string_view span_name) {
    std::string text;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.name != span_name) continue;
      for (const testing::OwnedAttribute& attribute : span.attributes) {
        if (attribute.key.starts_with("messaging.header."))
          text.append(attribute.key.substr(17)).append("=").append(attribute.text()).append(";");
      }
    }
    return text;
  }
};

TEST_F(KafkaHeaderCapture, NamedHeadersAreOnEverySpanOfOneMessage) {
  const kafka::Options options{.captured_headers = {"tenant", "shop-*"}, .excluded_headers = {"*secret*"}};
  send_with({{"tenant", "north"},
             {"shop-id", "7"},
             {"other", "marker"},
             {"shop-id", "8"},
             {"shop-secret", "marker"},
             {"shop-binary", std::string("\x01\x02", 2)}},
            options);
  {
    const Client consumer = make_consumer(options);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  for (const char* span : {"send orders", "poll orders", "process orders"})
    EXPECT_EQ(captured(span), "tenant=[north];shop-id=[7, 8];") << span;
}

TEST_F(KafkaHeaderCapture, TheContextAndBaggageAreNever) {
  const kafka::Options options{.captured_headers = {"*"}};
  Context ambient;
  ambient.baggage = ambient.baggage.with("user", "marker");
  {
    const Scope scope(ambient);
    send_with({{"B3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"},
               {"X-B3-TraceId", "marker"},
               {"uberctx-user", "marker"},
               {"Baggage", "user=marker"},
               {"tenant", "north"}},
              options);
  }
  {
    const Client consumer = make_consumer(options);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  for (const char* span : {"send orders", "poll orders", "process orders"})
    EXPECT_EQ(captured(span), "tenant=[north];") << span;
}

TEST_F(KafkaHeaderCapture, IsBoundedInNumberAndLength) {
  HeaderList headers{{"long", std::string(257, 'x')}, {"fits", std::string(256, 'x')}, {"empty", ""}};
  for (int i = 0; i < 40; ++i)
    headers.emplace_back("h" + std::to_string(i), "v");
  headers.emplace_back(std::string(129, 'n'), "v");
  send_with(headers, {.captured_headers = {"*"}});
  std::size_t count = 0;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    for (const testing::OwnedAttribute& attribute : span.attributes) {
      if (!attribute.key.starts_with("messaging.header.")) continue;
      ++count;
      EXPECT_NE(attribute.key, "messaging.header.long");
    }
  }
  EXPECT_EQ(count, 16U);
}

TEST_F(KafkaHeaderCapture, BatchesAndRefusedSendsHaveNone) {
  const kafka::Options options{.captured_headers = {"*"}};
  send_with({{"tenant", "north"}});
  {
    const Client consumer = make_consumer(options);
    const kafka::Batch batch = consume_exactly(consumer.get(), 1);
    const auto processing = kafka::process(batch);
    const Client client = make_producer(options, {{"message.max.bytes", "2000"}});
    const std::string large(3000, 'x');
    EXPECT_EQ(kafka::Producer(client.get())
                  .producev(RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_HEADER("tenant", "north", 5),
                            RD_KAFKA_V_VALUE(const_cast<char*>(large.data()), large.size()), RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  }
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    for (const testing::OwnedAttribute& attribute : span.attributes)
      EXPECT_FALSE(attribute.key.starts_with("messaging.header.")) << span.name;
  }
}

// A marker in the values of every header reaches no span unless it is asked for.
TEST_F(KafkaHeaderCapture, WithoutTheOptionNoHeaderValueIsExported) {
  send_with({{"authorization", "marker"}, {"tenant", "marker"}, {"traceparent", "marker"}});
  {
    const Client consumer = make_consumer({.empty_polls = true, .capture_body_size = true});
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
    EXPECT_FALSE(kafka::consume(consumer.get(), 10ms));
  }
  EXPECT_EQ(recorder_->tree().find("marker"), std::string::npos) << recorder_->tree();
  EXPECT_EQ(recorder_->tree().find("messaging.header"), std::string::npos) << recorder_->tree();
}

}  // namespace
}  // namespace midtrace::test
