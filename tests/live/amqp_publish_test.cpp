// Publish spans and their destinations: what they are named, by every kind of exchange and queue.
#include "live/amqp_headers.h"
#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

class AmqpPublish : public AmqpTraced {
 protected:
  void SetUp() override {
    AmqpTraced::SetUp();
    if (virtual_host_.empty()) return;
    plain_ = connect();
  }
  void TearDown() override {
    plain_.reset();
    AmqpTraced::TearDown();
  }

  testing::OwnedSpan only_span() {
    const std::vector<testing::OwnedSpan> spans = recorder_->spans();
    EXPECT_EQ(spans.size(), 1U);
    return spans.empty() ? testing::OwnedSpan{} : spans.front();
  }

  void declare_exchange(std::string_view name, std::string_view type) {
    ASSERT_NE(amqp_exchange_declare(plain_->state(), 1, amqp_text(name), amqp_text(type), 0, 0, 0, 0,
                                    amqp_empty_table),
              nullptr)
        << plain_->last_reply();
  }
  void bind(std::string_view queue, std::string_view exchange, std::string_view key,
            amqp_table_t arguments = amqp_empty_table) {
    ASSERT_NE(
        amqp_queue_bind(plain_->state(), 1, amqp_text(queue), amqp_text(exchange), amqp_text(key), arguments),
        nullptr)
        << plain_->last_reply();
  }
  // The span names, in the order of their start.
  std::vector<std::string> names() {
    std::vector<std::string> result;
    for (const testing::OwnedSpan& span : recorder_->spans())
      result.push_back(span.name);
    return result;
  }
  std::string attribute(std::string_view key) { return recorder_->spans().back().attribute(key); }

  // Sets things up and reads, without spans.
  std::unique_ptr<AmqpConnection> plain_;
};

TEST_F(AmqpPublish, ADirectExchange) {
  declare_exchange("shop", "direct");
  TracedConnection amqp = connect_traced();
  plain_->declare_queue("orders");
  bind("orders", "shop", "order.placed");
  {
    const Span place = start_span("place order");
    const Scope scope = place.activate();
    ASSERT_EQ(amqp.publish("shop", "order.placed"), AMQP_STATUS_OK);
  }
  EXPECT_EQ(tree(), R"(
place order INTERNAL
  publish shop:order.placed PRODUCER
    messaging.destination.name = shop:order.placed
    messaging.operation.name = publish
    messaging.operation.type = send
    messaging.rabbitmq.destination.routing_key = order.placed
    messaging.system = rabbitmq
    midtrace.amqp.vhost = VHOST
    network.peer.address = 127.0.0.1
    network.peer.port = PORT
    server.address = 127.0.0.1
    server.port = PORT
)");
  ASSERT_TRUE(plain_->consume("orders"));
  std::string why;
  const AmqpEnvelope envelope = plain_->next(&why);
  ASSERT_TRUE(envelope) << why;
  EXPECT_EQ(headers_of(envelope),
            (HeaderList{{"traceparent", traceparent(recorder_->spans().at(0).context)}}))
      << "the publish span ended first, so it is the first one";
}

TEST_F(AmqpPublish, ATopicExchange) {
  declare_exchange("events", "topic");
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("events", "shop.order.placed"), AMQP_STATUS_OK);
  EXPECT_EQ(tree(), R"(
publish events:shop.order.placed PRODUCER
  messaging.destination.name = events:shop.order.placed
  messaging.operation.name = publish
  messaging.operation.type = send
  messaging.rabbitmq.destination.routing_key = shop.order.placed
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(AmqpPublish, AFanoutExchangeHasNoRoutingKey) {
  declare_exchange("announcements", "fanout");
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("announcements", ""), AMQP_STATUS_OK);
  EXPECT_EQ(tree(), R"(
publish announcements PRODUCER
  messaging.destination.name = announcements
  messaging.operation.name = publish
  messaging.operation.type = send
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(AmqpPublish, AHeadersExchangeStillRoutesByTheApplicationsHeaders) {
  declare_exchange("by-region", "headers");
  plain_->declare_queue("north");
  std::vector<amqp_table_entry_t> match{text_entry("x-match", "all"), text_entry("region", "north")};
  bind("north", "by-region", "", table_of(match));
  TracedConnection amqp = connect_traced();
  const Message north({text_entry("region", "north")});
  const Message south({text_entry("region", "south")});
  ASSERT_EQ(amqp.publish("by-region", "", "to the north", &north.properties), AMQP_STATUS_OK);
  ASSERT_EQ(amqp.publish("by-region", "", "to the south", &south.properties), AMQP_STATUS_OK);
  EXPECT_EQ(tree({.attributes = false}), R"(
publish by-region PRODUCER
publish by-region PRODUCER
)");
  ASSERT_TRUE(plain_->consume("north"));
  std::string why;
  const AmqpEnvelope envelope = plain_->next(&why);
  ASSERT_TRUE(envelope) << why;
  EXPECT_EQ(to_string(envelope->message.body), "to the north");
  EXPECT_EQ(
      headers_of(envelope),
      (HeaderList{{"region", "north"}, {"traceparent", traceparent(recorder_->spans().at(0).context)}}));
}

TEST_F(AmqpPublish, TheDefaultExchangeHasTheQueuesName) {
  TracedConnection amqp = connect_traced();
  plain_->declare_queue("orders");
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
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
)");
}

TEST_F(AmqpPublish, WithNeitherExchangeNorKeyItIsTheDefaultExchange) {
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("", ""), AMQP_STATUS_OK);
  EXPECT_EQ(names(), std::vector<std::string>{"publish amq.default"});
  EXPECT_EQ(attribute("messaging.destination.name"), "amq.default");
  EXPECT_EQ(attribute("messaging.rabbitmq.destination.routing_key"), "");
}

