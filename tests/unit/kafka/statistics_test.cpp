// The statistics of a client as values. The texts are what librdkafka 2.0.2 wrote, shortened.

#include <midtrace/kafka/statistics.h>

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>

#include <midtrace/kafka/instrument.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
namespace {

using kafka::parse_statistics;

constexpr const char* consumer = R"({
  "name": "rdkafka#consumer-2", "client_id": "fulfilment", "type": "consumer",
  "ts": 26505901764, "time": 1795282194, "age": 400615, "replyq": 3,
  "msg_cnt": 0, "msg_size": 0, "msg_max": 0, "msg_size_max": 0, "simple_cnt": 0, "metadata_cache_cnt": 1,
  "brokers": {
    "127.0.0.1:44249/2": {
      "name": "127.0.0.1:44249/2", "nodeid": 2, "nodename": "127.0.0.1:44249", "source": "configured",
      "state": "UP", "stateage": 399595, "outbuf_cnt": 1, "waitresp_cnt": 1, "tx": 5, "txbytes": 156,
      "rx": 4, "rxbytes": 377, "connects": 1,
      "rtt": {"min": 12, "max": 900, "avg": 250, "sum": 1000, "stddev": 9, "p50": 200, "p99": 890, "cnt": 4},
      "throttle": {"avg": 7, "p99": 8}, "req": {"Fetch": 2}, "toppars": {"orders-0": {"partition": 0}}
    },
    "GroupCoordinator": {"name": "GroupCoordinator", "nodeid": 1, "source": "logical", "rtt": {"avg": 1}}
  },
  "topics": {
    "orders": {
      "topic": "orders", "age": 399, "metadata_age": 398, "batchcnt": {"avg": 10},
      "partitions": {
        "0": {"partition": 0, "broker": 2, "leader": 2, "desired": true, "unknown": false, "fetchq_cnt": 4,
              "fetch_state": "active", "app_offset": 21, "committed_offset": 15, "hi_offset": 25,
              "consumer_lag": 10, "consumer_lag_stored": 4, "rxmsgs": 25},
        "-1": {"partition": -1, "unknown": true, "consumer_lag": -1}
      }
    },
    "returns": {"topic": "returns", "partitions": {"7": {"partition": 7, "consumer_lag": 70}}}
  },
  "cgrp": {"state": "up", "stateage": 397, "join_state": "steady", "rebalance_cnt": 2, "assignment_size": 1},
  "tx": 7, "tx_bytes": 217, "rx": 6, "rx_bytes": 514, "txmsgs": 0, "txmsg_bytes": 0, "rxmsgs": 25,
  "rxmsg_bytes": 125, "eos": {"idemp_state": "Init"}
})";

TEST(KafkaStatistics, OfAConsumerAreReadWhole) {
  const auto read = parse_statistics(consumer);
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->name, "rdkafka#consumer-2");
  EXPECT_EQ(read->client_id, "fulfilment");
  EXPECT_EQ(read->type, "consumer");
  EXPECT_EQ(read->ts, 26505901764);
  EXPECT_EQ(read->age, 400615);
  EXPECT_EQ(read->replyq, 3);
  EXPECT_EQ(read->tx, 7);
  EXPECT_EQ(read->rx_bytes, 514);
  EXPECT_EQ(read->rxmsgs, 25);
  EXPECT_FALSE(read->truncated);

  ASSERT_EQ(read->brokers.size(), 2U);
  const kafka::BrokerStatistics& broker = read->brokers[0];
  EXPECT_EQ(broker.nodename, "127.0.0.1:44249");
  EXPECT_EQ(broker.nodeid, 2);
  EXPECT_EQ(broker.state, "UP");
  EXPECT_EQ(broker.tx, 5);
  EXPECT_EQ(broker.rtt.avg, 250);
  EXPECT_EQ(broker.rtt.p99, 890);
  EXPECT_EQ(broker.throttle.avg, 7);
  EXPECT_EQ(broker.int_latency.cnt, 0);
  EXPECT_EQ(read->brokers[1].source, "logical");
  EXPECT_EQ(read->brokers[1].rtt.avg, 1);

  ASSERT_EQ(read->topics.size(), 2U);
  EXPECT_EQ(read->topics[0].metadata_age, 398);
  EXPECT_EQ(read->topics[0].batchcnt.avg, 10);
  ASSERT_EQ(read->partitions.size(), 3U);
  const kafka::PartitionStatistics& partition = read->partitions[0];
  EXPECT_EQ(partition.topic, "orders");
  EXPECT_EQ(partition.partition, 0);
  EXPECT_TRUE(partition.desired);
  EXPECT_FALSE(partition.unknown);
  EXPECT_EQ(partition.fetchq_cnt, 4);
  EXPECT_EQ(partition.fetch_state, "active");
  EXPECT_EQ(partition.consumer_lag, 10);
  EXPECT_EQ(partition.consumer_lag_stored, 4);
  EXPECT_EQ(partition.hi_offset, 25);
  EXPECT_TRUE(read->partitions[1].unknown);
  EXPECT_EQ(read->partitions[1].consumer_lag, -1);
  EXPECT_EQ(read->partitions[2].topic, "returns");
  EXPECT_EQ(read->partitions[2].consumer_lag, 70);

  ASSERT_TRUE(read->group.has_value());
  EXPECT_EQ(read->group->join_state, "steady");
  EXPECT_EQ(read->group->rebalance_cnt, 2);
}

