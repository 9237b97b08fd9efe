// RebalanceSpan and record_error(), from the callbacks that librdkafka calls and by themselves.

#include <librdkafka/rdkafkacpp.h>

#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

class KafkaClientEvents : public KafkaFixture {
 protected:
  Client make_idle_consumer(kafka::Options options = {}) {
    rd_kafka_conf_t* conf = consumer_configuration();
    EXPECT_TRUE(kafka::instrument(conf, std::move(options)));
    return create(RD_KAFKA_CONSUMER, conf);
  }
  static void report_error(rd_kafka_t* client, rd_kafka_resp_err_t error, std::string_view reason) {
    const Span work = start_span("ship");
    const Scope scope = work.activate();
    kafka::record_error(client, error, reason);
  }
};

TEST_F(KafkaClientEvents, ARebalanceIsASpanAroundItsWork) {
  {
    const Client producer = make_bare_producer();
    produce_from_own_traces(producer.get(), std::vector<Sent>(1));
    rd_kafka_conf_t* conf = consumer_configuration();
    rd_kafka_conf_set_rebalance_cb(conf, [](rd_kafka_t* consumer, rd_kafka_resp_err_t error,
                                            rd_kafka_topic_partition_list_t* partitions, void*) {
      const kafka::RebalanceSpan rebalance(consumer, error, partitions);
      if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        rd_kafka_assign(consumer, partitions);
        return;
      }
      kafka::commit(consumer, nullptr, 0);
      rd_kafka_assign(consumer, nullptr);
    });
    EXPECT_TRUE(kafka::instrument(conf, {.poll_spans = kafka::PollSpans::off}));
    const Client consumer = create(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(consumer.get());
    rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, "orders", RD_KAFKA_PARTITION_UA);
    ASSERT_EQ(rd_kafka_subscribe(consumer.get(), topics), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(topics);
    ASSERT_NE(poll(consumer.get()), nullptr);
    rd_kafka_consumer_close(consumer.get());
  }
  EXPECT_EQ(tree(), R"(
rebalance INTERNAL
  messaging.client.id = fulfilment
  messaging.consumer.group.name = workers
  messaging.operation.name = rebalance
  messaging.system = kafka
  midtrace.kafka.rebalance.kind = assign
  midtrace.kafka.rebalance.partition_count = 1
  server.address = 127.0.0.1
  server.port = PORT
rebalance INTERNAL
  messaging.client.id = fulfilment
  messaging.consumer.group.name = workers
  messaging.operation.name = rebalance
  messaging.system = kafka
  midtrace.kafka.rebalance.kind = revoke
  midtrace.kafka.rebalance.partition_count = 1
  server.address = 127.0.0.1
  server.port = PORT
  commit orders CLIENT
    messaging.client.id = fulfilment
    messaging.consumer.group.name = workers
    messaging.destination.name = orders
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 1
    messaging.operation.name = commit
    messaging.operation.type = settle
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
)");
}

TEST_F(KafkaClientEvents, ARebalanceThatFailedIsAnErrorAndHooksSeeIt) {
  std::vector<kafka::Operation> seen;
  const kafka::Hook hook = [&seen](Span&, const kafka::Call& call) { seen.push_back(call.operation); };
  {
    const Client consumer = make_idle_consumer({.on_start = hook, .on_finish = hook});
    const kafka::RebalanceSpan rebalance(consumer.get(), RD_KAFKA_RESP_ERR__TIMED_OUT, nullptr);
  }
  EXPECT_EQ(brief(), R"(
rebalance INTERNAL
  status ERROR
  error.type = _TIMED_OUT
  midtrace.kafka.rebalance.partition_count = 0
)");
  EXPECT_EQ(seen, (std::vector{kafka::Operation::rebalance, kafka::Operation::rebalance}));
}

TEST_F(KafkaClientEvents, AnErrorIsAnEventOfTheCurrentSpanAndNotItsFailure) {
  {
    const Client consumer = make_idle_consumer();
    report_error(consumer.get(), RD_KAFKA_RESP_ERR__TRANSPORT, "broker.example:9092/1: Disconnected");
    kafka::record_error(consumer.get(), RD_KAFKA_RESP_ERR__TRANSPORT, "nowhere to put it");
  }
  EXPECT_EQ(brief(), R"(
ship INTERNAL
  event midtrace.kafka.error {error.type = _TRANSPORT, midtrace.kafka.error.reason = broker.example:9092/1: Disconnected}
)");
}

