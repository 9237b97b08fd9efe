// The span trees of the Kafka module by the C API, as golden text: one test per scenario and mode.
// "Interceptors" uses librdkafka's own calls on an instrumented client, "Wrapper" the module's.

#include "live/kafka_fixture.h"

#include <set>
#include <stdexcept>
#include <thread>

namespace midtrace::test {
namespace {

class KafkaTrees : public KafkaFixture {
 protected:
  // Two services in two steps: what `checkout` sends is delivered before `fulfilment` asks for it.
  void send(const std::vector<Sent>& messages = {{}}, kafka::Options options = {}) {
    const Client producer = make_producer(std::move(options));
    produce_from_own_traces(producer.get(), messages);
  }
  void send_untraced(const std::vector<Sent>& messages) {
    const Client producer = make_bare_producer();
    produce_from_own_traces(producer.get(), messages);
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
    ship INTERNAL
)";

TEST_F(KafkaTrees, Single_Interceptors) {
  send({{.key = "order-1"}});
  {
    const Client consumer = make_consumer();
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
    const Span work = start_span("ship");
  }
  EXPECT_EQ(tree(), single_tree);
}

TEST_F(KafkaTrees, Single_Wrapper) {
  {
    const Client client = make_producer();
    const kafka::Producer producer(client.get());
    char value[] = "order";
    EXPECT_EQ(producer.producev(RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_VALUE(value, 5),
                                RD_KAFKA_V_KEY("order-1", 7), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(producer.flush(10000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    EXPECT_EQ(std::string(static_cast<const char*>(message->payload), message->len), "order");
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  EXPECT_EQ(tree(), single_tree);
}

TEST_F(KafkaTrees, AConsumerThatIsNotInstrumentedIsTracedByTheWrapperAlone) {
  send({{.key = "order-1"}});
  {
    const Client consumer = make_bare_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  EXPECT_EQ(tree(), single_tree);
}

TEST_F(KafkaTrees, BatchOf3From3Traces_Interceptors) {
  send({{.key = "a"}, {.key = "b"}, {.key = "c"}});
  {
    const Client consumer = make_consumer();
    for (int i = 0; i < 3; ++i) {
      const OwnedMessage message = poll(consumer.get());
      const auto processing = kafka::process(consumer.get(), message.get());
    }
  }
  EXPECT_EQ(brief(), R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
  link -> send orders
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = b
  messaging.kafka.offset = 1
  link -> send orders
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = c
  messaging.kafka.offset = 2
  link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = a
    messaging.kafka.offset = 0
    link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = b
  messaging.kafka.offset = 1
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = b
    messaging.kafka.offset = 1
    link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = c
  messaging.kafka.offset = 2
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = c
    messaging.kafka.offset = 2
    link -> send orders
)");
}

TEST_F(KafkaTrees, BatchOf3From3Traces_Wrapper) {
  send({{.key = "a"}, {.key = "b"}, {.value = nullptr, .key = "c"}});
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_exactly(consumer.get(), 3);
    const auto processing = kafka::process(batch);
    const Span work = start_span("ship all");
  }
  EXPECT_EQ(brief(), R"(
poll orders CLIENT
  messaging.batch.message_count = 3
  messaging.destination.partition.id = 0
  link -> send orders {messaging.kafka.message.key = a, messaging.kafka.offset = 0}
  link -> send orders {messaging.kafka.message.key = b, messaging.kafka.offset = 1}
  link -> send orders {messaging.kafka.message.key = c, messaging.kafka.message.tombstone = true, messaging.kafka.offset = 2}
process orders CONSUMER
  messaging.batch.message_count = 3
  messaging.destination.partition.id = 0
  link -> send orders {messaging.kafka.message.key = a, messaging.kafka.offset = 0}
  link -> send orders {messaging.kafka.message.key = b, messaging.kafka.offset = 1}
  link -> send orders {messaging.kafka.message.key = c, messaging.kafka.message.tombstone = true, messaging.kafka.offset = 2}
  ship all INTERNAL
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
  messaging.kafka.message.tombstone = true
  messaging.kafka.offset = 2
)");
}

TEST_F(KafkaTrees, ABatchOverSeveralTopicsIsNamedAfterNone_Wrapper) {
  ASSERT_TRUE(cluster_->create_topic("returns", 1));
  send({{.topic = "orders", .key = "x"}, {.topic = "returns", .key = "x"}});
  {
    const Client consumer = make_consumer({}, {"orders", "returns"});
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);
    const auto processing = kafka::process(batch);
  }
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  for (const testing::OwnedSpan& span : spans) {
    if (span.kind == SpanKind::producer) continue;
    EXPECT_TRUE(span.name == "poll" || span.name == "process") << span.name;
    EXPECT_EQ(span.attribute("messaging.destination.name"), "");
    EXPECT_EQ(span.attribute("messaging.kafka.message.key"), "x") << "what all messages share is on the span";
    std::set<std::string> topics;
    for (const testing::OwnedLink& link : span.links) {
      for (const testing::OwnedAttribute& attribute : link.attributes) {
        if (attribute.key == "messaging.destination.name") topics.insert(attribute.text());
      }
    }
    EXPECT_EQ(topics, (std::set<std::string>{"orders", "returns"}));
  }
}

constexpr std::string_view ambient_tree = R"(
checkout INTERNAL
  send orders PRODUCER
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
worker INTERNAL
  poll orders CLIENT
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    link -> send orders
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    link -> send orders
)";

TEST_F(KafkaTrees, AmbientParent_Interceptors) {
  {
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    send();
  }
  {
    const Client consumer = make_consumer();
    const Span worker = start_span("worker");
    const Scope scope = worker.activate();
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
  }
  EXPECT_EQ(brief(), ambient_tree);
}

TEST_F(KafkaTrees, AmbientParent_Wrapper) {
  {
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    send();
  }
  {
    const Client consumer = make_consumer();
    const Span worker = start_span("worker");
    const Scope scope = worker.activate();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(brief(), ambient_tree);
}

TEST_F(KafkaTrees, AnOptionMakesTheMessageTheParentAndLinksTheAmbientSpan) {
  send();
  {
    const Client consumer = make_consumer({.relation = kafka::Relation::parent});
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const Span worker = start_span("worker");
    const Scope scope = worker.activate();
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(brief(), R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    link -> send orders
    link -> worker
worker INTERNAL
)");
}

TEST_F(KafkaTrees, AnOptionOnlyLinksTheMessage) {
  send();
  {
    const Client consumer =
        make_consumer({.relation = kafka::Relation::link, .poll_spans = kafka::PollSpans::off});
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
  }
  EXPECT_EQ(brief(), R"(
process orders CONSUMER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
)");
}

// What arrives from a trace that was not sampled is not sampled either, on both sides, but its context
// travels on.
class KafkaUnsampled : public KafkaTrees {
 protected:
  void SetUp() override { start_recorder({.sampler = parent_based_sampler({})}); }
  void send_unsampled() {
    Context unsampled;
    unsampled.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    const Scope scope(unsampled);
    send();
  }
  void expect_unsampled_child(const SpanContext& context) {
    EXPECT_EQ(context.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_TRUE(context.span_id.valid());
    EXPECT_NE(context.span_id.to_string(), "b7ad6b7169203331") << "the send has an id of its own";
    EXPECT_FALSE(context.sampled());
  }
};

TEST_F(KafkaUnsampled, UnsampledParent_Interceptors) {
  send_unsampled();
  {
    const Client consumer = make_consumer();
    const OwnedMessage message = poll(consumer.get());
    const std::vector<std::string> sent = values_of(headers_of(message.get()), "traceparent");
    ASSERT_EQ(sent.size(), 1U);
    expect_unsampled_child(parse_traceparent(sent[0]));
    const auto processing = kafka::process(message.get());
    expect_unsampled_child(Context::current().span);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaUnsampled, UnsampledParent_Wrapper) {
  send_unsampled();
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    expect_unsampled_child(message.creation_context().span);
    const auto processing = kafka::process(message);
    expect_unsampled_child(Context::current().span);
  }
  EXPECT_EQ(tree(), "\n");
}

constexpr std::string_view no_context_tree = R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
process orders CONSUMER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
)";

TEST_F(KafkaTrees, NoHeaders_Interceptors) {
  send_untraced({{}});
  {
    const Client consumer = make_consumer();
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
  }
  EXPECT_EQ(brief(), no_context_tree);
}

TEST_F(KafkaTrees, NoHeaders_Wrapper) {
  send_untraced({{}});
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(brief(), no_context_tree);
}

const HeaderList malformed{{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz"},
                           {"tracestate", "vendor=1"}};

TEST_F(KafkaTrees, MalformedTraceparent_Interceptors) {
  send_untraced({{.headers = malformed}});
  {
    const Client consumer = make_consumer();
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
  }
  EXPECT_EQ(brief(), no_context_tree);
  EXPECT_GE(recorder_->counters()[Counter::extract_malformed_traceparent], 1U);
}

TEST_F(KafkaTrees, MalformedTraceparent_Wrapper) {
  send_untraced({{.headers = malformed}});
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    EXPECT_FALSE(message.creation_context().span.valid());
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(brief(), no_context_tree);
  EXPECT_EQ(recorder_->counters()[Counter::extract_malformed_traceparent], 1U)
      << "extracted once, at receive time";
}

TEST_F(KafkaTrees, MalformedTraceparentInOutgoingHeadersIsReplaced) {
  send({{.headers = malformed}});
  {
    const Client consumer = make_bare_consumer();
    const OwnedMessage message = poll(consumer.get());
    const HeaderList headers = headers_of(message.get());
    const std::vector<std::string> sent = values_of(headers, "traceparent");
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0], traceparent(recorder_->spans().at(0).context));
    EXPECT_TRUE(values_of(headers, "tracestate").empty()) << "a tracestate must not outlive its traceparent";
  }
}

TEST_F(KafkaTrees, TheApplicationsOwnContextInTheHeadersIsKept) {
  const std::string own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  send({{.headers = {{"traceparent", own}}}});
  const Client consumer = make_bare_consumer();
  const OwnedMessage message = poll(consumer.get());
  EXPECT_EQ(headers_of(message.get()), (HeaderList{{"traceparent", own}}));
  EXPECT_EQ(brief(), R"(
send orders CLIENT
  parent (not here)
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> (not here)
)");
}

// Forwarding: the headers of a received message go out with the next one.
class KafkaForward : public KafkaTrees {
 protected:
  void SetUp() override {
    KafkaTrees::SetUp();
    ASSERT_TRUE(cluster_->create_topic("shipments", 1));
  }
  // With all its headers, as a forwarder does.
  static void forward(rd_kafka_t* producer, rd_kafka_message_t* message) {
    rd_kafka_headers_t* headers = nullptr;
    ASSERT_EQ(rd_kafka_message_detach_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_EQ(rd_kafka_producev(
                  producer, RD_KAFKA_V_TOPIC("shipments"), RD_KAFKA_V_VALUE(message->payload, message->len),
                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer);
  }
  void expect_one_fresh_traceparent() {
    const Client reader = make_bare_consumer({"shipments"});
    const OwnedMessage message = poll(reader.get());
    const HeaderList headers = headers_of(message.get());
    ASSERT_EQ(values_of(headers, "traceparent").size(), 1U);
    EXPECT_EQ(values_of(headers, "tenant"), std::vector<std::string>{"blue"});
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.name != "send shipments") continue;
      EXPECT_EQ(values_of(headers, "traceparent")[0], traceparent(span.context));
    }
  }
};

constexpr std::string_view forward_tree = R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    link -> send orders
    send shipments PRODUCER
      messaging.destination.partition.id = 0
      messaging.kafka.offset = 0
)";

TEST_F(KafkaForward, HeadersForwarded_Interceptors) {
  send({{.headers = {{"tenant", "blue"}}}});
  {
    const Client consumer = make_consumer();
    const Client producer = make_producer();
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
    forward(producer.get(), message.get());
  }
  expect_one_fresh_traceparent();
  EXPECT_EQ(brief(), forward_tree);
}

TEST_F(KafkaForward, HeadersForwarded_Wrapper) {
  send({{.headers = {{"tenant", "blue"}}}});
  {
    const Client consumer = make_consumer();
    const Client producer = make_producer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
    forward(producer.get(), message.get());
  }
  expect_one_fresh_traceparent();
  EXPECT_EQ(brief(), forward_tree);
}

TEST_F(KafkaForward, HeadersForwardedFromAnotherThreadAreRecognisedInItsScope) {
  send({{.headers = {{"tenant", "blue"}}}});
  {
    const Client consumer = make_consumer();
    const Client producer = make_producer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    kafka::ProcessSpan work = kafka::process(message).detach();
    std::thread([&, work = std::move(work)]() mutable {
      const auto active = work.activate();
      forward(producer.get(), message.get());
    }).join();
  }
  expect_one_fresh_traceparent();
  std::string expected(forward_tree);
  constexpr std::string_view before_its_child = "    link -> send orders\n    send shipments";
  expected.insert(expected.find(before_its_child), "    midtrace.process.ended_by = destroyed\n");
  EXPECT_EQ(brief(), expected);
}

TEST_F(KafkaForward, HeadersForwardedOfABatchAreRecognisedInItsScope) {
  send({{.key = "a", .headers = {{"tenant", "blue"}}}, {.key = "b"}});
  {
    const Client consumer = make_consumer();
    const Client producer = make_producer();
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);
    kafka::ProcessSpan work = kafka::process(batch).detach();
    std::thread([&, work = std::move(work)]() mutable {
      const auto active = work.activate();
      forward(producer.get(), batch[0].get());
    }).join();
  }
  expect_one_fresh_traceparent();
}

TEST_F(KafkaForward, WithoutAScopeTheForwardContinuesTheReceivedTrace) {
  send({{.headers = {{"tenant", "blue"}}}});
  {
    const Client consumer = make_consumer({.poll_spans = kafka::PollSpans::off});
    const Client producer = make_producer();
    const OwnedMessage message = poll(consumer.get());
    forward(producer.get(), message.get());
  }
  expect_one_fresh_traceparent();
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  send shipments PRODUCER
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    link -> send orders
)");
}

TEST_F(KafkaForward, AnOptionKeepsForwardedContexts) {
  send({{.headers = {{"tenant", "blue"}}}});
  std::string received;
  {
    const Client consumer = make_consumer();
    const Client producer = make_producer({.existing_context = kafka::ExistingContext::keep});
    const OwnedMessage message = poll(consumer.get());
    received = values_of(headers_of(message.get()), "traceparent").at(0);
    forward(producer.get(), message.get());
  }
  const Client reader = make_bare_consumer({"shipments"});
  const OwnedMessage message = poll(reader.get());
  EXPECT_EQ(values_of(headers_of(message.get()), "traceparent"), std::vector<std::string>{received});
}

TEST_F(KafkaTrees, ConsumerCloseWithMessagesInFlight_Interceptors) {
  send({{.key = "a"}, {.key = "b"}, {.key = "c"}});
  {
    const Client consumer = make_consumer();
    const OwnedMessage message = poll(consumer.get());  // two more are in librdkafka's queue
    auto processing = kafka::process(message.get());
    EXPECT_EQ(rd_kafka_consumer_close(consumer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    processing.set_error("cancelled");
  }
  EXPECT_EQ(brief(), R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
  link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
  process orders CONSUMER
    status ERROR
    error.type = cancelled
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = a
    messaging.kafka.offset = 0
    link -> send orders
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

TEST_F(KafkaTrees, ConsumerCloseWithMessagesInFlight_Wrapper) {
  send({{.key = "a"}, {.key = "b"}, {.key = "c"}});
  {
    Client consumer = make_consumer();
    kafka::ProcessSpan survivor;
    {
      const kafka::Batch batch = consume_exactly(consumer.get(), 2);
      survivor = kafka::process(batch).detach();
      EXPECT_EQ(rd_kafka_consumer_close(consumer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    consumer.reset();
    const auto active = survivor.activate();  // the span outlives its messages and its client
    const Span work = start_span("ship");
  }
  EXPECT_EQ(brief(), R"(
poll orders CLIENT
  messaging.batch.message_count = 2
  messaging.destination.partition.id = 0
  link -> send orders {messaging.kafka.message.key = a, messaging.kafka.offset = 0}
  link -> send orders {messaging.kafka.message.key = b, messaging.kafka.offset = 1}
process orders CONSUMER
  messaging.batch.message_count = 2
  messaging.destination.partition.id = 0
  midtrace.process.ended_by = destroyed
  link -> send orders {messaging.kafka.message.key = a, messaging.kafka.offset = 0}
  link -> send orders {messaging.kafka.message.key = b, messaging.kafka.offset = 1}
  ship INTERNAL
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

TEST_F(KafkaTrees, EmptyPollsMakeNoSpanUnlessAskedFor) {
  {
    const Client consumer = make_consumer();
    EXPECT_FALSE(kafka::consume(consumer.get(), 10ms));
    EXPECT_TRUE(kafka::consume_batch(consumer.get(), 10, 10ms).empty());
    EXPECT_EQ(tree(), "\n");
  }
  {
    const Client consumer = make_consumer({.empty_polls = true});
    EXPECT_FALSE(kafka::consume(consumer.get(), 10ms));
  }
  EXPECT_EQ(tree(), R"(
poll CLIENT
  messaging.client.id = fulfilment
  messaging.consumer.group.name = workers
  messaging.operation.name = poll
  messaging.operation.type = receive
  messaging.system = kafka
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(KafkaTrees, EventsThatArriveAsMessagesAreHandedOnWithoutASpan) {
  rd_kafka_conf_t* conf = consumer_configuration();
  rd_kafka_conf_set(conf, "enable.partition.eof", "true", nullptr, 0);
  ASSERT_TRUE(kafka::instrument(conf));
  {
    const Client consumer = assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->err, RD_KAFKA_RESP_ERR__PARTITION_EOF);
    const auto processing = kafka::process(message);
    EXPECT_FALSE(Context::current().span.valid());
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaTrees, OneMessageOfABatchContinuesItsOwnTrace) {
  send({{.key = "a"}, {.key = "b"}});
  std::set<std::string> traces;
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);
    for (const auto& message : batch) {
      const auto processing = kafka::process(message);
      EXPECT_EQ(Context::current().span.trace_id, message.creation_context().span.trace_id);
      traces.insert(Context::current().span.trace_id.to_string());
    }
  }
  EXPECT_EQ(traces.size(), 2U);
}

TEST_F(KafkaTrees, AnExceptionThatLeavesTheScopeIsAnError) {
  send();
  const Client consumer = make_consumer();
  const kafka::Message message = kafka::consume(consumer.get(), 10s);
  try {
    const auto processing = kafka::process(message);
    throw std::runtime_error("secret");
  } catch (const std::runtime_error&) {
  }
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.kind != SpanKind::consumer) continue;
    EXPECT_EQ(span.status, StatusCode::error);
    EXPECT_EQ(span.attribute("error.type"), "_OTHER");
    EXPECT_EQ(span.status_description.find("secret"), std::string::npos);
  }
}

TEST_F(KafkaTrees, BaggageOfOneMessageIsCurrentWhileItIsProcessedAndTravelsOn) {
  {
    Context context;
    context.baggage = Baggage().with("tenant", "blue");
    const Scope scope(context);
    send();
  }
  const Client consumer = make_consumer();
  const kafka::Message message = kafka::consume(consumer.get(), 10s);
  {
    const auto processing = kafka::process(message);
    EXPECT_EQ(Context::current().baggage.get("tenant"), "blue");
  }
  EXPECT_FALSE(Context::current().baggage.get("tenant").has_value());
}

TEST_F(KafkaTrees, BaggageOfABatchIsCurrentOnlyWhereAllowedAndAgreed) {
  for (const char* order : {"1", "2"}) {
    Context context;
    context.baggage = Baggage().with("tenant", "blue").with("order", order).with("secret", "x");
    const Scope scope(context);
    send();
  }
  const Client consumer = make_consumer({.batch_baggage = {"tenant", "order", "absent"}});
  const kafka::Batch batch = consume_exactly(consumer.get(), 2);
  const auto processing = kafka::process(batch);
  EXPECT_EQ(Context::current().baggage, Baggage().with("tenant", "blue"));
}

}  // namespace
}  // namespace midtrace::test
