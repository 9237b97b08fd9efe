// What the live Kafka tests share: librdkafka's mock cluster, a Recorder, and clients by the C API.
//
// Consumers use assign(), because subscribe() costs three seconds on the mock cluster. Clients that a test
// makes are destroyed before the cluster; the Recorder outlives both, so that spans which end with a client
// are in its tree.
#ifndef MIDTRACE_TESTS_LIVE_KAFKA_FIXTURE_H_
#define MIDTRACE_TESTS_LIVE_KAFKA_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <midtrace/kafka.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "conformance/vocabulary.h"
#include "live/kafka_headers.h"
#include "support/mock_cluster.h"
#ifdef MIDTRACE_TEST_BRIDGE
#include "support/bridge_recorder.h"
#endif

// librdkafka's RD_KAFKA_V_ macros are GNU statement expressions.
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-statement-expression"
#endif

#if defined(__SANITIZE_ADDRESS__)
#define MIDTRACE_TEST_LEAK_CHECK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MIDTRACE_TEST_LEAK_CHECK 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define MIDTRACE_TEST_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MIDTRACE_TEST_THREAD_SANITIZER 1
#endif
#endif
#ifdef MIDTRACE_TEST_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#endif

namespace midtrace::test {

#ifdef MIDTRACE_TEST_BRIDGE
using Recorder = BridgeRecorder;
#else
using Recorder = testing::Recorder;
#endif

// While it lives, what this thread allocates may leak: librdkafka never frees a message of produce_batch()
// that names an unknown partition, and some tests are about just that.
class LeakAllowed {
 public:
  LeakAllowed(const LeakAllowed&) = delete;
  LeakAllowed& operator=(const LeakAllowed&) = delete;
#ifdef MIDTRACE_TEST_LEAK_CHECK
  LeakAllowed() { __lsan_disable(); }
  ~LeakAllowed() { __lsan_enable(); }
#else
  LeakAllowed() {}
  ~LeakAllowed() {}
#endif
};

using namespace std::chrono_literals;

struct DestroyClient {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
using Client = std::unique_ptr<rd_kafka_t, DestroyClient>;

using Properties = std::map<std::string, std::string>;

// A message to produce. A null value or key is one that is not there.
struct Sent {
  std::string topic = "orders";
  const char* value = "order";
  const char* key = nullptr;
  std::int32_t partition = RD_KAFKA_PARTITION_UA;
  HeaderList headers = {};
};

class KafkaFixture : public ::testing::Test {
 protected:
  void SetUp() override { start_recorder(); }
  void TearDown() override { expect_known_attributes(); }

  // Everything that is recorded is in the vocabulary, but for the namespace `app`, which is for what tests
  // set themselves. Checked at the end of a test and before a recorder is replaced.
  void expect_known_attributes() {
    if (recorder_ == nullptr) return;
    std::vector<testing::OwnedSpan> spans = recorder_->spans();
    for (testing::OwnedSpan& span : spans) {
      std::erase_if(span.attributes, [](const testing::OwnedAttribute& attribute) {
        return attribute.key.starts_with("app.");
      });
    }
    EXPECT_THAT(midtrace_test::unknown_attributes(spans), ::testing::IsEmpty());
  }

  void start_recorder(testing::RecorderOptions options = {}) {
    expect_known_attributes();
    recorder_.reset();
    recorder_ = std::make_unique<Recorder>(std::move(options));
    if (cluster_ == nullptr) start_cluster();
  }

  // Another kind of cluster may take the mock's place.
  virtual void start_cluster() {
    std::string why;
    cluster_ = MockCluster::start(1, &why);
    ASSERT_NE(cluster_, nullptr) << why;
    ASSERT_TRUE(cluster_->create_topic("orders", 1));
  }
  virtual std::string bootstrap_servers() const { return cluster_->bootstrap_servers(); }

  rd_kafka_conf_t* configuration(const Properties& properties = {}) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    Properties all{{"bootstrap.servers", bootstrap_servers()},
                   {"log_level", "0"},
                   {"linger.ms", "0"},
                   {"topic.metadata.propagation.max.ms", "200"}};
    for (const auto& [name, value] : properties)
      all[name] = value;
    for (const auto& [name, value] : all) {
      char why[512];
      EXPECT_EQ(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why, sizeof why), RD_KAFKA_CONF_OK)
          << why;
    }
    return conf;
  }

  static Client create(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
    char why[512] = "";
    rd_kafka_t* client = rd_kafka_new(type, conf, why, sizeof why);
    EXPECT_NE(client, nullptr) << why;
    return Client(client);
  }

  Client make_producer(kafka::Options options = {}, Properties properties = {}) {
    properties.emplace("client.id", "checkout");
    rd_kafka_conf_t* conf = configuration(properties);
    EXPECT_TRUE(kafka::instrument(conf, std::move(options)));
    return create(RD_KAFKA_PRODUCER, conf);
  }

