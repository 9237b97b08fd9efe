// How what a consumer reads from is named, and what is known of the broker.
#include "live/amqp_consumer_fixture.h"

namespace midtrace::test {
namespace {

class AmqpDestinations : public AmqpConsumerTest {
 protected:
  // A connection with an exchange `shop` and a queue bound to it by this key; "" lets the server name it.
  TracedConnection bound(std::string_view queue, std::string_view key, bool exclusive = false) {
    TracedConnection amqp = connect_traced();
    EXPECT_NE(amqp->exchange_declare(1, amqp_text("shop"), amqp_text("topic"), 0, 0, 0, 0, amqp_empty_table),
              nullptr);
    queue_ = amqp.declare_queue(queue, amqp_empty_table, false, exclusive);
    EXPECT_FALSE(queue_.empty()) << amqp.last_reply();
    EXPECT_NE(amqp->queue_bind(1, amqp_text(queue_), amqp_text("shop"), amqp_text(key), amqp_empty_table),
              nullptr);
    EXPECT_TRUE(amqp.consume(queue_)) << amqp.last_reply();
    return amqp;
  }
  // Consumes, processes and acknowledges one message.
  void work(TracedConnection& amqp) {
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    const auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  // The same for receive, process and ack: "span's destination|name|routing key|anonymous|temporary". Of
  // these the conventions give a settlement the first two alone.
  std::string described() {
    std::string result;
    for (const char* operation : {"receive", "process", "ack"}) {
      const testing::OwnedSpan span = only(operation);
      EXPECT_TRUE(span.name.starts_with(operation)) << span.name;
      const bool settles = std::string_view(operation) == "ack";
      const testing::OwnedSpan described = settles ? only("receive") : span;
      const std::string one = span.name.substr(std::string_view(operation).size()) + '|' +
                              span.attribute("messaging.destination.name") + '|' +
                              described.attribute("messaging.rabbitmq.destination.routing_key") + '|' +
                              described.attribute("messaging.destination.anonymous") + '|' +
                              described.attribute("messaging.destination.temporary");
      EXPECT_TRUE(result.empty() || one == result) << operation << ": " << one << " beside " << result;
      result = one;
    }
    for (const char* left_out : {"messaging.rabbitmq.destination.routing_key",
                                 "messaging.destination.anonymous", "messaging.destination.temporary"})
      EXPECT_EQ(only("ack").attribute(left_out), "") << left_out;
    recorder_->clear();
    return result;
  }

  std::string queue_;
};

TEST_F(AmqpDestinations, AConsumersNameHasExchangeRoutingKeyAndQueue) {
  TracedConnection amqp = bound("fulfilment", "order.*");
  send("shop", "order.new");
  work(amqp);
  EXPECT_EQ(described(), " shop:order.new:fulfilment|shop:order.new:fulfilment|order.new||");
}

TEST_F(AmqpDestinations, ARoutingKeyThatIsTheQueuesNameIsThereOnce) {
  TracedConnection amqp = bound("fulfilment", "fulfilment");
  send("shop", "fulfilment");
  work(amqp);
  EXPECT_EQ(described(), " shop:fulfilment|shop:fulfilment|fulfilment||");
  send("", "fulfilment");
  work(amqp);
  EXPECT_EQ(described(), " fulfilment|fulfilment|fulfilment||");
}

TEST_F(AmqpDestinations, WithoutARoutingKeyTheExchangeAndTheQueueAreLeft) {
  TracedConnection amqp = bound("fulfilment", "#");
  send("shop", "");
  work(amqp);
  EXPECT_EQ(described(), " shop:fulfilment|shop:fulfilment|||");
}

TEST_F(AmqpDestinations, AQueueThatTheServerNamedIsAnonymous) {
  TracedConnection amqp = bound("", "order.*");
  ASSERT_TRUE(queue_.starts_with("amq.gen-")) << queue_;
  send("shop", "order.new");
  work(amqp);
  EXPECT_EQ(described(), "|shop:order.new:" + queue_ + "|order.new|true|");
}

TEST_F(AmqpDestinations, AnExclusiveQueueIsTemporary) {
  TracedConnection amqp = bound("desk-7", "order.*", true);
  send("shop", "order.new");
  work(amqp);
  EXPECT_EQ(described(), "|shop:order.new:desk-7|order.new||true");
}

TEST_F(AmqpDestinations, AnExclusiveQueueThatTheServerNamedIsBoth) {
  TracedConnection amqp = bound("", "order.*", true);
  send("shop", "order.new");
  work(amqp);
  EXPECT_EQ(described(), "|shop:order.new:" + queue_ + "|order.new|true|true");
}

TEST_F(AmqpDestinations, AQueueNamedByAUuidIsAnonymous) {
  const std::string queue = "replies-3f2504e0-4f89-41d3-9a0c-0305e82c3301";
  TracedConnection amqp = bound(queue, "order.*");
  send("shop", "order.new");
  work(amqp);
  EXPECT_EQ(described(), "|shop:order.new:" + queue + "|order.new|true|");
}

// Each consumer's queue is remembered, also when their deliveries come mixed.
TEST_F(AmqpDestinations, EveryConsumerKeepsItsQueue) {
  TracedConnection amqp = bound("fulfilment", "order.*");
  ASSERT_EQ(amqp.declare_queue("billing"), "billing");
  ASSERT_NE(
      amqp->queue_bind(1, amqp_text("billing"), amqp_text("shop"), amqp_text("order.*"), amqp_empty_table),
      nullptr);
  ASSERT_NE(amqp->channel_open(2), nullptr);
  // The same consumer tag may be used on another channel.
  ASSERT_NE(amqp->basic_consume(2, amqp_text("billing"), amqp_text("worker"), 0, 0, 0, amqp_empty_table),
            nullptr);
  ASSERT_EQ(amqp.declare_queue("audit"), "audit");
  ASSERT_NE(
      amqp->queue_bind(1, amqp_text("audit"), amqp_text("shop"), amqp_text("order.*"), amqp_empty_table),
      nullptr);
  ASSERT_NE(amqp->basic_consume(1, amqp_text("audit"), amqp_text("worker"), 0, 0, 0, amqp_empty_table),
            nullptr);
  send("shop", "order.new");
  AmqpEnvelopes batch;
  take(amqp, 3, batch);
  std::vector<std::string> names;
  for (const testing::OwnedSpan& receive : all_of("receive"))
    names.push_back(receive.name);
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("receive shop:order.new:fulfilment",
                                                     "receive shop:order.new:billing",
                                                     "receive shop:order.new:audit"));
}

// --- The broker.

TEST_F(AmqpDestinations, AConnectionBorrowedAfterItsLoginKnowsItsPeer) {
  const auto plain = connect();
  ASSERT_EQ(plain->declare_queue("orders"), "orders");
  {
    amqp::Connection amqp(plain->state());
    ASSERT_NE(amqp.basic_consume(1, amqp_text("orders"), amqp_empty_bytes, 0, 0, 0, amqp_empty_table),
              nullptr);
    send("", "orders");
    amqp_envelope_t envelope;
    const timeval limit{60, 0};
    ASSERT_EQ(to_string(amqp.consume_message(&envelope, &limit, 0)), "normal");
    {
      const auto processing = amqp::process(amqp, envelope);
      EXPECT_EQ(amqp.basic_ack(1, envelope.delivery_tag, 0), AMQP_STATUS_OK);
    }
    amqp_destroy_envelope(&envelope);
  }
  const std::string port = std::to_string(server_->port());
  for (const char* operation : {"receive", "process", "ack"}) {
    const testing::OwnedSpan span = only(operation);
    EXPECT_EQ(span.attribute("server.address"), "127.0.0.1") << operation;
    EXPECT_EQ(span.attribute("server.port"), port) << operation;
    EXPECT_EQ(span.attribute("midtrace.amqp.vhost"), "") << operation;  // only a login tells
  }
  EXPECT_EQ(only("receive").attribute("network.peer.address"), "127.0.0.1");
  EXPECT_EQ(only("receive").attribute("network.peer.port"), port);
  // Work does not talk to the broker.
  EXPECT_EQ(only("process").attribute("network.peer.address"), "");
}

TEST_F(AmqpDestinations, TheConnectionsNameIsTheClientsId) {
  AmqpTable properties;
  properties.text("connection_name", "fulfilment-1");
  const amqp_table_t table = properties.get();
  TracedConnection amqp =
      connect_traced({.server_address = "broker.example:5671", .tls = true}, {.properties = &table});
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  ASSERT_TRUE(amqp.consume("orders"));
  send("", "orders");
  work(amqp);
  for (const char* operation : {"receive", "process", "ack"}) {
    const testing::OwnedSpan span = only(operation);
    EXPECT_EQ(span.attribute("messaging.client.id"), "fulfilment-1") << operation;
    EXPECT_EQ(span.attribute("server.address"), "broker.example") << operation;
    EXPECT_EQ(span.attribute("server.port"), "5671") << operation;
    EXPECT_EQ(span.attribute("midtrace.amqp.tls"), "true") << operation;
    EXPECT_EQ(span.attribute("midtrace.amqp.vhost"), virtual_host_) << operation;
  }
}

}  // namespace
}  // namespace midtrace::test