TEST_F(KafkaClientEvents, ALongReasonIsCutBetweenCharacters) {
  const std::string reason = std::string(255, 'x') + "\u00e9" + std::string(100, 'y');
  report_error(nullptr, RD_KAFKA_RESP_ERR__TRANSPORT, reason);
  const testing::OwnedSpan span = recorder_->spans().at(0);
  ASSERT_EQ(span.events.size(), 1U);
  EXPECT_EQ(span.events[0].attributes[1].text(), std::string(255, 'x'));
}

TEST_F(KafkaClientEvents, OfAFatalErrorTheCauseIsSaid) {
  {
    const Client producer = make_producer({}, {{"enable.idempotence", "true"}});
    ASSERT_EQ(
        rd_kafka_test_fatal_error(producer.get(), RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "test"),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    report_error(producer.get(), RD_KAFKA_RESP_ERR__FATAL, "test");
  }
  EXPECT_EQ(brief(), R"(
ship INTERNAL
  event midtrace.kafka.error {error.type = OUT_OF_ORDER_SEQUENCE_NUMBER, midtrace.kafka.error.reason = test}
)");
}

TEST_F(KafkaClientEvents, OtherModesMakeNeither) {
  for (const ModuleMode mode : {ModuleMode::off, ModuleMode::propagate}) {
    start_recorder();
    const Client consumer = make_idle_consumer({.mode = mode});
    {
      const kafka::RebalanceSpan rebalance(consumer.get(), RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, nullptr);
      report_error(consumer.get(), RD_KAFKA_RESP_ERR__TRANSPORT, "down");
    }
    EXPECT_EQ(brief(), "\nship INTERNAL\n");
  }
}

TEST_F(KafkaClientEvents, TheCppApiHasBoth) {
  {
    const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string why;
    ASSERT_EQ(conf->set("group.id", "workers", why), RdKafka::Conf::CONF_OK) << why;
    ASSERT_TRUE(kafka::instrument(*conf));
    const std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(conf.get(), why));
    ASSERT_NE(consumer, nullptr) << why;
    const std::unique_ptr<RdKafka::TopicPartition> partition(RdKafka::TopicPartition::create("orders", 0));
    const auto rebalance =
        kafka::rebalance_span(*consumer, RdKafka::ERR__REVOKE_PARTITIONS, {partition.get(), partition.get()});
    struct Event : RdKafka::Event {
      Type type() const override { return kind; }
      RdKafka::ErrorCode err() const override { return RdKafka::ERR__ALL_BROKERS_DOWN; }
      Severity severity() const override { return EVENT_SEVERITY_ERROR; }
      std::string fac() const override { return {}; }
      std::string str() const override { return "1/1 brokers are down"; }
      int throttle_time() const override { return 0; }
      std::string broker_name() const override { return {}; }
      int broker_id() const override { return 0; }
      bool fatal() const override { return false; }
      Type kind = EVENT_ERROR;
    } event;
    kafka::record_error(event);
    setenv("MIDTRACE_KAFKA", "off", 1);
    kafka::record_error(event);
    unsetenv("MIDTRACE_KAFKA");
    event.kind = RdKafka::Event::EVENT_STATS;
    kafka::record_error(event);
  }
  // The client's own name, though nothing else was done with it before.
  EXPECT_TRUE(recorder_->spans().at(0).attribute("messaging.client.id").starts_with("rdkafka#consumer-"));
  EXPECT_EQ(recorder_->tree({.attributes = true, .without = {"messaging.client.id"}}), R"(
rebalance INTERNAL
  messaging.consumer.group.name = workers
  messaging.operation.name = rebalance
  messaging.system = kafka
  midtrace.kafka.rebalance.kind = revoke
  midtrace.kafka.rebalance.partition_count = 2
  event midtrace.kafka.error {error.type = _ALL_BROKERS_DOWN, midtrace.kafka.error.reason = 1/1 brokers are down}
)");
}

}  // namespace
}  // namespace midtrace::test
