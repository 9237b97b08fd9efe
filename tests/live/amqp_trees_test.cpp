// Golden span trees of what a service does with RabbitMQ, one for each story.
#include "live/amqp_consumer_fixture.h"

namespace midtrace::test {
namespace {

class AmqpTrees : public AmqpConsumerTest {
 protected:
  static void process_and_ack(TracedConnection& amqp, const std::function<void()>& work = {}) {
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    const auto processing = amqp::process(*amqp, *envelope);
    if (work) work();
    EXPECT_EQ(amqp->basic_ack(envelope->channel, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  static bool declare_exchange(TracedConnection& amqp, std::string_view name, std::string_view type) {
    return amqp->exchange_declare(1, amqp_text(name), amqp_text(type), 0, 0, 0, 0, amqp_empty_table) !=
           nullptr;
  }
  static bool bind(TracedConnection& amqp, std::string_view queue, std::string_view exchange,
                   std::string_view key, amqp_table_t arguments = amqp_empty_table) {
    return amqp->queue_bind(1, amqp_text(queue), amqp_text(exchange), amqp_text(key), arguments) != nullptr;
  }
};

TEST_F(AmqpTrees, AnOrderIsPublishedProcessedAndAcknowledged) {
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.declare_queue("orders"), "orders") << amqp.last_reply();
  ASSERT_TRUE(amqp.consume("orders"));
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    auto processing = amqp::process(*amqp, *envelope);
    auto work = start_span("charge");
    work.end();
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(tree(), R"(
publish orders PRODUCER
  messaging.destination.name = orders
  messaging.operation.name = publish
  messaging.operation.type = send
  messaging.rabbitmq.destination.routing_key = orders
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
  process orders CONSUMER
    messaging.destination.name = orders
    messaging.operation.name = process
    messaging.operation.type = process
    messaging.rabbitmq.destination.routing_key = orders
    messaging.rabbitmq.message.delivery_tag = 1
    messaging.system = rabbitmq
    midtrace.amqp.vhost = VHOST
    midtrace.process.ended_by = ack
    server.address = 127.0.0.1
    server.port = PORT
    link -> publish orders
    ack orders CLIENT
      messaging.destination.name = orders
      messaging.operation.name = ack
      messaging.operation.type = settle
      messaging.rabbitmq.message.delivery_tag = 1
      messaging.system = rabbitmq
      midtrace.amqp.vhost = VHOST
      network.peer.address = 127.0.0.1
      network.peer.port = PORT
      server.address = 127.0.0.1
      server.port = PORT
      link -> publish orders
    charge INTERNAL
receive orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = receive
  messaging.operation.type = receive
  messaging.rabbitmq.destination.routing_key = orders
  messaging.rabbitmq.message.delivery_tag = 1
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
  link -> publish orders
)");
}

TEST_F(AmqpTrees, AnOrderGoesThroughThreeServicesInOneTrace) {
  TracedConnection fulfilment = connect_traced({.receive_spans = false});
  TracedConnection shipping = connect_traced({.receive_spans = false});
  ASSERT_TRUE(declare_exchange(fulfilment, "shop", "topic"));
  ASSERT_EQ(fulfilment.declare_queue("fulfilment"), "fulfilment");
  ASSERT_TRUE(bind(fulfilment, "fulfilment", "shop", "order.*"));
  ASSERT_TRUE(fulfilment.consume("fulfilment"));
  ASSERT_EQ(shipping.declare_queue("shipping"), "shipping");
  ASSERT_TRUE(shipping.consume("shipping"));
  {
    auto checkout = start_span("POST /checkout");
    const auto current = checkout.activate();
    send("shop", "order.new");
  }
  process_and_ack(fulfilment, [&] { EXPECT_EQ(fulfilment.publish("", "shipping"), AMQP_STATUS_OK); });
  process_and_ack(shipping, [] { start_span("print label").end(); });
  EXPECT_EQ(brief(), R"(
POST /checkout INTERNAL
  publish shop:order.new PRODUCER
    process shop:order.new:fulfilment CONSUMER
      messaging.rabbitmq.message.delivery_tag = 1
      midtrace.process.ended_by = ack
      link -> publish shop:order.new
      ack shop:order.new:fulfilment CLIENT
        messaging.rabbitmq.message.delivery_tag = 1
        link -> publish shop:order.new
      publish shipping PRODUCER
        process shipping CONSUMER
          messaging.rabbitmq.message.delivery_tag = 1
          midtrace.process.ended_by = ack
          link -> publish shipping
          ack shipping CLIENT
            messaging.rabbitmq.message.delivery_tag = 1
            link -> publish shipping
          print label INTERNAL
)");
}

TEST_F(AmqpTrees, AFanoutHasAProcessSpanForEachQueue) {
  TracedConnection billing = connect_traced({.receive_spans = false});
  ASSERT_TRUE(declare_exchange(billing, "events", "fanout"));
  for (const char* queue : {"billing", "mail"}) {
    ASSERT_EQ(billing.declare_queue(queue), queue);
    ASSERT_TRUE(bind(billing, queue, "events", ""));
  }
  ASSERT_TRUE(billing.consume("billing"));
  TracedConnection mail = connect_traced({.receive_spans = false});
  ASSERT_TRUE(mail.consume("mail"));
  send("events", "");
  process_and_ack(billing);
  process_and_ack(mail);
  EXPECT_EQ(tree({.without = {"server.address", "server.port", "network.peer.address", "network.peer.port",
                              "midtrace.amqp.vhost", "messaging.system", "messaging.operation.type"}}),
            R"(
publish events PRODUCER
  messaging.destination.name = events
  messaging.operation.name = publish
  process events:billing CONSUMER
    messaging.destination.name = events:billing
    messaging.operation.name = process
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish events
    ack events:billing CLIENT
      messaging.destination.name = events:billing
      messaging.operation.name = ack
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish events
  process events:mail CONSUMER
    messaging.destination.name = events:mail
    messaging.operation.name = process
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish events
    ack events:mail CLIENT
      messaging.destination.name = events:mail
      messaging.operation.name = ack
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish events
)");
}

TEST_F(AmqpTrees, AHeadersExchangeRoutesByWhatTheApplicationWroteAlone) {
  TracedConnection amqp = connect_traced({.receive_spans = false});
  ASSERT_TRUE(declare_exchange(amqp, "by-region", "headers"));
  ASSERT_EQ(amqp.declare_queue("europe"), "europe");
  AmqpTable match;
  match.text("x-match", "all").text("region", "eu");
  ASSERT_TRUE(bind(amqp, "europe", "by-region", "", match.get()));
  ASSERT_TRUE(amqp.consume("europe"));
  AmqpTable headers;
  headers.text("region", "eu");
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_HEADERS_FLAG;
  properties.headers = headers.get();
  send("by-region", "", "order", &properties);
  process_and_ack(amqp);
  EXPECT_EQ(brief(), R"(
publish by-region PRODUCER
  process by-region:europe CONSUMER
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish by-region
    ack by-region:europe CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish by-region
)");
}

TEST_F(AmqpTrees, TheCallsOfAChannelHaveSpansByOption) {
  start_recorder({.real_clock = true});  // so that the spans are in order
  {
    TracedConnection amqp = connect_traced({.channel_spans = true});
    ASSERT_TRUE(declare_exchange(amqp, "shop", "topic"));
    ASSERT_TRUE(declare_exchange(amqp, "audit", "fanout"));
    EXPECT_NE(amqp->exchange_bind(1, amqp_text("audit"), amqp_text("shop"), amqp_text("#"), amqp_empty_table),
              nullptr);
    ASSERT_EQ(amqp.declare_queue("orders"), "orders");
    EXPECT_TRUE(amqp.declare_queue("").starts_with("amq.gen-"));
    ASSERT_TRUE(bind(amqp, "orders", "shop", "order.*"));
    EXPECT_NE(amqp->basic_qos(1, 0, 10, 0), nullptr);
    EXPECT_NE(amqp->basic_consume(1, amqp_text("orders"), amqp_text("worker"), 0, 0, 0, amqp_empty_table),
              nullptr);
    EXPECT_NE(amqp->basic_cancel(1, amqp_text("worker")), nullptr);
    EXPECT_NE(amqp->basic_recover(1, 1), nullptr);
    EXPECT_NE(amqp->channel_flow(1, 1), nullptr);
    EXPECT_NE(
        amqp->queue_unbind(1, amqp_text("orders"), amqp_text("shop"), amqp_text("order.*"), amqp_empty_table),
        nullptr);
    EXPECT_NE(
        amqp->exchange_unbind(1, amqp_text("audit"), amqp_text("shop"), amqp_text("#"), amqp_empty_table),
        nullptr);
    EXPECT_NE(amqp->queue_purge(1, amqp_text("orders")), nullptr);
    EXPECT_NE(amqp->queue_delete(1, amqp_text("orders"), 0, 0), nullptr);
    EXPECT_NE(amqp->exchange_delete(1, amqp_text("shop"), 0), nullptr);
    EXPECT_EQ(amqp->queue_declare(1, amqp_text("orders"), 1, 0, 0, 0, amqp_empty_table), nullptr);
    EXPECT_NE(amqp->reopen_channel(1), nullptr);
    EXPECT_EQ(to_string(amqp->channel_close(1, AMQP_REPLY_SUCCESS)), "normal");
    EXPECT_EQ(to_string(amqp->connection_close(AMQP_REPLY_SUCCESS)), "normal");
  }
  EXPECT_EQ(tree({.without = {"messaging.system", "network.peer.address", "network.peer.port", "server.port",
                              "midtrace.amqp.vhost"}}),
            R"(
connection.open CLIENT
  messaging.operation.name = connection.open
  server.address = 127.0.0.1
channel.open CLIENT
  messaging.operation.name = channel.open
  server.address = 127.0.0.1
exchange.declare shop CLIENT
  messaging.destination.name = shop
  messaging.operation.name = exchange.declare
  server.address = 127.0.0.1
exchange.declare audit CLIENT
  messaging.destination.name = audit
  messaging.operation.name = exchange.declare
  server.address = 127.0.0.1
exchange.bind audit CLIENT
  messaging.destination.name = audit
  messaging.operation.name = exchange.bind
  server.address = 127.0.0.1
queue.declare orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = queue.declare
  server.address = 127.0.0.1
queue.declare CLIENT
  messaging.operation.name = queue.declare
  server.address = 127.0.0.1
queue.bind orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = queue.bind
  server.address = 127.0.0.1
basic.qos CLIENT
  messaging.operation.name = basic.qos
  server.address = 127.0.0.1
basic.consume orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = basic.consume
  server.address = 127.0.0.1
basic.cancel CLIENT
  messaging.operation.name = basic.cancel
  server.address = 127.0.0.1
basic.recover CLIENT
  messaging.operation.name = basic.recover
  server.address = 127.0.0.1
channel.flow CLIENT
  messaging.operation.name = channel.flow
  server.address = 127.0.0.1
queue.unbind orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = queue.unbind
  server.address = 127.0.0.1
exchange.unbind audit CLIENT
  messaging.destination.name = audit
  messaging.operation.name = exchange.unbind
  server.address = 127.0.0.1
queue.purge orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = queue.purge
  server.address = 127.0.0.1
queue.delete orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = queue.delete
  server.address = 127.0.0.1
exchange.delete shop CLIENT
  messaging.destination.name = shop
  messaging.operation.name = exchange.delete
  server.address = 127.0.0.1
queue.declare orders CLIENT
  status ERROR
  error.type = NOT_FOUND
  messaging.destination.name = orders
  messaging.operation.name = queue.declare
  server.address = 127.0.0.1
channel.open CLIENT
  messaging.operation.name = channel.open
  server.address = 127.0.0.1
channel.close CLIENT
  messaging.operation.name = channel.close
  server.address = 127.0.0.1
connection.close CLIENT
  messaging.operation.name = connection.close
  server.address = 127.0.0.1
)");
}

TEST_F(AmqpTrees, AnotherPasswordIsAnErrorOfTheLogin) {
  TracedConnection amqp({.channel_spans = true});
  timeval limit{60, 0};
  ASSERT_EQ(amqp->socket_open_noblock(amqp_tcp_socket_new(amqp->get()), RabbitmqServer::kHost,
                                      server_->port(), &limit),
            AMQP_STATUS_OK);
  EXPECT_NE(amqp->login(virtual_host_.c_str(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "not this")
                .reply_type,
            AMQP_RESPONSE_NORMAL);
  EXPECT_EQ(tree(), R"(
connection.open CLIENT
  status ERROR
  error.type = ACCESS_REFUSED
  messaging.operation.name = connection.open
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

}  // namespace
}  // namespace midtrace::test