TEST_F(AmqpPublish, AQueueThatTheBrokerNamedIsAnonymous) {
  const std::string queue = plain_->declare_queue("");
  ASSERT_TRUE(queue.starts_with("amq.gen-")) << queue;
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("", queue), AMQP_STATUS_OK);
  EXPECT_EQ(tree({.masked = {{"messaging.destination.name", "QUEUE"},
                             {"messaging.rabbitmq.destination.routing_key", "QUEUE"}}}),
            R"(
publish PRODUCER
  messaging.destination.anonymous = true
  messaging.destination.name = QUEUE
  messaging.operation.name = publish
  messaging.operation.type = send
  messaging.rabbitmq.destination.routing_key = QUEUE
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
  EXPECT_EQ(attribute("messaging.destination.name"), queue);
}

TEST_F(AmqpPublish, AKeyThatNoHumanChoseIsNotInTheSpansName) {
  declare_exchange("customers", "topic");
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("customers", "c.6f9619ff-8b86-d011-b42d-00cf4fc964ff.updated"), AMQP_STATUS_OK);
  EXPECT_EQ(names(), std::vector<std::string>{"publish"});
  EXPECT_EQ(attribute("messaging.destination.anonymous"), "true");
  EXPECT_EQ(attribute("messaging.destination.name"),
            "customers:c.6f9619ff-8b86-d011-b42d-00cf4fc964ff.updated");
}

TEST_F(AmqpPublish, AKeyThatIsNoTextIsLeftOut) {
  declare_exchange("shop", "topic");
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("shop", std::string_view("a\0\xff\n", 4)), AMQP_STATUS_OK);
  EXPECT_EQ(names(), std::vector<std::string>{"publish"});
  EXPECT_EQ(attribute("messaging.destination.name"), "shop");
  EXPECT_EQ(attribute("messaging.rabbitmq.destination.routing_key"), "");
}

TEST_F(AmqpPublish, AnExclusiveQueueIsTemporary) {
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.declare_queue("replies", amqp_empty_table, false, true), "replies") << amqp.last_reply();
  ASSERT_EQ(amqp.publish("", "replies"), AMQP_STATUS_OK);
  EXPECT_EQ(tree(), R"(
publish PRODUCER
  messaging.destination.name = replies
  messaging.destination.temporary = true
  messaging.operation.name = publish
  messaging.operation.type = send
  messaging.rabbitmq.destination.routing_key = replies
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(AmqpPublish, AnAutoDeletedQueueIsTemporaryAlsoWhenItWasPublishedToBefore) {
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("", "watch"), AMQP_STATUS_OK);
  ASSERT_NE(amqp->queue_declare(1, amqp_text("watch"), 0, 0, 0, 1, amqp_empty_table), nullptr);
  ASSERT_EQ(amqp.publish("", "watch"), AMQP_STATUS_OK);
  EXPECT_EQ(names(), (std::vector<std::string>{"publish watch", "publish"}));
  EXPECT_EQ(attribute("messaging.destination.temporary"), "true");
}

