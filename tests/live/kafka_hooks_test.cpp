// Options::on_start and on_finish: which spans and messages they are told about, what they may do, and that
// what they throw reaches nobody.

#include "live/kafka_fixture.h"

#include <mutex>
#include <stdexcept>
#include <thread>

namespace midtrace::test {
namespace {

using Calls = std::vector<std::string>;

class KafkaHooks : public KafkaFixture {
 protected:
  // Hooks that write down what they are told: operation, topic, and the keys of the messages.
  kafka::Options hooked() {
    kafka::Options options;
    options.on_start = [this](Span&, const kafka::Call& call) { write_down("start", call); };
    options.on_finish = [this](Span&, const kafka::Call& call) { write_down("finish", call); };
    return options;
  }
  void write_down(std::string_view which, const kafka::Call& call) {
    static constexpr std::string_view operations[] = {"send", "poll", "process"};
    std::string text(which);
    text.append(" ").append(operations[static_cast<std::size_t>(call.operation)]);
    text.append(" '").append(call.topic).append("':");
    for (const rd_kafka_message_t* message : call.messages)
      text.append(" ").append(static_cast<const char*>(message->key), message->key_len);
    const std::lock_guard guard(mutex_);
    calls_.push_back(std::move(text));
  }
  // Delivery reports come on librdkafka's threads.
  Calls calls() {
    const std::lock_guard guard(mutex_);
    return calls_;
  }

  void send(const std::vector<Sent>& messages) {
    const Client producer = make_producer();
    produce_from_own_traces(producer.get(), messages);
  }

