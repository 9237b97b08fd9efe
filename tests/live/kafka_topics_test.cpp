// Topics that are not traced, topics whose messages carry no context, and brokers that know no headers.

#include "live/kafka_fixture.h"

#include <midtrace/trace/counters.h>

namespace midtrace::test {
namespace {

class KafkaTopicSwitches : public KafkaFixture {
 protected:
  void SetUp() override {
    KafkaFixture::SetUp();
    for (const char* topic : {"metrics.cpu", "legacy.orders"})
      ASSERT_TRUE(cluster_->create_topic(topic, 1));
  }

  // The headers of the one message of a topic, as a consumer without midtrace finds them.
  HeaderList arrived(const std::string& topic) {
    const Client consumer = make_bare_consumer({topic});
    const OwnedMessage message = poll(consumer.get());
    return message != nullptr ? headers_of(message.get()) : HeaderList{};
  }
  void send_by_others(const std::string& topic) {
    const Client producer = make_producer();
    produce_from_own_traces(producer.get(), {{.topic = topic}});
  }
};

TEST_F(KafkaTopicSwitches, OfUntracedTopicsContextsTravelWithoutSpans) {
  std::string current;
  {
    const Client producer = make_producer({.untraced_topics = {"metrics.*"}});
    const Span checkout = start_span("checkout");
    current = traceparent(checkout.context());
    const Scope scope = checkout.activate();
    produce_from_own_traces(producer.get(), {{.topic = "metrics.cpu"}, {.topic = "orders"}});
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
checkout INTERNAL
  send orders PRODUCER
)");
  EXPECT_EQ(arrived("metrics.cpu"), (HeaderList{{"traceparent", current}}));
}

TEST_F(KafkaTopicSwitches, OfUntracedTopicsFailedCallsMakeNoSpanEither_Wrapper) {
  const Client client = make_producer({.untraced_topics = {"metrics.*"}}, {{"message.max.bytes", "1000"}});
  const std::string large(2000, 'x');
  EXPECT_EQ(kafka::Producer(client.get())
                .producev(RD_KAFKA_V_TOPIC("metrics.cpu"),
                          RD_KAFKA_V_VALUE(const_cast<char*>(large.data()), large.size()), RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaTopicSwitches, ToUnpropagatedTopicsNothingIsAddedAndSpansAreClients) {
  {
    const Client producer = make_producer({.unpropagated_topics = {"legacy.*"}});
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    produce_from_own_traces(producer.get(), {{.topic = "legacy.orders", .headers = {{"tenant", "7"}}}});
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
checkout INTERNAL
  send legacy.orders CLIENT
)");
  EXPECT_EQ(arrived("legacy.orders"), (HeaderList{{"tenant", "7"}}));
  EXPECT_EQ(recorder_->counters()[Counter::injection_skipped], 0U) << "as it was asked for";
}

TEST_F(KafkaTopicSwitches, ATopicMayHaveBoth) {
  {
    const Client producer =
        make_producer({.untraced_topics = {"legacy.*"}, .unpropagated_topics = {"*.orders"}});
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    produce_from_own_traces(producer.get(), {{.topic = "legacy.orders"}});
  }
  EXPECT_EQ(tree({.attributes = false}), "\ncheckout INTERNAL\n");
  EXPECT_EQ(arrived("legacy.orders"), HeaderList{});
}

TEST_F(KafkaTopicSwitches, InModePropagateUnpropagatedTopicsStayAsTheyAre) {
  {
    const Client producer = make_producer(
        {.mode = ModuleMode::propagate, .untraced_topics = {"x"}, .unpropagated_topics = {"legacy.*"}});
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    produce_from_own_traces(producer.get(), {{.topic = "legacy.orders"}, {.topic = "orders"}});
  }
  EXPECT_EQ(arrived("legacy.orders"), HeaderList{});
  EXPECT_EQ(arrived("orders").size(), 1U);
}

TEST_F(KafkaTopicSwitches, ReceivedMessagesOfUntracedTopicsContinueTheTraceWithoutSpans_Interceptors) {
  send_by_others("metrics.cpu");
  const Client consumer = make_consumer({.untraced_topics = {"metrics.*"}}, {"metrics.cpu"});
  {
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
    const Span work = start_span("ship");
    EXPECT_EQ(kafka::commit_message(consumer.get(), message.get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
send metrics.cpu PRODUCER
  ship INTERNAL
)");
}

TEST_F(KafkaTopicSwitches, ReceivedMessagesOfUntracedTopicsContinueTheTraceWithoutSpans_Wrapper) {
  send_by_others("metrics.cpu");
  const Client consumer =
      make_consumer({.untraced_topics = {"metrics.*"}, .empty_polls = true}, {"metrics.cpu"});
  {
    const kafka::Batch batch = consume_exactly(consumer.get(), 1);
    const auto processing = kafka::process(batch);
    const auto one = kafka::process(batch[0]);
    const Span work = start_span("ship");
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
send metrics.cpu PRODUCER
  ship INTERNAL
)");
}

TEST_F(KafkaTopicSwitches, OfABatchTheOtherMessagesAreTraced_Wrapper) {
  {
    const Client producer = make_producer();
    produce_from_own_traces(producer.get(), {{.topic = "metrics.cpu"}, {.topic = "orders"}});
  }
  const Client consumer = make_consumer({.untraced_topics = {"metrics.*"}}, {"metrics.cpu", "orders"});
  {
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);
    const auto processing = kafka::process(batch);
  }
  EXPECT_EQ(brief(), R"(
poll orders CLIENT
  messaging.batch.message_count = 1
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
process orders CONSUMER
  messaging.batch.message_count = 1
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
send metrics.cpu PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
)");
}

TEST_F(KafkaTopicSwitches, WhatMessagesOfUnpropagatedTopicsCarryIsIgnored) {
  send_by_others("legacy.orders");
  const Client consumer = make_consumer({.unpropagated_topics = {"legacy.*"}}, {"legacy.orders"});
  {
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    EXPECT_FALSE(message.creation_context().span.valid());
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
poll legacy.orders CLIENT
process legacy.orders CONSUMER
send legacy.orders PRODUCER
)");
}

TEST_F(KafkaTopicSwitches, BrokersThatKnowNoHeadersGetNone) {
  const Client producer =
      make_producer({}, {{"api.version.request", "false"}, {"broker.version.fallback", "0.10.0"}});
  ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(produce(producer.get(), {.headers = {{"tenant", "7"}}}), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_purge(producer.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(producer.get(), 5000);
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 2U);
  for (const testing::OwnedSpan& span : spans)
    EXPECT_EQ(span.kind, SpanKind::client);
  EXPECT_EQ(recorder_->counters()[Counter::injection_skipped], 2U);
}

}  // namespace
}  // namespace midtrace::test