TEST_F(AmqpPublish, TheTokenOfADirectReplyIsNowhere) {
  TracedConnection amqp = connect_traced();
  ASSERT_NE(
      amqp->basic_consume(1, amqp_text("amq.rabbitmq.reply-to"), amqp_empty_bytes, 0, 1, 0, amqp_empty_table),
      nullptr);
  Message request;
  request.properties._flags |= AMQP_BASIC_REPLY_TO_FLAG;
  request.properties.reply_to = amqp_text("amq.rabbitmq.reply-to");
  plain_->declare_queue("rpc");
  ASSERT_EQ(amqp.publish("", "rpc", "question", &request.properties), AMQP_STATUS_OK);
  ASSERT_TRUE(plain_->consume("rpc"));
  std::string why;
  const AmqpEnvelope envelope = plain_->next(&why);
  ASSERT_TRUE(envelope) << why;
  const std::string reply_to = to_string(envelope->message.properties.reply_to);
  ASSERT_TRUE(reply_to.starts_with("amq.rabbitmq.reply-to.")) << reply_to;
  ASSERT_EQ(amqp.publish("", reply_to, "answer"), AMQP_STATUS_OK);
  EXPECT_EQ(names(), (std::vector<std::string>{"publish rpc", "publish"}));
  EXPECT_EQ(attribute("messaging.destination.name"), "amq.rabbitmq.reply-to");
  EXPECT_EQ(attribute("messaging.destination.anonymous"), "true");
  EXPECT_EQ(attribute("messaging.rabbitmq.destination.routing_key"), "amq.rabbitmq.reply-to");
  EXPECT_EQ(tree().find(reply_to), std::string::npos);
}

TEST_F(AmqpPublish, EveryMessageOfManyRoutesHasItsOwnRoute) {
  declare_exchange("shop", "direct");
  TracedConnection amqp = connect_traced();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(amqp.publish("shop", "a"), AMQP_STATUS_OK);
    ASSERT_EQ(amqp.publish("", "a"), AMQP_STATUS_OK);
    ASSERT_EQ(amqp.publish("shop", ""), AMQP_STATUS_OK);
  }
  EXPECT_EQ(names(), (std::vector<std::string>{"publish shop:a", "publish a", "publish shop",
                                               "publish shop:a", "publish a", "publish shop",
                                               "publish shop:a", "publish a", "publish shop"}));
}

// Routing keys may be as many as customers. Only so many names are kept; then the exchange stands for them.
TEST_F(AmqpPublish, BeyondThousandsOfKeysTheExchangeNamesTheSpanAndTheKeyIsAnAttribute) {
  declare_exchange("customers", "topic");
  TracedConnection amqp = connect_traced();
  constexpr int count = 5000;
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(amqp.publish("customers", "customer-" + std::to_string(i)), AMQP_STATUS_OK);
    if (i % 500 == 0) recorder_->spans();  // so that the collector keeps up
  }
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), static_cast<std::size_t>(count));
  EXPECT_EQ(spans.front().name, "publish customers:customer-0");
  EXPECT_EQ(spans.back().name, "publish customers");
  EXPECT_EQ(spans.back().attribute("messaging.destination.name"), "customers:customer-4999");
  EXPECT_EQ(spans.back().attribute("messaging.rabbitmq.destination.routing_key"), "customer-4999");

  recorder_->clear();
  ASSERT_EQ(amqp.publish("", "a queue of its own"), AMQP_STATUS_OK);
  EXPECT_EQ(only_span().name, "publish amq.default");
  EXPECT_EQ(only_span().attribute("messaging.destination.name"), "a queue of its own");
}

TEST_F(AmqpPublish, BeyondThousandsOfKeysTheSwitchesOfQueuesHold) {
  TracedConnection amqp =
      connect_traced({.untraced_queues = {"quiet-*"}, .unpropagated_queues = {"plain-*"}});
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(amqp.publish("", "customer-" + std::to_string(i)), AMQP_STATUS_OK);
    if (i % 500 == 0) recorder_->spans();  // so that the collector keeps up
  }
  recorder_->clear();
  ASSERT_EQ(amqp.publish("", "quiet-1"), AMQP_STATUS_OK);
  EXPECT_TRUE(recorder_->spans().empty());
  ASSERT_EQ(amqp.publish("", "plain-1"), AMQP_STATUS_OK);
  EXPECT_EQ(only_span().kind, SpanKind::client) << "nothing goes into the message";
  recorder_->clear();
  ASSERT_EQ(amqp.publish("", "loud-1"), AMQP_STATUS_OK);
  EXPECT_EQ(only_span().kind, SpanKind::producer);
}

