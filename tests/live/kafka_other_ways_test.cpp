// The other ways of librdkafka to hand out messages and reports: callbacks, events, the simple consumer, and
// message callbacks of the C++ API. What interceptors see of them is the same, and process() takes a message
// that is only borrowed.

#include <librdkafka/rdkafkacpp.h>

#include <thread>

#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

class KafkaOtherWays : public KafkaFixture {
 protected:
  void send(int count) {
    const Client producer = make_producer();
    produce_from_own_traces(producer.get(), std::vector<Sent>(static_cast<std::size_t>(count)));
  }
  // For the simple consumer, which has no group and no assignment.
  Client make_simple_consumer() {
    rd_kafka_conf_t* conf = configuration({{"client.id", "fulfilment"}, {"fetch.wait.max.ms", "20"}});
    EXPECT_TRUE(kafka::instrument(conf));
    return create(RD_KAFKA_CONSUMER, conf);
  }
  static void work_on(const rd_kafka_message_t* message) {
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  struct DestroyTopic {
    void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  };
  using Topic = std::unique_ptr<rd_kafka_topic_t, DestroyTopic>;
  struct DestroyQueue {
    void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  };
  using Queue = std::unique_ptr<rd_kafka_queue_t, DestroyQueue>;
  struct DestroyEvent {
    void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  };
  using Event = std::unique_ptr<rd_kafka_event_t, DestroyEvent>;

  // The next event that holds messages.
  static Event next_event(rd_kafka_queue_t* queue, rd_kafka_event_type_t type) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      Event event(rd_kafka_queue_poll(queue, 100));
      if (event != nullptr && rd_kafka_event_type(event.get()) == type &&
          rd_kafka_event_message_count(event.get()) > 0)
        return event;
    }
    ADD_FAILURE() << "no event came within 10 s";
    return nullptr;
  }
};

// Each message: a poll span of its own, and its work below the send.
constexpr std::string_view two_messages_tree = R"(
poll orders CLIENT
  link -> send orders
poll orders CLIENT
  link -> send orders
send orders PRODUCER
  process orders CONSUMER
    link -> send orders
    ship INTERNAL
send orders PRODUCER
  process orders CONSUMER
    link -> send orders
    ship INTERNAL
)";

struct Handled {
  int messages = 0;
};

TEST_F(KafkaOtherWays, ConsumeCallbackOfTheSimpleConsumer) {
  send(2);
  {
    const Client consumer = make_simple_consumer();
    const Topic topic(rd_kafka_topic_new(consumer.get(), "orders", nullptr));
    ASSERT_EQ(rd_kafka_consume_start(topic.get(), 0, RD_KAFKA_OFFSET_BEGINNING), 0);
    Handled handled;
    for (int attempt = 0; attempt < 100 && handled.messages < 2; ++attempt) {
      rd_kafka_consume_callback(
          topic.get(), 0, 100,
          [](rd_kafka_message_t* message, void* opaque) {
            if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return;
            work_on(message);
            ++static_cast<Handled*>(opaque)->messages;
          },
          &handled);
    }
    EXPECT_EQ(handled.messages, 2);
    rd_kafka_consume_stop(topic.get(), 0);
  }
  EXPECT_EQ(tree({.attributes = false}), two_messages_tree);
}

TEST_F(KafkaOtherWays, ConsumeCallbackOfAQueue) {
  send(2);
  {
    const Client consumer = make_consumer();
    const Queue queue(rd_kafka_queue_get_consumer(consumer.get()));
    Handled handled;
    for (int attempt = 0; attempt < 100 && handled.messages < 2; ++attempt) {
      rd_kafka_consume_callback_queue(
          queue.get(), 100,
          [](rd_kafka_message_t* message, void* opaque) {
            if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return;
            work_on(message);
            ++static_cast<Handled*>(opaque)->messages;
          },
          &handled);
    }
    EXPECT_EQ(handled.messages, 2);
  }
  EXPECT_EQ(tree({.attributes = false}), two_messages_tree);
}