 private:
  std::mutex mutex_;
  Calls calls_;
};

TEST_F(KafkaHooks, OfSendsSeeTheMessage_Interceptors) {
  {
    const Client producer = make_producer(hooked());
    ASSERT_EQ(produce(producer.get(), {.key = "a"}), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  EXPECT_EQ(calls(), (Calls{"start send 'orders': a", "finish send 'orders': a"}));
}

TEST_F(KafkaHooks, OfARefusedSendSeeItsMessage_Wrapper) {
  {
    const Client client = make_producer(hooked(), {{"message.max.bytes", "1000"}});
    std::string large(2000, 'x');
    EXPECT_EQ(kafka::Producer(client.get())
                  .producev(RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_VALUE(large.data(), large.size()),
                            RD_KAFKA_V_KEY("a", 1), RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  }
  EXPECT_EQ(calls(), (Calls{"start send 'orders': a", "finish send 'orders': a"}));
}

TEST_F(KafkaHooks, OfPollsSeeEachMessage_Interceptors) {
  send({{.key = "a"}, {.key = "b"}});
  {
    const Client consumer = make_consumer(hooked());
    poll(consumer.get());
    poll(consumer.get());
  }
  EXPECT_EQ(calls(), (Calls{"start poll 'orders': a", "finish poll 'orders': a", "start poll 'orders': b",
                            "finish poll 'orders': b"}));
}

TEST_F(KafkaHooks, OfPollsSeeTheMessage_Wrapper) {
  send({{.key = "a"}});
  {
    const Client consumer = make_consumer(hooked());
    ASSERT_TRUE(kafka::consume(consumer.get(), 10s));
  }
  EXPECT_EQ(calls(), (Calls{"start poll 'orders': a", "finish poll 'orders': a"}));
}

TEST_F(KafkaHooks, OfABatchSeeItsMessages_Wrapper) {
  send({{.key = "a"}, {.key = "b"}, {.key = "c"}});
  {
    const Client consumer = make_consumer(hooked());
    const kafka::Batch batch = consume_exactly(consumer.get(), 3);
    const auto processing = kafka::process(batch);
  }
  EXPECT_EQ(calls(), (Calls{"start poll 'orders': a b c", "finish poll 'orders': a b c",
                            "start process 'orders': a b c", "finish process 'orders':"}));
}

TEST_F(KafkaHooks, OfABatchOverSeveralTopicsAreToldNone_Wrapper) {
  ASSERT_TRUE(cluster_->create_topic("returns", 1));
  send({{.topic = "orders", .key = "x"}, {.topic = "returns", .key = "x"}});
  {
    const Client consumer = make_consumer(hooked(), {"orders", "returns"});
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);
    const auto processing = kafka::process(batch);
  }
  EXPECT_EQ(calls(), (Calls{"start poll '': x x", "finish poll '': x x", "start process '': x x",
                            "finish process '':"}));
}

TEST_F(KafkaHooks, AreNotToldOfEventsThatArriveAsMessages_Wrapper) {
  send({{.key = "a"}});
  rd_kafka_conf_t* conf = consumer_configuration();
  rd_kafka_conf_set(conf, "enable.partition.eof", "true", nullptr, 0);
  ASSERT_TRUE(kafka::instrument(conf, hooked()));
  {
    const Client consumer = assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);  // the message and the partition's end
    const auto processing = kafka::process(batch);
  }
  EXPECT_EQ(calls(), (Calls{"start poll 'orders': a", "finish poll 'orders': a", "start process 'orders': a",
                            "finish process 'orders':"}));
}

TEST_F(KafkaHooks, OfAnEmptyPollSeeNoMessage_Wrapper) {
  kafka::Options options = hooked();
  options.empty_polls = true;
  {
    const Client consumer = make_consumer(options);
    EXPECT_FALSE(kafka::consume(consumer.get(), 10ms));
  }
  EXPECT_EQ(calls(), (Calls{"start poll '':", "finish poll '':"}));
}

// When the work is done the application may have destroyed the message.
TEST_F(KafkaHooks, OfProcessSpansSeeTheMessageAtTheStartOnly_Interceptors) {
  send({{.key = "a"}});
  {
    kafka::Options options = hooked();
    options.poll_spans = kafka::PollSpans::off;
    const Client consumer = make_consumer(options);
    OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
    EXPECT_EQ(calls(), (Calls{"start process 'orders': a"}));
    message.reset();
  }
  EXPECT_EQ(calls(), (Calls{"start process 'orders': a", "finish process 'orders':"}));
}

TEST_F(KafkaHooks, OfADetachedProcessSpanRunWhereItEndsAndOnce_Wrapper) {
  send({{.key = "a"}});
  std::vector<std::thread::id> finished_on;
  std::thread::id worker_id;
  kafka::Options options;
  options.on_finish = [&](Span&, const kafka::Call& call) {
    if (call.operation == kafka::Operation::process) finished_on.push_back(std::this_thread::get_id());
  };
  {
    const Client consumer = make_consumer(options);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    kafka::ProcessSpan work = kafka::process(message).detach();
    EXPECT_TRUE(finished_on.empty());
    std::thread worker([work = std::move(work)]() mutable {
      work.end();
      work.end();
    });
    worker_id = worker.get_id();
    worker.join();
  }
  EXPECT_EQ(finished_on, std::vector<std::thread::id>{worker_id});
}

TEST_F(KafkaHooks, MaySetAttributesFromWhatTheMessageCarries) {
  kafka::Options options;
  options.on_start = [](Span& span, const kafka::Call& call) {
    span.set("app.tenant", values_of(headers_of(call.messages[0]), "tenant").at(0));
  };
  options.on_finish = [](Span& span, const kafka::Call&) { span.set("app.done", true); };
  {
    const Client producer = make_producer(options);
    ASSERT_EQ(produce(producer.get(), {.headers = {{"tenant", "blue"}}}), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_consumer(options);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(brief(), R"(
poll orders CLIENT
  app.done = true
  app.tenant = blue
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
send orders PRODUCER
  app.done = true
  app.tenant = blue
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  process orders CONSUMER
    app.done = true
    app.tenant = blue
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    link -> send orders
)");
}

class KafkaThrowingHooks : public KafkaHooks {
 protected:
  static kafka::Options throwing() {
    kafka::Options options;
    options.on_start = [](Span& span, const kafka::Call&) {
      span.set("app.before", true);
      throw std::runtime_error("from a hook");
    };
    options.on_finish = [](Span&, const kafka::Call&) { throw 7; };
    return options;
  }
  // Every span is there, whole, and both exceptions of each were counted and reported once.
  void expect_swallowed(const std::string& log) {
    EXPECT_EQ(tree({.without = {"messaging.system", "messaging.operation.name", "messaging.operation.type",
                                "messaging.client.id", "messaging.consumer.group.name", "server.address",
                                "messaging.destination.name", "messaging.destination.partition.id",
                                "messaging.kafka.cluster.id"}}),
              R"(
poll orders CLIENT
  app.before = true
  messaging.kafka.offset = 0
  server.port = PORT
  link -> send orders
send orders PRODUCER
  app.before = true
  messaging.kafka.offset = 0
  server.port = PORT
  process orders CONSUMER
    app.before = true
    messaging.kafka.offset = 0
    server.port = PORT
    link -> send orders
)");
    EXPECT_EQ(recorder_->counters()[Counter::hook_failures], 6U);
    const std::size_t first = log.find("hook threw");
    EXPECT_NE(first, std::string::npos) << log;
    EXPECT_EQ(log.find("hook threw", first + 1), std::string::npos) << log;
    EXPECT_EQ(log.find("from a hook"), std::string::npos) << "what the application threw may be secret";
  }
};

TEST_F(KafkaThrowingHooks, TheirExceptionsAreSwallowedCountedAndReported_Interceptors) {
  ::testing::internal::CaptureStderr();
  {
    const Client producer = make_producer(throwing());
    EXPECT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_consumer(throwing());
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
  }
  expect_swallowed(::testing::internal::GetCapturedStderr());
}

TEST_F(KafkaThrowingHooks, TheirExceptionsAreSwallowedCountedAndReported_Wrapper) {
  ::testing::internal::CaptureStderr();
  {
    const Client client = make_producer(throwing());
    char value[] = "order";
    EXPECT_EQ(kafka::Producer(client.get())
                  .producev(RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_VALUE(value, 5),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(client.get());
    const Client consumer = make_consumer(throwing());
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  expect_swallowed(::testing::internal::GetCapturedStderr());
}

TEST_F(KafkaHooks, AreNotCalledForWhatIsNotSampled) {
  start_recorder({.sampler = always_off_sampler()});
  {
    const Client producer = make_producer(hooked());
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_consumer(hooked());
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(calls(), Calls{});
}

TEST_F(KafkaHooks, AreNotCalledWhereContextsOnlyTravel) {
  kafka::Options options = hooked();
  options.mode = ModuleMode::propagate;
  {
    const Client producer = make_producer(options);
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_consumer(options);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(calls(), Calls{});
}

}  // namespace
}  // namespace midtrace::test
