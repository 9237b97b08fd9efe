// Statistics of real clients: what they say of queues and lag is so, by the C and the C++ API.

#include "live/kafka_fixture.h"

#include <librdkafka/rdkafkacpp.h>

namespace midtrace::test {
namespace {

using kafka::Statistics;

class KafkaStatistics : public KafkaFixture {
 protected:
  static const kafka::PartitionStatistics* partition_of(const Statistics& statistics, std::int64_t number) {
    for (const kafka::PartitionStatistics& partition : statistics.partitions) {
      if (partition.topic == "orders" && partition.partition == number) return &partition;
    }
    return nullptr;
  }
  // The first statistics, of those that come while `poll` is called, that are as awaited.
  template <class Poll, class Condition>
  static std::shared_ptr<const Statistics> await(rd_kafka_t* client, const Poll& poll,
                                                 const Condition& awaited) {
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < give_up) {
      poll();
      if (auto now = kafka::statistics(client); now != nullptr && awaited(*now)) return now;
    }
    return nullptr;
  }
};

TEST_F(KafkaStatistics, OfAProducerTellItsQueue) {
  const Client producer = make_producer({}, {{"statistics.interval.ms", "20"}, {"linger.ms", "60000"}});
  for (int i = 0; i < 7; ++i)
    ASSERT_EQ(produce(producer.get(), {.partition = 0}), RD_KAFKA_RESP_ERR_NO_ERROR);
  const auto poll = [&producer] { rd_kafka_poll(producer.get(), 10); };
  const auto queued =
      await(producer.get(), poll, [](const Statistics& statistics) { return statistics.msg_cnt == 7; });
  ASSERT_NE(queued, nullptr);
  EXPECT_EQ(queued->type, "producer");
  EXPECT_EQ(queued->client_id, "checkout");
  EXPECT_EQ(queued->msg_size, 7 * 5);
  EXPECT_EQ(queued->txmsgs, 0);

  deliver(producer.get());
  const auto sent =
      await(producer.get(), poll, [](const Statistics& statistics) { return statistics.txmsgs == 7; });
  ASSERT_NE(sent, nullptr);
  EXPECT_EQ(sent->msg_cnt, 0);
  EXPECT_GT(sent->ts, queued->ts);
  EXPECT_GT(sent->tx, 0);
  bool answered = false;
  for (const kafka::BrokerStatistics& broker : sent->brokers)
    answered = answered || broker.rx > 0;
  EXPECT_TRUE(answered);
}

TEST_F(KafkaStatistics, OfAConsumerTellItsLag) {
  {
    const Client producer = make_producer();
    produce_from_own_traces(producer.get(), std::vector<Sent>(10));
  }
  rd_kafka_conf_t* conf = consumer_configuration();
  rd_kafka_conf_set(conf, "statistics.interval.ms", "20", nullptr, 0);
  ASSERT_TRUE(kafka::instrument(conf));
  const Client consumer = assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(kafka::consume(consumer.get(), 10s));
  ASSERT_EQ(rd_kafka_commit(consumer.get(), nullptr, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  // Paused, so that polls bring statistics and no more messages.
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, "orders", 0);
  ASSERT_EQ(rd_kafka_pause_partitions(consumer.get(), list), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_topic_partition_list_destroy(list);

  const auto known = await(
      consumer.get(), [&consumer] { kafka::consume(consumer.get(), 10ms); },
      [](const Statistics& statistics) {
        const kafka::PartitionStatistics* partition = partition_of(statistics, 0);
        return partition != nullptr && partition->consumer_lag == 6;
      });
  ASSERT_NE(known, nullptr);
  const kafka::PartitionStatistics& partition = *partition_of(*known, 0);
  EXPECT_EQ(partition.committed_offset, 4);
  EXPECT_EQ(partition.hi_offset, 10);
  EXPECT_TRUE(partition.desired);
  EXPECT_EQ(known->type, "consumer");
  ASSERT_TRUE(known->group.has_value());
}

// The application's own callback is called as before, and hands the text on.
TEST_F(KafkaStatistics, GoThroughTheApplicationsCallback) {
  rd_kafka_conf_t* conf = configuration({{"statistics.interval.ms", "20"}});
  rd_kafka_conf_set_stats_cb(conf, [](rd_kafka_t* client, char* json, size_t length, void* opaque) {
    ++*static_cast<int*>(opaque);
    kafka::take_statistics(client, json, length);
    return 0;
  });
  int calls = 0;
  rd_kafka_conf_set_opaque(conf, &calls);
  ASSERT_TRUE(kafka::instrument(conf));
  const Client producer = create(RD_KAFKA_PRODUCER, conf);
  EXPECT_NE(await(
                producer.get(), [&producer] { rd_kafka_poll(producer.get(), 10); },
                [](const Statistics&) { return true; }),
            nullptr);
  EXPECT_GT(calls, 0);
}

TEST_F(KafkaStatistics, GoThroughAnEventCallbackOfTheCppApi) {
  struct Events final : RdKafka::EventCb {
    void event_cb(RdKafka::Event& event) override {
      if (client != nullptr && kafka::take_statistics(*client, event)) ++taken;
    }
    RdKafka::Handle* client = nullptr;
    int taken = 0;
  } events;
  std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  std::string why;
  for (const auto& [name, value] : Properties{{"bootstrap.servers", cluster_->bootstrap_servers()},
                                              {"log_level", "0"},
                                              {"statistics.interval.ms", "20"}})
    ASSERT_EQ(conf->set(name, value, why), RdKafka::Conf::CONF_OK) << why;
  ASSERT_EQ(conf->set("event_cb", &events, why), RdKafka::Conf::CONF_OK) << why;
  ASSERT_TRUE(kafka::instrument(*conf));
  const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(conf.get(), why));
  ASSERT_NE(producer, nullptr) << why;
  events.client = producer.get();
  const auto read = await(
      producer->c_ptr(), [&producer] { producer->poll(10); }, [](const Statistics&) { return true; });
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(kafka::statistics(*producer), read);
  EXPECT_GT(events.taken, 0);
}

}  // namespace
}  // namespace midtrace::test