TEST_F(KafkaOtherWays, TheSimpleConsumerHandsMessagesOut) {
  send(2);
  {
    const Client consumer = make_simple_consumer();
    const Topic topic(rd_kafka_topic_new(consumer.get(), "orders", nullptr));
    ASSERT_EQ(rd_kafka_consume_start(topic.get(), 0, RD_KAFKA_OFFSET_BEGINNING), 0);
    for (int received = 0, attempt = 0; received < 2 && attempt < 100; ++attempt) {
      const OwnedMessage message(rd_kafka_consume(topic.get(), 0, 100));
      if (message == nullptr || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      ++received;
      work_on(message.get());
    }
    rd_kafka_consume_stop(topic.get(), 0);
  }
  EXPECT_EQ(tree({.attributes = false}), two_messages_tree);
}

TEST_F(KafkaOtherWays, FetchEvents) {
  send(2);
  {
    const Client consumer = make_consumer();
    const Queue queue(rd_kafka_queue_get_consumer(consumer.get()));
    for (int received = 0; received < 2;) {
      const Event event = next_event(queue.get(), RD_KAFKA_EVENT_FETCH);
      ASSERT_NE(event, nullptr);
      while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get())) {
        ++received;
        work_on(message);
      }
    }
  }
  EXPECT_EQ(tree({.attributes = false}), two_messages_tree);
}

TEST_F(KafkaOtherWays, FetchEventsAsAnArray) {
  send(2);
  {
    const Client consumer = make_consumer();
    const Queue queue(rd_kafka_queue_get_consumer(consumer.get()));
    for (int received = 0; received < 2;) {
      const Event event = next_event(queue.get(), RD_KAFKA_EVENT_FETCH);
      ASSERT_NE(event, nullptr);
      const rd_kafka_message_t* messages[10];
      const std::size_t count = rd_kafka_event_message_array(event.get(), messages, 10);
      ASSERT_GT(count, 0U);
      for (std::size_t index = 0; index < count; ++index, ++received)
        work_on(messages[index]);
    }
  }
  EXPECT_EQ(tree({.attributes = false}), two_messages_tree);
}

// A client that midtrace does not know has no poll spans here, and the work is told whose message it is.
TEST_F(KafkaOtherWays, FetchEventsOfAConsumerThatIsNotInstrumented) {
  send(1);
  {
    const Client consumer = make_bare_consumer();
    const Queue queue(rd_kafka_queue_get_consumer(consumer.get()));
    const Event event = next_event(queue.get(), RD_KAFKA_EVENT_FETCH);
    ASSERT_NE(event, nullptr);
    const auto processing = kafka::process(consumer.get(), rd_kafka_event_message_next(event.get()));
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
send orders PRODUCER
  process orders CONSUMER
    link -> send orders
)");
}

TEST_F(KafkaOtherWays, DeliveryReportEventsEndTheSends) {
  {
    rd_kafka_conf_t* conf = configuration({{"client.id", "checkout"}});
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    EXPECT_TRUE(kafka::instrument(conf));
    const Client producer = create(RD_KAFKA_PRODUCER, conf);
    EXPECT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(produce(producer.get(), {.partition = 7}), RD_KAFKA_RESP_ERR_NO_ERROR);
    const Queue queue(rd_kafka_queue_get_main(producer.get()));
    for (std::size_t reports = 0; reports < 2;) {
      const Event event = next_event(queue.get(), RD_KAFKA_EVENT_DR);
      ASSERT_NE(event, nullptr);
      reports += rd_kafka_event_message_count(event.get());
    }
  }
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
send orders PRODUCER
  status ERROR
  error.type = _UNKNOWN_PARTITION
  messaging.destination.partition.id = 7
)");
}

class Worker : public RdKafka::ConsumeCb {
 public:
  void consume_cb(RdKafka::Message& message, void*) override {
    if (message.err() != RdKafka::ERR_NO_ERROR) return;
    ++messages;
    const auto processing = kafka::process(message);
    const Span work = Tracer::get("test").start("ship");
  }
  int messages = 0;
};

TEST_F(KafkaOtherWays, ConsumeCallbackOfTheCppSimpleConsumer) {
  send(2);
  {
    const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string why;
    ASSERT_EQ(conf->set("bootstrap.servers", cluster_->bootstrap_servers(), why), RdKafka::Conf::CONF_OK);
    ASSERT_TRUE(kafka::instrument(*conf));
    const std::unique_ptr<RdKafka::Consumer> consumer(RdKafka::Consumer::create(conf.get(), why));
    ASSERT_NE(consumer, nullptr) << why;
    const std::unique_ptr<RdKafka::Topic> topic(
        RdKafka::Topic::create(consumer.get(), "orders", nullptr, why));
    ASSERT_EQ(consumer->start(topic.get(), 0, RdKafka::Topic::OFFSET_BEGINNING), RdKafka::ERR_NO_ERROR);
    Worker worker;
    for (int attempt = 0; attempt < 100 && worker.messages < 2; ++attempt)
      consumer->consume_callback(topic.get(), 0, 100, &worker, nullptr);
    EXPECT_EQ(worker.messages, 2);
    consumer->stop(topic.get(), 0);
  }
  EXPECT_EQ(tree({.attributes = false}), two_messages_tree);
}

}  // namespace
}  // namespace midtrace::test
