// The C++ API of librdkafka: the same spans by the same implementation. The trees are those of the C API's
// tests, where their attributes are spelled out; here it is the shapes, and what differs between the two
// APIs.

#include "live/kafka_fixture.h"

#include <librdkafka/rdkafkacpp.h>

#include <set>
#include <string>

namespace midtrace::test {
namespace {

class KafkaCpp : public KafkaFixture {
 protected:
  std::unique_ptr<RdKafka::Conf> conf(const Properties& properties = {}) {
    std::unique_ptr<RdKafka::Conf> made(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    Properties all{{"bootstrap.servers", cluster_->bootstrap_servers()},
                   {"log_level", "0"},
                   {"linger.ms", "0"},
                   {"topic.metadata.propagation.max.ms", "200"}};
    for (const auto& [name, value] : properties)
      all[name] = value;
    std::string why;
    for (const auto& [name, value] : all)
      EXPECT_EQ(made->set(name, value, why), RdKafka::Conf::CONF_OK) << why;
    return made;
  }
  std::unique_ptr<RdKafka::Producer> make_cpp_producer(Properties properties = {}) {
    properties.emplace("client.id", "checkout");
    const auto configured = conf(properties);
    EXPECT_TRUE(kafka::instrument(*configured));
    std::string why;
    std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(configured.get(), why));
    EXPECT_NE(producer, nullptr) << why;
    return producer;
  }
  std::unique_ptr<RdKafka::KafkaConsumer> make_cpp_consumer() {
    const auto configured = conf({{"client.id", "fulfilment"},
                                  {"group.id", "workers"},
                                  {"auto.offset.reset", "earliest"},
                                  {"enable.auto.commit", "false"}});
    EXPECT_TRUE(kafka::instrument(*configured));
    std::string why;
    std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(configured.get(), why));
    EXPECT_NE(consumer, nullptr) << why;
    const std::unique_ptr<RdKafka::TopicPartition> partition(
        RdKafka::TopicPartition::create("orders", 0, RdKafka::Topic::OFFSET_BEGINNING));
    EXPECT_EQ(consumer->assign({partition.get()}), RdKafka::ERR_NO_ERROR);
    return consumer;
  }
  static RdKafka::ErrorCode produce_bare(RdKafka::Producer& producer, const std::string& key) {
    return producer.produce("orders", RdKafka::Topic::PARTITION_UA, RdKafka::Producer::RK_MSG_COPY,
                            const_cast<char*>("order"), 5, key.data(), key.size(), 0, nullptr);
  }
  static RdKafka::ErrorCode produce_traced(RdKafka::Producer& producer, const std::string& key,
                                           RdKafka::Headers* headers = nullptr) {
    return kafka::produce(producer, "orders", RdKafka::Topic::PARTITION_UA, RdKafka::Producer::RK_MSG_COPY,
                          const_cast<char*>("order"), 5, key.data(), key.size(), 0, headers, nullptr);
  }
  void send(const std::vector<std::string>& keys) {
    const auto producer = make_cpp_producer();
    for (const std::string& key : keys)
      ASSERT_EQ(produce_bare(*producer, key), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  // By a client that midtrace does not know, which takes the headers over.
  void send_untraced(const std::string& key, RdKafka::Headers* headers = nullptr) {
    const auto configured = conf();
    std::string why;
    const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(configured.get(), why));
    ASSERT_NE(producer, nullptr) << why;
    ASSERT_EQ(producer->produce("orders", RdKafka::Topic::PARTITION_UA, RdKafka::Producer::RK_MSG_COPY,
                                const_cast<char*>("order"), 5, key.data(), key.size(), 0, headers, nullptr),
              RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  static std::unique_ptr<RdKafka::Message> poll_bare(RdKafka::KafkaConsumer& consumer) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      std::unique_ptr<RdKafka::Message> message(consumer.consume(100));
      if (message->err() == RdKafka::ERR_NO_ERROR) return message;
    }
    ADD_FAILURE() << "no message came within 10 s";
    return nullptr;
  }
};

constexpr std::string_view single_tree = R"(
poll orders CLIENT
  messaging.client.id = fulfilment
  messaging.consumer.group.name = workers
  messaging.destination.name = orders
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = order-1
  messaging.kafka.offset = 0
  messaging.operation.name = poll
  messaging.operation.type = receive
  messaging.system = kafka
  server.address = 127.0.0.1
  server.port = PORT
  link -> send orders
send orders PRODUCER
  messaging.client.id = checkout
  messaging.destination.name = orders
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = order-1
  messaging.kafka.offset = 0
  messaging.operation.name = send
  messaging.operation.type = send
  messaging.system = kafka
  server.address = 127.0.0.1
  server.port = PORT
  process orders CONSUMER
    messaging.client.id = fulfilment
    messaging.consumer.group.name = workers
    messaging.destination.name = orders
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = order-1
    messaging.kafka.offset = 0
    messaging.operation.name = process
    messaging.operation.type = process
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
    link -> send orders
)";

TEST_F(KafkaCpp, Single_Interceptors) {
  {
    const auto producer = make_cpp_producer();
    ASSERT_EQ(produce_bare(*producer, "order-1"), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  {
    const auto consumer = make_cpp_consumer();
    const auto message = poll_bare(*consumer);
    const auto processing = kafka::process(*message);
  }
  EXPECT_EQ(tree(), single_tree);
}

TEST_F(KafkaCpp, Single_Wrapper) {
  {
    const auto producer = make_cpp_producer();
    ASSERT_EQ(produce_traced(*producer, "order-1"), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  {
    const auto consumer = make_cpp_consumer();
    const auto message = kafka::consume(*consumer, 10s);
    ASSERT_EQ(message->err(), RdKafka::ERR_NO_ERROR);
    EXPECT_EQ(*message->key(), "order-1");
    EXPECT_NE(message->headers(), nullptr);  // detaches them from the message
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(tree(), single_tree);
}

TEST_F(KafkaCpp, BatchOf3From3Traces_Wrapper) {
  {
    const auto producer = make_cpp_producer();
    for (const char* key : {"a", "b", "c"})
      ASSERT_EQ(produce_traced(*producer, key), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  {
    const auto consumer = make_cpp_consumer();
    const auto batch = kafka::consume_batch(*consumer, 3, 10s);
    ASSERT_EQ(batch.size(), 3U);
    std::string keys;
    for (const auto& message : batch)
      keys += *message->key();
    EXPECT_EQ(keys, "abc");
    const auto processing = kafka::process(batch);
  }
  EXPECT_EQ(brief(), R"(
poll orders CLIENT
  messaging.batch.message_count = 3
  messaging.destination.partition.id = 0
  link -> send orders {messaging.kafka.message.key = a, messaging.kafka.offset = 0}
  link -> send orders {messaging.kafka.message.key = b, messaging.kafka.offset = 1}
  link -> send orders {messaging.kafka.message.key = c, messaging.kafka.offset = 2}
process orders CONSUMER
  messaging.batch.message_count = 3
  messaging.destination.partition.id = 0
  link -> send orders {messaging.kafka.message.key = a, messaging.kafka.offset = 0}
  link -> send orders {messaging.kafka.message.key = b, messaging.kafka.offset = 1}
  link -> send orders {messaging.kafka.message.key = c, messaging.kafka.offset = 2}
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = b
  messaging.kafka.offset = 1
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = c
  messaging.kafka.offset = 2
)");
}

TEST_F(KafkaCpp, AmbientParent_Wrapper) {
  {
    const auto producer = make_cpp_producer();
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    ASSERT_EQ(produce_traced(*producer, "k"), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  {
    const auto consumer = make_cpp_consumer();
    const Span worker = start_span("worker");
    const Scope scope = worker.activate();
    const auto message = kafka::consume(*consumer, 10s);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
checkout INTERNAL
  send orders PRODUCER
worker INTERNAL
  poll orders CLIENT
    link -> send orders
  process orders CONSUMER
    link -> send orders
)");
}

// RdKafka::Message::headers() takes the headers away from the message, and they are forwarded from there.
TEST_F(KafkaCpp, HeadersForwarded_Wrapper) {
  ASSERT_TRUE(cluster_->create_topic("shipments", 1));
  {
    const auto producer = make_cpp_producer();
    ASSERT_EQ(produce_traced(*producer, "k"), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
    const auto consumer = make_cpp_consumer();
    const auto message = kafka::consume(*consumer, 10s);
    const auto processing = kafka::process(message);
    RdKafka::Headers* headers = RdKafka::Headers::create(message->headers()->get_all());
    ASSERT_EQ(kafka::produce(*producer, "shipments", 0, RdKafka::Producer::RK_MSG_COPY, message->payload(),
                             message->len(), nullptr, 0, 0, headers, nullptr),
              RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
poll orders CLIENT
  link -> send orders
send orders PRODUCER
  process orders CONSUMER
    link -> send orders
    send shipments PRODUCER
)");
}

// What arrives from a trace that was not sampled is not sampled either, but its context travels on.
class KafkaCppUnsampled : public KafkaCpp {
 protected:
  static constexpr const char* parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

  void SetUp() override { start_recorder({.sampler = parent_based_sampler({})}); }
  static Context unsampled_context() {
    Context context;
    context.span = parse_traceparent(parent);
    return context;
  }
  static void expect_child(const SpanContext& context) {
    EXPECT_EQ(context.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_TRUE(context.span_id.valid());
    EXPECT_NE(context.span_id.to_string(), "b7ad6b7169203331") << "the send has an id of its own";
    EXPECT_FALSE(context.sampled());
  }
};

TEST_F(KafkaCppUnsampled, UnsampledParent_Interceptors) {
  {
    const auto producer = make_cpp_producer();
    const Scope scope(unsampled_context());
    ASSERT_EQ(produce_bare(*producer, "k"), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  {
    const auto consumer = make_cpp_consumer();
    const auto message = poll_bare(*consumer);
    const auto processing = kafka::process(*message);
    expect_child(Context::current().span);
    EXPECT_EQ(message->headers()->get("traceparent").size(), 1U);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaCppUnsampled, UnsampledParent_Wrapper) {
  {
    const auto producer = make_cpp_producer();
    const Scope scope(unsampled_context());
    ASSERT_EQ(produce_traced(*producer, "k"), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  {
    const auto consumer = make_cpp_consumer();
    const auto message = kafka::consume(*consumer, 10s);
    expect_child(message.creation_context().span);
    const auto processing = kafka::process(message);
    expect_child(Context::current().span);
  }
  EXPECT_EQ(tree(), "\n");
}

constexpr std::string_view no_context_tree = R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = k
  messaging.kafka.offset = 0
process orders CONSUMER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = k
  messaging.kafka.offset = 0
)";

TEST_F(KafkaCpp, NoHeaders_Interceptors) {
  send_untraced("k");
  {
    const auto consumer = make_cpp_consumer();
    const auto message = poll_bare(*consumer);
    const auto processing = kafka::process(*message);
  }
  EXPECT_EQ(brief(), no_context_tree);
}

TEST_F(KafkaCpp, NoHeaders_Wrapper) {
  send_untraced("k");
  {
    const auto consumer = make_cpp_consumer();
    const auto message = kafka::consume(*consumer, 10s);
    EXPECT_FALSE(message.creation_context().span.valid());
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(brief(), no_context_tree);
}

const std::vector<RdKafka::Headers::Header> malformed{
    {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz", 55},
    {"tracestate", "vendor=1", 8}};

TEST_F(KafkaCpp, MalformedTraceparent_Interceptors) {
  send_untraced("k", RdKafka::Headers::create(malformed));
  {
    const auto consumer = make_cpp_consumer();
    const auto message = poll_bare(*consumer);
    const auto processing = kafka::process(*message);
  }
  EXPECT_EQ(brief(), no_context_tree);
  EXPECT_GE(recorder_->counters()[Counter::extract_malformed_traceparent], 1U);
}

TEST_F(KafkaCpp, MalformedTraceparent_Wrapper) {
  send_untraced("k", RdKafka::Headers::create(malformed));
  {
    const auto consumer = make_cpp_consumer();
    const auto message = kafka::consume(*consumer, 10s);
    EXPECT_FALSE(message.creation_context().span.valid());
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(brief(), no_context_tree);
  EXPECT_EQ(recorder_->counters()[Counter::extract_malformed_traceparent], 1U)
      << "extracted once, at receive time";
}

TEST_F(KafkaCpp, MalformedTraceparentInOutgoingHeadersIsReplaced) {
  {
    const auto producer = make_cpp_producer();
    ASSERT_EQ(produce_traced(*producer, "k", RdKafka::Headers::create(malformed)), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  const auto consumer = make_cpp_consumer();
  const auto message = poll_bare(*consumer);
  const std::vector<RdKafka::Headers::Header> sent = message->headers()->get("traceparent");
  ASSERT_EQ(sent.size(), 1U);
  std::string expected;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.kind == SpanKind::producer) expected = traceparent(span.context);
  }
  EXPECT_EQ(std::string(static_cast<const char*>(sent[0].value()), sent[0].value_size()), expected);
  EXPECT_TRUE(message->headers()->get("tracestate").empty())
      << "a tracestate must not outlive its traceparent";
}

class KafkaCppVolume : public KafkaCpp {
 protected:
  static constexpr int messages = 1000;

  // With room for all spans, however far the collector is behind.
  void SetUp() override { start_recorder({.batch = {.queue_size = 65536}}); }

  template <class Produce>
  void send_all(const Produce& produce_one) {
    const auto producer = make_cpp_producer({{"linger.ms", "5"}});
    for (int i = 0; i < messages; ++i)
      ASSERT_EQ(produce_one(*producer, std::to_string(i)), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  // So many spans, which together link to each send once.
  void expect_each_send_linked_once(SpanKind kind, std::size_t span_count) {
    std::multiset<std::string> sent;
    std::multiset<std::string> linked;
    std::size_t found = 0;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.kind == SpanKind::producer) sent.insert(span.context.span_id.to_string());
      if (span.kind != kind) continue;
      ++found;
      for (const testing::OwnedLink& link : span.links)
        linked.insert(link.context.span_id.to_string());
    }
    EXPECT_EQ(sent.size(), static_cast<std::size_t>(messages));
    EXPECT_EQ(linked, sent);
    EXPECT_EQ(found, span_count);
  }
};

TEST_F(KafkaCppVolume, AThousandMessagesHaveASpanAndALinkEach_Interceptors) {
  send_all(produce_bare);
  {
    const auto consumer = make_cpp_consumer();
    for (int i = 0; i < messages; ++i) {
      const auto message = poll_bare(*consumer);
      const auto processing = kafka::process(*message);
    }
  }
  expect_each_send_linked_once(SpanKind::client, messages);
  expect_each_send_linked_once(SpanKind::consumer, messages);
}

TEST_F(KafkaCppVolume, BatchOf1000MessagesKeepsEveryLink_Wrapper) {
  send_all([](RdKafka::Producer& producer, const std::string& key) { return produce_traced(producer, key); });
  {
    const auto consumer = make_cpp_consumer();
    const auto batch = kafka::consume_batch(*consumer, messages, 20s);
    ASSERT_EQ(batch.size(), static_cast<std::size_t>(messages));
    const auto processing = kafka::process(batch);
  }
  expect_each_send_linked_once(SpanKind::client, 1);
  expect_each_send_linked_once(SpanKind::consumer, 1);
}

constexpr std::string_view closed_consumer_tree = R"(
poll orders CLIENT
  link -> send orders
send orders PRODUCER
send orders PRODUCER
send orders PRODUCER
  process orders CONSUMER
    status ERROR
    link -> send orders
)";

TEST_F(KafkaCpp, ConsumerCloseWithMessagesInFlight_Interceptors) {
  send({"a", "b", "c"});
  {
    const auto consumer = make_cpp_consumer();
    const auto message = poll_bare(*consumer);  // two more are in librdkafka's queue
    auto processing = kafka::process(*message);
    EXPECT_EQ(consumer->close(), RdKafka::ERR_NO_ERROR);
    processing.set_error("cancelled");
  }
  EXPECT_EQ(tree({.attributes = false}), closed_consumer_tree);
}

TEST_F(KafkaCpp, ConsumerCloseWithMessagesInFlight_Wrapper) {
  send({"a", "b", "c"});
  {
    auto consumer = make_cpp_consumer();
    kafka::ProcessSpan survivor;
    {
      const auto message = kafka::consume(*consumer, 10s);
      survivor = kafka::process(message).detach();
      EXPECT_EQ(consumer->close(), RdKafka::ERR_NO_ERROR);
    }
    consumer.reset();
    survivor.set_error("cancelled");  // the span outlives its message and its client
  }
  EXPECT_EQ(tree({.attributes = false}), closed_consumer_tree);
}

// Of messages that are never reported only the topic is known at the end.
constexpr std::string_view closed_producer_tree = R"(
send orders PRODUCER
  status ERROR
  error.type = _DESTROY
send orders PRODUCER
  status ERROR
  error.type = _DESTROY
)";

TEST_F(KafkaCpp, ProducerCloseWithMessagesInFlight_Interceptors) {
  {
    const auto producer = make_cpp_producer({{"bootstrap.servers", "127.0.0.1:1"}});
    for (const char* key : {"a", "b"})
      ASSERT_EQ(produce_bare(*producer, key), RdKafka::ERR_NO_ERROR);
    EXPECT_TRUE(recorder_->spans().empty());
  }
  EXPECT_EQ(brief(), closed_producer_tree);
}

TEST_F(KafkaCpp, ProducerCloseWithMessagesInFlight_Wrapper) {
  {
    const auto producer = make_cpp_producer({{"bootstrap.servers", "127.0.0.1:1"}});
    for (const char* key : {"a", "b"})
      ASSERT_EQ(produce_traced(*producer, key), RdKafka::ERR_NO_ERROR);
    EXPECT_EQ(producer->flush(10), RdKafka::ERR__TIMED_OUT);
    EXPECT_TRUE(recorder_->spans().empty());
  }
  EXPECT_EQ(brief(), closed_producer_tree);
}

TEST_F(KafkaCpp, EveryFormOfProduceIsTraced) {
  const auto producer = make_cpp_producer();
  std::string why;
  {
    const std::unique_ptr<RdKafka::Topic> topic(
        RdKafka::Topic::create(producer.get(), "orders", nullptr, why));
    ASSERT_NE(topic, nullptr) << why;
    const std::string key = "a";
    const std::vector<char> bytes{'b'};
    char value[] = "order";
    constexpr int copy = RdKafka::Producer::RK_MSG_COPY;
    EXPECT_EQ(kafka::produce(*producer, topic.get(), 0, copy, value, 5, &key, nullptr),
              RdKafka::ERR_NO_ERROR);
    EXPECT_EQ(kafka::produce(*producer, topic.get(), 0, copy, value, 5, "c", 1, nullptr),
              RdKafka::ERR_NO_ERROR);
    EXPECT_EQ(kafka::produce(*producer, topic.get(), 0, &bytes, &bytes, nullptr), RdKafka::ERR_NO_ERROR);
    EXPECT_EQ(kafka::produce(*producer, "orders", 0, copy, value, 5, "d", 1, 0, nullptr),
              RdKafka::ERR_NO_ERROR);
    EXPECT_EQ(kafka::produce(*producer, "orders", 0, copy, value, 5, "e", 1, 0, RdKafka::Headers::create(),
                             nullptr),
              RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  std::set<std::string> keys;
  for (const testing::OwnedSpan& span : recorder_->spans())
    keys.insert(span.attribute("messaging.kafka.message.key"));
  EXPECT_EQ(keys, (std::set<std::string>{"a", "b", "c", "d", "e"}));
}

constexpr std::string_view unknown_topic_tree = R"(
send nowhere PRODUCER
  status ERROR
  error.type = UNKNOWN_TOPIC_OR_PARTITION
  messaging.kafka.message.key = k
)";

TEST_F(KafkaCpp, UnknownTopic_Interceptors) {
  cluster_->set_topic_error("nowhere", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  const auto producer = make_cpp_producer();
  ASSERT_EQ(producer->produce("nowhere", RdKafka::Topic::PARTITION_UA, RdKafka::Producer::RK_MSG_COPY,
                              const_cast<char*>("order"), 5, "k", 1, 0, nullptr),
            RdKafka::ERR_NO_ERROR);
  ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  EXPECT_EQ(brief(), unknown_topic_tree);
}

TEST_F(KafkaCpp, UnknownTopic_Wrapper) {
  cluster_->set_topic_error("nowhere", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  const auto producer = make_cpp_producer();
  const auto produce_nowhere = [&] {
    return kafka::produce(*producer, "nowhere", RdKafka::Topic::PARTITION_UA, RdKafka::Producer::RK_MSG_COPY,
                          const_cast<char*>("order"), 5, "k", 1, 0, nullptr);
  };
  ASSERT_EQ(produce_nowhere(), RdKafka::ERR_NO_ERROR);
  ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  EXPECT_EQ(brief(), unknown_topic_tree);
  // Known by now, the topic is refused inside the call: still one span for one message.
  recorder_->clear();
  EXPECT_EQ(produce_nowhere(), RdKafka::ERR__UNKNOWN_TOPIC);
  EXPECT_EQ(brief(), R"(
send nowhere PRODUCER
  status ERROR
  error.type = _UNKNOWN_TOPIC
  messaging.kafka.message.key = k
)");
}

constexpr std::string_view unknown_partition_tree = R"(
send orders PRODUCER
  status ERROR
  error.type = _UNKNOWN_PARTITION
  messaging.destination.partition.id = 7
  messaging.kafka.message.key = k
)";

// The headers are the application's again when the call fails, and must be as they were.
TEST_F(KafkaCpp, UnknownPartition_Interceptors) {
  const auto producer = make_cpp_producer();
  learn_topic(producer->c_ptr(), "orders");
  const std::unique_ptr<RdKafka::Headers> headers(RdKafka::Headers::create());
  headers->add("tenant", "blue");
  EXPECT_EQ(producer->produce("orders", 7, RdKafka::Producer::RK_MSG_COPY, const_cast<char*>("order"), 5, "k",
                              1, 0, headers.get(), nullptr),
            RdKafka::ERR__UNKNOWN_PARTITION);
  EXPECT_EQ(headers->size(), 1U);
  EXPECT_EQ(brief(), unknown_partition_tree);
}

TEST_F(KafkaCpp, UnknownPartition_Wrapper) {
  const auto producer = make_cpp_producer();
  learn_topic(producer->c_ptr(), "orders");
  const std::unique_ptr<RdKafka::Headers> headers(RdKafka::Headers::create());
  headers->add("tenant", "blue");
  EXPECT_EQ(kafka::produce(*producer, "orders", 7, RdKafka::Producer::RK_MSG_COPY, const_cast<char*>("order"),
                           5, "k", 1, 0, headers.get(), nullptr),
            RdKafka::ERR__UNKNOWN_PARTITION);
  EXPECT_EQ(headers->size(), 1U);
  EXPECT_EQ(brief(), unknown_partition_tree);
}

TEST_F(KafkaCpp, QueueFullAndMessageTooLarge_Wrapper) {
  const auto producer = make_cpp_producer(
      {{"message.max.bytes", "1000"}, {"queue.buffering.max.messages", "1"}, {"linger.ms", "60000"}});
  std::string large(2000, 'x');
  EXPECT_EQ(kafka::produce(*producer, "orders", 0, RdKafka::Producer::RK_MSG_COPY, large.data(), large.size(),
                           "k", 1, 0, nullptr),
            RdKafka::ERR_MSG_SIZE_TOO_LARGE);
  ASSERT_EQ(produce_traced(*producer, "a"), RdKafka::ERR_NO_ERROR);
  EXPECT_EQ(produce_traced(*producer, "b"), RdKafka::ERR__QUEUE_FULL);
  ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  EXPECT_EQ(brief(), R"(
send orders CLIENT
  status ERROR
  error.type = MESSAGE_TOO_LARGE
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = k
send orders CLIENT
  status ERROR
  error.type = _QUEUE_FULL
  messaging.kafka.message.key = b
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
)");
}

// create() copies the configuration, which librdkafka's interceptors do not survive by themselves.
TEST_F(KafkaCpp, TwoClientsFromOneConfigurationAreBothTraced) {
  const auto configured = conf();
  ASSERT_TRUE(kafka::instrument(*configured));
  for (int i = 0; i < 2; ++i) {
    std::string why;
    const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(configured.get(), why));
    ASSERT_NE(producer, nullptr) << why;
    ASSERT_EQ(produce_bare(*producer, "k"), RdKafka::ERR_NO_ERROR);
    ASSERT_EQ(producer->flush(10000), RdKafka::ERR_NO_ERROR);
  }
  EXPECT_EQ(recorder_->spans().size(), 2U);
}

TEST_F(KafkaCpp, ATopicConfigurationIsRefused) {
  const std::unique_ptr<RdKafka::Conf> topic(RdKafka::Conf::create(RdKafka::Conf::CONF_TOPIC));
  EXPECT_FALSE(kafka::instrument(*topic));
}

TEST_F(KafkaCpp, ATimeoutIsLibrdkafkasOwnMessage) {
  {
    const auto consumer = make_cpp_consumer();
    const auto message = kafka::consume(*consumer, 10ms);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->err(), RdKafka::ERR__TIMED_OUT);
    const auto processing = kafka::process(message);
    EXPECT_TRUE(kafka::consume_batch(*consumer, 5, 10ms).empty());
  }
  EXPECT_EQ(tree(), "\n");
}

}  // namespace
}  // namespace midtrace::test
