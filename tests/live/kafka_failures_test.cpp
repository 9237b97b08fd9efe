// Messages that are not delivered: the error on the send span, and an application that keeps what it had.

#include "live/kafka_fixture.h"

#include <cerrno>
#include <cstdlib>
#include <future>
#include <set>

#include "unit/trace/test_exporters.h"

namespace midtrace::test {
namespace {

class KafkaFailures : public KafkaFixture {
 protected:
  static int drain_reports(rd_kafka_t* producer) {
    for (int attempt = 0; attempt < 100 && rd_kafka_outq_len(producer) > 0; ++attempt)
      rd_kafka_poll(producer, 100);
    return rd_kafka_outq_len(producer);
  }
  static rd_kafka_resp_err_t produce_by_wrapper(rd_kafka_t* client, const Sent& sent = {}) {
    const std::size_t key_length = sent.key != nullptr ? 1 : 0;
    return kafka::Producer(client).producev(
        RD_KAFKA_V_TOPIC(sent.topic.c_str()), RD_KAFKA_V_PARTITION(sent.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(const_cast<char*>(sent.value), 5),
        RD_KAFKA_V_KEY(sent.key, key_length), RD_KAFKA_V_END);
  }
};

constexpr std::string_view unknown_topic_tree = R"(
send nowhere PRODUCER
  status ERROR
  error.type = UNKNOWN_TOPIC_OR_PARTITION
  messaging.client.id = checkout
  messaging.destination.name = nowhere
  messaging.operation.name = send
  messaging.operation.type = send
  messaging.system = kafka
  server.address = 127.0.0.1
  server.port = PORT
)";

TEST_F(KafkaFailures, UnknownTopic_Interceptors) {
  cluster_->set_topic_error("nowhere", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  const Client producer = make_producer();
  ASSERT_EQ(produce(producer.get(), {.topic = "nowhere"}), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(drain_reports(producer.get()), 0);
  EXPECT_EQ(tree(), unknown_topic_tree);
}

TEST_F(KafkaFailures, UnknownTopic_Wrapper) {
  cluster_->set_topic_error("nowhere", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  const Client producer = make_producer();
  ASSERT_EQ(produce_by_wrapper(producer.get(), {.topic = "nowhere"}), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(drain_reports(producer.get()), 0);
  EXPECT_EQ(tree(), unknown_topic_tree);
  // Known by now, the topic is refused inside the call: still one span for one message.
  recorder_->clear();
  ASSERT_EQ(produce_by_wrapper(producer.get(), {.topic = "nowhere"}), RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC);
  EXPECT_EQ(brief(), R"(
send nowhere PRODUCER
  status ERROR
  error.type = _UNKNOWN_TOPIC
)");
}

TEST_F(KafkaFailures, ABrokersErrorHasTheProtocolsName) {
  const Client producer = make_producer({}, {{"retries", "0"}});
  cluster_->fail_next_produce({RD_KAFKA_RESP_ERR_INVALID_MSG});
  ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(drain_reports(producer.get()), 0);
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  status ERROR
  error.type = CORRUPT_MESSAGE
  messaging.destination.partition.id = 0
)");
}

constexpr std::string_view timed_out_tree = R"(
send orders PRODUCER
  status ERROR
  error.type = _MSG_TIMED_OUT
  messaging.destination.partition.id = 0
)";

TEST_F(KafkaFailures, ABrokerThatGoesAwayAndStaysAwayEndsTheSpanAtItsTimeout_Interceptors) {
  const Client producer = make_producer({}, {{"message.timeout.ms", "1500"}});
  learn_topic(producer.get(), "orders");  // which the timeout would include
  ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  recorder_->clear();
  ASSERT_TRUE(cluster_->set_broker_down(1));
  ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(drain_reports(producer.get()), 0);
  EXPECT_EQ(brief(), timed_out_tree);
}

TEST_F(KafkaFailures, ABrokerThatGoesAwayAndStaysAwayEndsTheSpanAtItsTimeout_Wrapper) {
  const Client producer = make_producer({}, {{"message.timeout.ms", "1500"}});
  learn_topic(producer.get(), "orders");  // which the timeout would include
  ASSERT_EQ(produce_by_wrapper(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  recorder_->clear();
  ASSERT_TRUE(cluster_->set_broker_down(1));
  ASSERT_EQ(produce_by_wrapper(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(drain_reports(producer.get()), 0);
  EXPECT_EQ(brief(), timed_out_tree);
}

// What librdkafka repeats by itself is one message and one send.
TEST_F(KafkaFailures, AConnectionThatBreaksInTheMiddleOfARequestIsOneSpanWithoutAnError) {
  const Client producer = make_producer({}, {{"retry.backoff.ms", "10"}, {"reconnect.backoff.ms", "10"}});
  cluster_->fail_next_produce({RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TRANSPORT});
  ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
)");
}

TEST_F(KafkaFailures, AConsumerWhoseBrokerGoesAwayMakesNoSpans) {
  {
    rd_kafka_conf_t* conf = consumer_configuration();
    ASSERT_EQ(rd_kafka_conf_set(conf, "enable.partition.eof", "true", nullptr, 0), RD_KAFKA_CONF_OK);
    ASSERT_TRUE(kafka::instrument(conf));
    const Client consumer = assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
    std::set<rd_kafka_resp_err_t> errors;
    const auto consume = [&](std::chrono::milliseconds timeout) {
      const kafka::Message message = kafka::consume(consumer.get(), timeout);
      if (!message) return;
      errors.insert(message->err);
      const auto processing = kafka::process(message);
    };
    const auto consume_until = [&](rd_kafka_resp_err_t error) {
      const auto deadline = std::chrono::steady_clock::now() + 20s;
      while (!errors.contains(error) && std::chrono::steady_clock::now() < deadline)
        consume(100ms);
      EXPECT_TRUE(errors.contains(error)) << rd_kafka_err2name(error) << " did not come";
    };
    consume_until(RD_KAFKA_RESP_ERR__PARTITION_EOF);
    cluster_->fail_next(KafkaRequest::kFetch, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    consume_until(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    ASSERT_TRUE(cluster_->set_broker_down(1));
    for (int i = 0; i < 10; ++i)
      consume(50ms);
    EXPECT_FALSE(errors.contains(RD_KAFKA_RESP_ERR_NO_ERROR)) << "nothing was sent";
  }
  EXPECT_EQ(brief(), "\n");
}

constexpr std::string_view unknown_partition_tree = R"(
send orders PRODUCER
  status ERROR
  error.type = _UNKNOWN_PARTITION
  messaging.destination.partition.id = 7
  messaging.kafka.message.key = k
)";

TEST_F(KafkaFailures, UnknownPartition_Interceptors) {
  const Client producer = make_producer();
  learn_topic(producer.get(), "orders");
  EXPECT_EQ(produce(producer.get(), {.key = "k", .partition = 7}), RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
  EXPECT_EQ(brief(), unknown_partition_tree);
}

TEST_F(KafkaFailures, UnknownPartition_Wrapper) {
  const Client producer = make_producer();
  learn_topic(producer.get(), "orders");
  EXPECT_EQ(produce_by_wrapper(producer.get(), {.key = "k", .partition = 7}),
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
  EXPECT_EQ(brief(), unknown_partition_tree);
}

// Only the wrapper can see what librdkafka refuses before its interceptors are called.
TEST_F(KafkaFailures, QueueFull_Interceptors) {
  const Client producer = make_producer({}, {{"queue.buffering.max.messages", "1"}, {"linger.ms", "60000"}});
  ASSERT_EQ(produce(producer.get(), {.key = "a"}), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(produce(producer.get(), {.key = "b"}), RD_KAFKA_RESP_ERR__QUEUE_FULL);
  deliver(producer.get());
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
)");
}

TEST_F(KafkaFailures, QueueFull_Wrapper) {
  const Client producer = make_producer({}, {{"queue.buffering.max.messages", "1"}, {"linger.ms", "60000"}});
  ASSERT_EQ(produce_by_wrapper(producer.get(), {.key = "a"}), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(produce_by_wrapper(producer.get(), {.key = "b", .partition = 0}), RD_KAFKA_RESP_ERR__QUEUE_FULL);
  deliver(producer.get());
  EXPECT_EQ(brief(), R"(
send orders CLIENT
  status ERROR
  error.type = _QUEUE_FULL
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = b
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
)");
}

TEST_F(KafkaFailures, MessageTooLarge_Interceptors) {
  const Client producer = make_producer({}, {{"message.max.bytes", "1000"}});
  const std::string large(2000, 'x');
  EXPECT_EQ(produce(producer.get(), {.value = large.c_str()}), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaFailures, MessageTooLarge_Wrapper) {
  const Client client = make_producer({}, {{"message.max.bytes", "1000"}});
  const kafka::Producer producer(client.get());
  std::string large(2000, 'x');
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client.get(), "orders", nullptr);
  errno = 0;
  EXPECT_EQ(producer.produce(topic, 0, RD_KAFKA_MSG_F_COPY, large.data(), large.size(), "k", 1, nullptr), -1);
  EXPECT_EQ(errno, EMSGSIZE);
  EXPECT_EQ(rd_kafka_last_error(), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  EXPECT_EQ(brief(), R"(
send orders CLIENT
  status ERROR
  error.type = MESSAGE_TOO_LARGE
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = k
)");
  rd_kafka_topic_destroy(topic);
}

TEST_F(KafkaFailures, AFailedSpanOfTheWrapperBeganBeforeTheCallAndIsTheCallersChild) {
  const Client client = make_producer({}, {{"message.max.bytes", "1000"}});
  std::string large(2000, 'x');
  const rd_kafka_vu_t arguments[] = {
      {.vtype = RD_KAFKA_VTYPE_TOPIC, .u = {.cstr = "orders"}},
      {.vtype = RD_KAFKA_VTYPE_VALUE, .u = {.mem = {large.data(), large.size()}}},
  };
  {
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    rd_kafka_error_t* error = kafka::Producer(client.get()).produceva(arguments, 2);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(rd_kafka_error_code(error), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    rd_kafka_error_destroy(error);
  }
  EXPECT_EQ(brief(), R"(
checkout INTERNAL
  send orders CLIENT
    status ERROR
    error.type = MESSAGE_TOO_LARGE
)");
}

// produce_batch() reports per message what happened to each; so does the wrapper.
TEST_F(KafkaFailures, ABatchThatFailsInPartHasOneSpanForEachMessage_Wrapper) {
  const Client client = make_producer({}, {{"message.max.bytes", "1000"}});
  learn_topic(client.get(), "orders");
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client.get(), "orders", nullptr);
  std::string fits = "fits";
  std::string large(2000, 'x');
  const char* keys = "abcde";
  rd_kafka_message_t messages[5]{};
  for (int i = 0; i < 5; ++i) {
    messages[i].payload = (i == 1 ? large : fits).data();
    messages[i].len = (i == 1 ? large : fits).size();
    messages[i].key = const_cast<char*>(keys + i);
    messages[i].key_len = 1;
    messages[i].partition = i == 3 ? 9 : 0;
  }
  int good = 0;
  {
    const LeakAllowed leak;
    good = kafka::Producer(client.get())
               .produce_batch(topic, 0, RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_PARTITION, messages, 5);
  }
  EXPECT_EQ(good, 3);
  EXPECT_EQ(messages[1].err, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  EXPECT_EQ(messages[3].err, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
  // librdkafka never forgets the message with the bad partition, so flush() would wait for it.
  while (rd_kafka_outq_len(client.get()) > 1)
    rd_kafka_poll(client.get(), 10);
  rd_kafka_topic_destroy(topic);
  EXPECT_EQ(brief(), R"(
send orders CLIENT
  status ERROR
  error.type = MESSAGE_TOO_LARGE
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = b
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = c
  messaging.kafka.offset = 1
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = e
  messaging.kafka.offset = 2
send orders PRODUCER
  status ERROR
  error.type = _UNKNOWN_PARTITION
  messaging.destination.partition.id = 9
  messaging.kafka.message.key = d
)");
}

TEST_F(KafkaFailures, PurgedMessagesEndTheirSpans_Interceptors) {
  const Client producer = make_producer({}, {{"linger.ms", "60000"}});
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(rd_kafka_purge(producer.get(), RD_KAFKA_PURGE_F_QUEUE), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_flush(producer.get(), 1000);
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 3U);
  for (const testing::OwnedSpan& span : spans)
    EXPECT_EQ(span.attribute("error.type"), "_PURGE_QUEUE");
}

TEST_F(KafkaFailures, PurgedMessagesEndTheirSpans_Wrapper) {
  const Client client = make_producer({}, {{"linger.ms", "60000"}});
  const kafka::Producer producer(client.get());
  ASSERT_EQ(produce_by_wrapper(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(producer.purge(RD_KAFKA_PURGE_F_QUEUE), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(producer.flush(10000), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  status ERROR
  error.type = _PURGE_QUEUE
)");
  EXPECT_EQ(producer.purge(1 << 20), RD_KAFKA_RESP_ERR__INVALID_ARG) << "the answer is librdkafka's";
}

// The message is with the broker, which answers late: a flush that gives up leaves the span open, and a purge
// ends it.
TEST_F(KafkaFailures, AMessageThatIsPurgedInFlightEndsItsSpan) {
  const Client client = make_producer();
  const kafka::Producer producer(client.get());
  learn_topic(client.get(), "orders");
  ASSERT_TRUE(cluster_->set_round_trip(1, 5s));
  ASSERT_EQ(produce_by_wrapper(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  // Messages leave the queue without a sign, so that is tried until it has happened.
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (recorder_->spans().empty() && std::chrono::steady_clock::now() < deadline) {
    EXPECT_EQ(producer.flush(50), RD_KAFKA_RESP_ERR__TIMED_OUT);
    EXPECT_EQ(producer.purge(RD_KAFKA_PURGE_F_INFLIGHT), RD_KAFKA_RESP_ERR_NO_ERROR);
    producer.poll(50);
  }
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  status ERROR
  error.type = _PURGE_INFLIGHT
  messaging.destination.partition.id = 0
)");
}

TEST_F(KafkaFailures, AFlushThatTimesOutChangesNothingAndTheSpansEndLater) {
  const Client client = make_producer();
  const kafka::Producer producer(client.get());
  learn_topic(client.get(), "orders");
  ASSERT_TRUE(cluster_->set_round_trip(1, 3s));
  ASSERT_EQ(produce_by_wrapper(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(producer.flush(10), RD_KAFKA_RESP_ERR__TIMED_OUT);
  EXPECT_EQ(tree(), "\n");
  EXPECT_EQ(producer.flush(20000), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
)");
}

TEST_F(KafkaFailures, ProducerCloseWithMessagesInFlight_Interceptors) {
  {
    const Client producer = make_producer({}, {{"bootstrap.servers", "127.0.0.1:1"}});
    for (int i = 0; i < 3; ++i)
      ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_TRUE(recorder_->spans().empty());
  }
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 3U);
  for (const testing::OwnedSpan& span : spans)
    EXPECT_EQ(span.attribute("error.type"), "_DESTROY");
}

TEST_F(KafkaFailures, ProducerCloseWithMessagesInFlight_Wrapper) {
  {
    const Client client = make_producer({}, {{"bootstrap.servers", "127.0.0.1:1"}});
    for (int i = 0; i < 3; ++i)
      ASSERT_EQ(produce_by_wrapper(client.get(), {}), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(kafka::Producer(client.get()).flush(10), RD_KAFKA_RESP_ERR__TIMED_OUT);
  }
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 3U);
  for (const testing::OwnedSpan& span : spans)
    EXPECT_EQ(span.attribute("error.type"), "_DESTROY");
}

TEST_F(KafkaFailures, SpansThatEndAtEnqueueDoNotWaitForTheBroker) {
  const Client producer =
      make_producer({.end_send_at = kafka::SendEnd::enqueue}, {{"bootstrap.servers", "127.0.0.1:1"}});
  ASSERT_EQ(produce(producer.get(), {.key = "k", .partition = 3}), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  messaging.destination.partition.id = 3
  messaging.kafka.message.key = k
)");
}

TEST_F(KafkaFailures, AProducerThatIsNotInstrumentedIsPassedThrough) {
  const Client producer = make_bare_producer();
  EXPECT_EQ(produce_by_wrapper(producer.get(), {}), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  EXPECT_EQ(tree(), "\n");
}

// Modes and opt-ins.
TEST_F(KafkaFailures, SwitchedOffTheModuleTouchesNothing) {
  const Span ambient = start_span("checkout");
  const Scope scope = ambient.activate();
  {
    const Client producer = make_producer({.mode = ModuleMode::off});
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_bare_consumer();
    const OwnedMessage message = poll(consumer.get());
    EXPECT_TRUE(headers_of(message.get()).empty());
    const Client silent = make_consumer({.mode = ModuleMode::off});
    const kafka::Message received = kafka::consume(silent.get(), 10s);
    ASSERT_TRUE(received);
    const auto processing = kafka::process(received);
    EXPECT_EQ(Context::current().span.span_id, ambient.context().span_id);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaFailures, InPropagateModeContextsTravelWithoutSpans) {
  const SpanContext checkout = start_span("checkout").context();
  {
    Context context;
    context.span = checkout;
    const Scope scope(context);
    const Client producer = make_producer({.mode = ModuleMode::propagate});
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  {
    const Client consumer = make_consumer({.mode = ModuleMode::propagate});
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    EXPECT_EQ(values_of(headers_of(message.get()), "traceparent"),
              std::vector<std::string>{traceparent(checkout)});
    const auto processing = kafka::process(message);
    EXPECT_EQ(Context::current().span.span_id, checkout.span_id);
  }
  EXPECT_EQ(tree({.attributes = false}), "\ncheckout INTERNAL\n");
}

TEST_F(KafkaFailures, UnderASuppressedContextNothingIsTraced) {
  const Scope scope(suppressed({}));
  {
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    EXPECT_TRUE(headers_of(message.get()).empty());
    const auto processing = kafka::process(message);
    EXPECT_TRUE(Context::current().suppressed);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaFailures, TheDupOptInAddsTheOldNames) {
  ASSERT_EQ(setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http, messaging/dup", 1), 0);
  {
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  unsetenv("OTEL_SEMCONV_STABILITY_OPT_IN");
  EXPECT_EQ(tree(), R"(
poll orders CLIENT
  messaging.client.id = fulfilment
  messaging.client_id = fulfilment
  messaging.consumer.group.name = workers
  messaging.destination.name = orders
  messaging.destination.partition.id = 0
  messaging.kafka.consumer.group = workers
  messaging.kafka.destination.partition = 0
  messaging.kafka.message.offset = 0
  messaging.kafka.offset = 0
  messaging.operation = receive
  messaging.operation.name = poll
  messaging.operation.type = receive
  messaging.system = kafka
  server.address = 127.0.0.1
  server.port = PORT
  link -> send orders
send orders PRODUCER
  messaging.client.id = checkout
  messaging.client_id = checkout
  messaging.destination.name = orders
  messaging.destination.partition.id = 0
  messaging.kafka.destination.partition = 0
  messaging.kafka.message.offset = 0
  messaging.kafka.offset = 0
  messaging.operation = publish
  messaging.operation.name = send
  messaging.operation.type = send
  messaging.system = kafka
  server.address = 127.0.0.1
  server.port = PORT
  process orders CONSUMER
    messaging.client.id = fulfilment
    messaging.client_id = fulfilment
    messaging.consumer.group.name = workers
    messaging.destination.name = orders
    messaging.destination.partition.id = 0
    messaging.kafka.consumer.group = workers
    messaging.kafka.destination.partition = 0
    messaging.kafka.message.offset = 0
    messaging.kafka.offset = 0
    messaging.operation = process
    messaging.operation.name = process
    messaging.operation.type = process
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
    link -> send orders
)");
}

// What the messages of a batch do not have in common is on its links, under both names.
TEST_F(KafkaFailures, TheDupOptInAddsTheOldNamesToTheLinksOfABatch) {
  ASSERT_TRUE(cluster_->create_topic("stock", 2));
  ASSERT_EQ(setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "messaging/dup", 1), 0);
  {
    const Client producer = make_producer();
    learn_topic(producer.get(), "stock");
    for (const std::int32_t partition : {0, 1, 1})
      ASSERT_EQ(produce(producer.get(), {.topic = "stock", .partition = partition}),
                RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_consumer({.capture_queue_time = false}, {"stock"}, 2);
    const kafka::Batch batch = consume_exactly(consumer.get(), 3);
    const auto processing = kafka::process(batch);
  }
  unsetenv("OTEL_SEMCONV_STABILITY_OPT_IN");
  int fans_in = 0;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.kind == SpanKind::producer) continue;
    ++fans_in;
    std::vector<std::map<std::string, std::string>> links;  // which partition comes first is not known
    for (const testing::OwnedLink& link : span.links) {
      std::map<std::string, std::string>& attributes = links.emplace_back();
      for (const testing::OwnedAttribute& attribute : link.attributes)
        attributes[attribute.key] = attribute.text();
    }
    const auto at = [](const char* partition, const char* offset) {
      return std::map<std::string, std::string>{{"messaging.destination.partition.id", partition},
                                                {"messaging.kafka.destination.partition", partition},
                                                {"messaging.kafka.message.offset", offset},
                                                {"messaging.kafka.offset", offset}};
    };
    EXPECT_THAT(links, ::testing::UnorderedElementsAre(at("0", "0"), at("1", "0"), at("1", "1")))
        << span.name;
    for (const char* varying : {"messaging.kafka.destination.partition", "messaging.kafka.message.offset"})
      EXPECT_EQ(span.attribute(varying), "") << span.name << ": " << varying;
  }
  EXPECT_EQ(fans_in, 2) << "a poll and a process span";
}

TEST_F(KafkaFailures, TheClusterIdComesFromTheWrapperOnceItIsKnown) {
  {
    const Client client = make_producer();
    learn_topic(client.get(), "orders");
    const kafka::Producer producer(client.get());
    producer.poll(0);
    ASSERT_EQ(produce(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(client.get());
    char* known = rd_kafka_clusterid(client.get(), 0);
    ASSERT_NE(known, nullptr);
    ASSERT_EQ(recorder_->spans().size(), 1U);
    EXPECT_EQ(recorder_->spans()[0].attribute("messaging.kafka.cluster.id"), known);
    rd_kafka_mem_free(client.get(), known);
  }
}

TEST_F(KafkaFailures, KeysThatAreNoTextAndLargeOnesAreLeftOut) {
  const std::string large(1025, 'k');
  const char* const not_captured[] = {"\xFF\xFE", "tab\there", large.c_str(), "\xC2\x80"};
  {
    const Client producer = make_producer();
    for (const char* key : not_captured)
      ASSERT_EQ(produce(producer.get(), {.key = key}), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    EXPECT_EQ(span.attribute("messaging.kafka.message.key"), "") << span.attribute("messaging.kafka.offset");
  }
}

// Closing ends what is open, and flushes that for so long.
class KafkaClose : public KafkaFailures {
 protected:
  void TearDown() override {
    exporter_->open_gate();
    KafkaFailures::TearDown();
  }

  // Of a broker that is not there.
  Client make_producer_with_open_sends(std::chrono::milliseconds close_flush_timeout) {
    Client producer =
        make_producer({.close_flush_timeout = close_flush_timeout}, {{"bootstrap.servers", "127.0.0.1:1"}});
    for (std::size_t i = 0; i < open_sends; ++i)
      EXPECT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    return producer;
  }

  static constexpr std::size_t open_sends = 3;
  std::shared_ptr<midtrace_test::GatedExporter> exporter_ = std::make_shared<midtrace_test::GatedExporter>();
};

class KafkaCloseWithin : public KafkaClose,
                         public ::testing::WithParamInterface<std::chrono::milliseconds> {};

TEST_P(KafkaCloseWithin, WaitsForAnExporterThatIsStuckAsLongAsItMayAndReturns) {
  start_recorder({.more_exporters = {exporter_}});
  Client producer = make_producer_with_open_sends(GetParam());
  { const Span span = start_span("stuck"); }
  EXPECT_FALSE(recorder_->telemetry().flush(10ms));
  ASSERT_TRUE(exporter_->wait_until_entered());

  const auto before = std::chrono::steady_clock::now();
  auto closing = std::async(std::launch::async, [&] {
    producer.reset();
    return std::chrono::steady_clock::now() - before;
  });
  const bool closed = closing.wait_for(20s) == std::future_status::ready;
  EXPECT_EQ(exporter_->spans.load(), 0U);
  exporter_->open_gate();
  EXPECT_TRUE(closed) << "it waited for the exporter";
  EXPECT_GE(closing.get(), GetParam());
  EXPECT_EQ(recorder_->spans().size(), 1 + open_sends) << "what ended at the close is exported later";
}

INSTANTIATE_TEST_SUITE_P(, KafkaCloseWithin, ::testing::Values(0ms, 50ms, 700ms),
                         [](const auto& timeout) { return std::to_string(timeout.param.count()) + "ms"; });

TEST_F(KafkaClose, ExportsWhatItEndedBeforeItReturns) {
  exporter_->open_gate();
  start_recorder({.batch = {.schedule_delay = 1h}, .more_exporters = {exporter_}});
  make_producer_with_open_sends(20s);
  EXPECT_EQ(exporter_->spans.load(), open_sends);
}

TEST_F(KafkaClose, ExportsNothingInNoTime) {
  exporter_->open_gate();
  start_recorder({.batch = {.schedule_delay = 1h}, .more_exporters = {exporter_}});
  make_producer_with_open_sends(0ms);
  EXPECT_EQ(exporter_->spans.load(), 0U);
}

}  // namespace
}  // namespace midtrace::test