  // One that midtrace does not know.
  Client make_bare_producer(Properties properties = {}) {
    return create(RD_KAFKA_PRODUCER, configuration(properties));
  }

  Client make_consumer(kafka::Options options = {}, const std::vector<std::string>& topics = {"orders"},
                       int partitions = 1) {
    rd_kafka_conf_t* conf = consumer_configuration();
    EXPECT_TRUE(kafka::instrument(conf, std::move(options)));
    return assigned(create(RD_KAFKA_CONSUMER, conf), topics, partitions);
  }

  Client make_bare_consumer(const std::vector<std::string>& topics = {"orders"}, int partitions = 1) {
    return assigned(create(RD_KAFKA_CONSUMER, consumer_configuration()), topics, partitions);
  }

  rd_kafka_conf_t* consumer_configuration() {
    return configuration({{"client.id", "fulfilment"},
                          {"group.id", "workers"},
                          {"auto.offset.reset", "earliest"},
                          {"enable.auto.commit", "false"},
                          {"fetch.wait.max.ms", "20"}});
  }

  static Client assigned(Client consumer, const std::vector<std::string>& topics, int partitions) {
    rd_kafka_poll_set_consumer(consumer.get());
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(4);
    for (const std::string& topic : topics) {
      for (int partition = 0; partition < partitions; ++partition) {
        rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
      }
    }
    EXPECT_EQ(rd_kafka_assign(consumer.get(), list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
  }

  // By rd_kafka_producev, so with interceptors only. Headers that were not taken over are destroyed.
  static rd_kafka_resp_err_t produce(rd_kafka_t* producer, const Sent& sent = {}) {
    rd_kafka_headers_t* headers = sent.headers.empty() ? nullptr : make_headers(sent.headers);
    const std::size_t value_length = sent.value != nullptr ? std::string_view(sent.value).size() : 0;
    const std::size_t key_length = sent.key != nullptr ? std::string_view(sent.key).size() : 0;
    const rd_kafka_resp_err_t error =
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(sent.topic.c_str()),
                          RD_KAFKA_V_PARTITION(sent.partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(const_cast<char*>(sent.value), value_length),
                          RD_KAFKA_V_KEY(sent.key, key_length), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && headers != nullptr) rd_kafka_headers_destroy(headers);
    return error;
  }

  static void deliver(rd_kafka_t* producer) {
    ASSERT_EQ(rd_kafka_flush(producer, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  // Until the client has the topic's metadata, so that bad partitions are refused at once.
  static void learn_topic(rd_kafka_t* client, const std::string& topic) {
    rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
    const rd_kafka_metadata_t* metadata = nullptr;
    ASSERT_EQ(rd_kafka_metadata(client, 0, handle, &metadata, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
  }

  struct DestroyMessage {
    void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  };
  using OwnedMessage = std::unique_ptr<rd_kafka_message_t, DestroyMessage>;

  // By rd_kafka_consumer_poll, so with interceptors only.
  static OwnedMessage poll(rd_kafka_t* consumer) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      OwnedMessage message(rd_kafka_consumer_poll(consumer, 100));
      if (message == nullptr) continue;
      EXPECT_EQ(message->err, RD_KAFKA_RESP_ERR_NO_ERROR) << rd_kafka_message_errstr(message.get());
      return message;
    }
    ADD_FAILURE() << "no message came within 10 s";
    return nullptr;
  }

  // A batch of exactly this many, however many calls their arrival takes librdkafka.
  static kafka::Batch consume_exactly(rd_kafka_t* consumer, std::size_t count) {
    kafka::Batch batch = kafka::consume_batch(consumer, count, 10s);
    EXPECT_EQ(batch.size(), count);
    return batch;
  }

  static Span start_span(std::string_view name, const Context* parent = nullptr) {
    return Tracer::get("test").start(name, {.parent = parent});
  }

  // Sends one message per trace, as so many services would.
  void produce_from_own_traces(rd_kafka_t* producer, const std::vector<Sent>& messages) {
    for (const Sent& message : messages)
      ASSERT_EQ(produce(producer, message), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer);
  }

  // The tree without what differs from run to run.
  std::string tree(testing::TreeOptions options = {}) {
    for (const char* varying :
         {"messaging.kafka.cluster.id", "midtrace.messaging.queue_time", "midtrace.messaging.clock_skewed"})
      options.without.push_back(varying);
    options.masked["server.port"] = "PORT";
    return recorder_->tree(options);
  }
  // The tree with what differs between the messages only; tree() of some tests shows the rest.
  std::string brief() {
    return recorder_->tree(
        {.without = {"messaging.system", "messaging.operation.name", "messaging.operation.type",
                     "messaging.client.id", "messaging.consumer.group.name", "server.address", "server.port",
                     "messaging.kafka.cluster.id", "messaging.destination.name",
                     "midtrace.messaging.queue_time", "midtrace.messaging.clock_skewed"}});
  }

  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<MockCluster> cluster_;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_KAFKA_FIXTURE_H_