TEST_F(AmqpPublish, TheIdsOfTheMessageAreOnTheSpan) {
  TracedConnection amqp = connect_traced();
  Message message;
  message.id("order-7").correlation("basket-3");
  ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  messaging.message.conversation_id = basket-3
  messaging.message.id = order-7
)");
}

TEST_F(AmqpPublish, IdsThatAreNoTextOrEndlessAreLeftOut) {
  TracedConnection amqp = connect_traced();
  Message message;
  const std::string endless(255, 'x');  // the most that AMQP has room for
  message.id(std::string_view("a\0b", 3)).correlation("\xff\xfe");
  ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
  message.id(endless);
  ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  EXPECT_EQ(spans.at(0).attribute("messaging.message.id"), "");
  EXPECT_EQ(spans.at(0).attribute("messaging.message.conversation_id"), "");
  EXPECT_EQ(spans.at(1).attribute("messaging.message.id"), endless);
}

TEST_F(AmqpPublish, WithoutConfirmsTheSpanIsAsLongAsTheCall) {
  TracedConnection amqp = connect_traced();
  {
    const Span place = start_span("place order");
    const Scope scope = place.activate();
    recorder_->clock().advance(std::chrono::milliseconds(1));
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
    recorder_->clock().advance(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(tree({.attributes = false, .durations = true}), R"(
place order INTERNAL 2ms
  publish orders PRODUCER 0ns
)");
}

TEST_F(AmqpPublish, AFailedCallIsAnError) {
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(::shutdown(amqp_get_sockfd(amqp->get()), SHUT_RDWR), 0);
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_SOCKET_ERROR);
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  status ERROR
  error.type = AMQP_STATUS_SOCKET_ERROR
)");
}

TEST_F(AmqpPublish, TransactionsAreCommittedUnderSpansOfTheirOwn) {
  plain_->declare_queue("orders");
  TracedConnection amqp = connect_traced();
  ASSERT_NE(amqp->tx_select(1), nullptr) << amqp.last_reply();
  {
    const Span place = start_span("place orders");
    const Scope scope = place.activate();
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
    EXPECT_NE(amqp->tx_commit(1), nullptr);
  }
  EXPECT_EQ(tree(), R"(
place orders INTERNAL
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
  tx.commit CLIENT
    messaging.operation.name = tx.commit
    messaging.system = rabbitmq
    midtrace.amqp.vhost = VHOST
    network.peer.address = 127.0.0.1
    network.peer.port = PORT
    server.address = 127.0.0.1
    server.port = PORT
)");
}

TEST_F(AmqpPublish, ARollbackIsASpanAndTheMessageIsGone) {
  plain_->declare_queue("orders");
  TracedConnection amqp = connect_traced();
  ASSERT_NE(amqp->tx_select(1), nullptr) << amqp.last_reply();
  ASSERT_EQ(amqp.publish("", "orders", "never"), AMQP_STATUS_OK);
  recorder_->clock().advance(std::chrono::milliseconds(1));
  EXPECT_NE(amqp->tx_rollback(1), nullptr);
  recorder_->clock().advance(std::chrono::milliseconds(1));
  ASSERT_EQ(amqp.publish("", "orders", "first"), AMQP_STATUS_OK);
  EXPECT_NE(amqp->tx_commit(1), nullptr);
  EXPECT_EQ(tree({.attributes = false}), R"(
publish orders PRODUCER
tx.rollback CLIENT
publish orders PRODUCER
tx.commit CLIENT
)");
  ASSERT_TRUE(plain_->consume("orders"));
  std::string why;
  const AmqpEnvelope envelope = plain_->next(&why);
  ASSERT_TRUE(envelope) << why;
  EXPECT_EQ(to_string(envelope->message.body), "first");
}

// The exchange is missing, which the broker says at the commit.
TEST_F(AmqpPublish, ACommitThatFailsIsAnErrorWithTheBrokersReason) {
  TracedConnection amqp = connect_traced();
  ASSERT_NE(amqp->tx_select(1), nullptr) << amqp.last_reply();
  ASSERT_EQ(amqp.publish("no such exchange", "a"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->tx_commit(1), nullptr);
  EXPECT_EQ(brief(), R"(
publish no such exchange:a PRODUCER
tx.commit CLIENT
  status ERROR
  error.type = NOT_FOUND
)");
  ASSERT_NE(amqp->reopen_channel(1), nullptr) << amqp.last_reply();
  EXPECT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
}

}  // namespace
}  // namespace midtrace::test