TEST(KafkaStatistics, OfMembersThatAreMissingOrUnknownAreStillRead) {
  const auto read = parse_statistics(R"({"later": [{"deep": [1, null, "x"]}], "brokers": 7, "topics": [],
      "ts": "soon", "msg_cnt": 12.9, "cgrp": null})");
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->msg_cnt, 12);
  EXPECT_EQ(read->ts, 0);
  EXPECT_TRUE(read->brokers.empty());
  EXPECT_FALSE(read->group.has_value());
}

TEST(KafkaStatistics, NumbersBeyondTheirTypeStayAtItsEnd) {
  const auto read = parse_statistics(R"({"ts": 18446744073709551615, "age": 1e300, "tx": -1e300})");
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->ts, INT64_MAX);
  EXPECT_GT(read->age, 9'000'000'000'000'000'000);
  EXPECT_LT(read->tx, -9'000'000'000'000'000'000);
}

TEST(KafkaStatistics, WhatIsNoStatisticsIsRefused) {
  const std::string whole = consumer;
  for (const std::string& text :
       {std::string(), std::string("7"), std::string("[]"), std::string("null"), std::string("{} {}"),
        std::string("{\"ts\": 1e999}"), std::string("{\"name\": \"a\"b\"}"),
        std::string("{\"name\": \"\xff\"}"), whole.substr(0, whole.size() / 2),
        "{\"deep\": " + std::string(100000, '[') + "}",
        "{\"deep\": " + std::string(65, '[') + std::string(65, ']') + "}"})
    EXPECT_EQ(parse_statistics(text), nullptr) << text.substr(0, 100);
  EXPECT_EQ(parse_statistics("{\"name\": \"" + std::string(kafka::max_statistics_bytes, 'x') + "\"}"),
            nullptr);
}

TEST(KafkaStatistics, OfMorePartitionsThanTheLimitTheFirstAreRead) {
  std::string text = R"({"topics": {"orders": {"partitions": {)";
  for (int i = 0; i < 100001; ++i)
    text.append(i == 0 ? "" : ",").append("\"\":{\"partition\":").append(std::to_string(i)).append("}");
  text += "}}}, \"rx\": 1}";
  const auto read = parse_statistics(text);
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->partitions.size(), 100000U);
  EXPECT_EQ(read->partitions.back().partition, 99999);
  EXPECT_TRUE(read->truncated);
  EXPECT_EQ(read->rx, 1);
}

class KafkaKeptStatistics : public ::testing::Test {
 protected:
  KafkaKeptStatistics() : client_(rd_kafka_new(RD_KAFKA_PRODUCER, nullptr, nullptr, 0)) {}
  ~KafkaKeptStatistics() override { rd_kafka_destroy(client_); }

  void take(const std::string& json) { kafka::take_statistics(client_, json.data(), json.size()); }
  std::uint64_t dropped() const { return counters()[Counter::statistics_dropped] - before_; }

  rd_kafka_t* client_;
  std::uint64_t before_ = counters()[Counter::statistics_dropped];
};

TEST_F(KafkaKeptStatistics, AreNoneUntilTheyAreTakenAndThenTheNewest) {
  EXPECT_EQ(kafka::statistics(client_), nullptr);
  take(R"({"ts": 1})");
  take(R"({"ts": 2})");
  const auto second = kafka::statistics(client_);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->ts, 2);
  EXPECT_EQ(kafka::statistics(client_), second) << "they are read once";
  take(R"({"ts": 3})");
  EXPECT_EQ(kafka::statistics(client_)->ts, 3);
  EXPECT_EQ(second->ts, 2) << "what was handed out stays";
  EXPECT_EQ(dropped(), 0U);
}

TEST_F(KafkaKeptStatistics, StayWhenTheNextCannotBeReadOrAreTooLong) {
  take(R"({"ts": 1})");
  ASSERT_NE(kafka::statistics(client_), nullptr);
  take(R"({"name": "a"b"})");
  EXPECT_EQ(kafka::statistics(client_)->ts, 1);
  EXPECT_EQ(dropped(), 1U);
  take(std::string(kafka::max_statistics_bytes + 1, ' '));
  EXPECT_EQ(kafka::statistics(client_)->ts, 1);
  EXPECT_EQ(dropped(), 2U);
  kafka::take_statistics(nullptr, "{}", 2);
  kafka::take_statistics(client_, nullptr, 0);
  EXPECT_EQ(kafka::statistics(nullptr), nullptr);
}

struct Claim {
  const char* interval;
  bool callback;
  bool claimed;
};

int application_callback(rd_kafka_t*, char*, size_t, void*) { return 0; }

TEST(KafkaUnclaimedStatistics, AreKeptOnlyWhereTheyAreMadeAndNobodyElseWantsThem) {
  for (const Claim& claim :
       {Claim{"0", false, false}, Claim{"1000", false, true}, Claim{"1000", true, true}}) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "statistics.interval.ms", claim.interval, nullptr, 0);
    if (claim.callback) rd_kafka_conf_set_stats_cb(conf, application_callback);
    const auto callback = [conf] {
      char value[64] = "";
      size_t size = sizeof value;
      return rd_kafka_conf_get(conf, "stats_cb", value, &size) == RD_KAFKA_CONF_OK ? std::string(value)
                                                                                   : std::string();
    };
    const std::string before = callback();
    ASSERT_TRUE(kafka::instrument(conf));
    EXPECT_EQ(!callback().empty(), claim.claimed) << claim.interval;
    if (claim.callback) {
      EXPECT_EQ(callback(), before) << "the application's own stays";
    }
    rd_kafka_conf_destroy(conf);
  }
}

}  // namespace
}  // namespace midtrace
