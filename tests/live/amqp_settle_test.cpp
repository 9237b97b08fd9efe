// Settlements: which span each of them is, what it covers, and what it makes of the process spans.
#include "live/amqp_consumer_fixture.h"

#include <map>

namespace midtrace::test {
namespace {

class AmqpSettle : public AmqpConsumerTest {
 protected:
  // One message, processed and then settled after its scope.
  void process_and_settle(const std::function<int(amqp::Connection&, std::uint64_t tag)>& settle) {
    TracedConnection amqp = consumer_of("orders", {.receive_spans = false});
    send("", "orders");
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    { const auto processing = amqp::process(*amqp, *envelope); }
    EXPECT_EQ(settle(*amqp, envelope->delivery_tag), AMQP_STATUS_OK);
    EXPECT_EQ(all_of("process").size(), 1U);
  }
  // "tag ended by" of each process span.
  std::map<std::string, std::string> endings() {
    std::map<std::string, std::string> result;
    for (const testing::OwnedSpan& process : all_of("process")) {
      result[process.attribute("messaging.rabbitmq.message.delivery_tag")] =
          process.attribute("midtrace.process.ended_by");
    }
    return result;
  }
  // Works on as many deliveries, each in a scope of its own.
  void process_each(TracedConnection& amqp, std::size_t count) {
    for (std::size_t at = 0; at < count; ++at) {
      const AmqpEnvelope envelope = amqp.next();
      ASSERT_TRUE(envelope);
      const auto processing = amqp::process(*amqp, *envelope);
    }
  }
};

using Endings = std::map<std::string, std::string>;

TEST_F(AmqpSettle, ANackWithRequeueIsAnErrorOfTheWorkAndNotOfTheNack) {
  process_and_settle([](amqp::Connection& amqp, std::uint64_t tag) { return amqp.basic_nack(1, tag, 0, 1); });
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    status ERROR
    error.type = nack
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = nack
    link -> publish orders
    nack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      midtrace.messaging.requeued = true
      link -> publish orders
)");
}

TEST_F(AmqpSettle, ANackWithoutRequeueSaysSo) {
  process_and_settle([](amqp::Connection& amqp, std::uint64_t tag) { return amqp.basic_nack(1, tag, 0, 0); });
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    status ERROR
    error.type = nack
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = nack
    link -> publish orders
    nack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      midtrace.messaging.requeued = false
      link -> publish orders
)");
}

TEST_F(AmqpSettle, ARejectIsAnErrorOfTheWork) {
  process_and_settle([](amqp::Connection& amqp, std::uint64_t tag) { return amqp.basic_reject(1, tag, 0); });
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    status ERROR
    error.type = reject
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = reject
    link -> publish orders
    reject orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      midtrace.messaging.requeued = false
      link -> publish orders
)");
}

TEST_F(AmqpSettle, ARequeuedMessageComesAgainAndSaysThatItDoes) {
  {
    TracedConnection amqp = consumer_of("orders");
    send("", "orders");
    for (int time = 1; time <= 2; ++time) {
      const AmqpEnvelope envelope = amqp.next();
      ASSERT_TRUE(envelope);
      EXPECT_EQ(envelope->redelivered, time - 1);
      const auto processing = amqp::process(*amqp, *envelope);
      EXPECT_EQ(time == 1 ? amqp->basic_reject(1, envelope->delivery_tag, 1)
                          : amqp->basic_ack(1, envelope->delivery_tag, 0),
                AMQP_STATUS_OK);
    }
  }
  // A classic queue does not count, so there is no attempt.
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 2
    midtrace.messaging.redelivered = true
    midtrace.process.ended_by = ack
    link -> publish orders
    ack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 2
      link -> publish orders
  process orders CONSUMER
    status ERROR
    error.type = reject
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = reject
    link -> publish orders
    reject orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      midtrace.messaging.requeued = true
      link -> publish orders
receive orders CLIENT
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish orders
receive orders CLIENT
  messaging.rabbitmq.message.delivery_tag = 2
  midtrace.messaging.redelivered = true
  link -> publish orders
)");
}

TEST_F(AmqpSettle, TheIdsOfTheOneMessageAreOnItsSettlement) {
  TracedConnection amqp = consumer_of("orders");
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG;
  properties.message_id = amqp_text("order-1");
  properties.correlation_id = amqp_text("basket-1");
  send("", "orders", "order", &properties);
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  EXPECT_EQ(only("ack").attribute("messaging.message.id"), "order-1");
  EXPECT_EQ(only("ack").attribute("messaging.message.conversation_id"), "basket-1");
}

TEST_F(AmqpSettle, AMultipleAckSettlesWhatCameBeforeAndNothingElse) {
  TracedConnection amqp = consumer_of("orders", {.receive_spans = false});
  send_many("orders", 5);
  process_each(amqp, 5);
  EXPECT_EQ(amqp->basic_ack(1, 2, 0), AMQP_STATUS_OK);
  EXPECT_EQ(endings(), (Endings{{"2", "ack"}}));
  EXPECT_EQ(amqp->basic_ack(1, 4, 1), AMQP_STATUS_OK);
  EXPECT_EQ(endings(), (Endings{{"1", "ack"}, {"2", "ack"}, {"3", "ack"}, {"4", "ack"}}));
  const testing::OwnedSpan multiple = all_of("ack").back();
  EXPECT_EQ(multiple.links.size(), 3U);
  EXPECT_EQ(multiple.attribute("messaging.batch.message_count"), "3");
  // Tag 0 means all.
  EXPECT_EQ(amqp->basic_ack(1, 0, 1), AMQP_STATUS_OK);
  EXPECT_EQ(all_of("ack").back().links.size(), 1U);
  EXPECT_EQ(all_of("ack").back().attribute("messaging.rabbitmq.message.delivery_tag"), "");
  EXPECT_EQ(endings().size(), 5U);
  // All of them are settled for the broker, too.
  EXPECT_NE(amqp->basic_recover(1, 1), nullptr);
  EXPECT_EQ(ready_in(amqp, "orders"), 0U);
}

TEST_F(AmqpSettle, AMultipleNackRequeuesAllThatItCovers) {
  {
    TracedConnection amqp = connect_traced({.receive_spans = false});
    ASSERT_EQ(amqp.declare_queue("orders"), "orders");
    ASSERT_TRUE(amqp.consume("orders"));
    send_many("orders", 2);
    process_each(amqp, 2);
    EXPECT_EQ(amqp->basic_nack(1, 2, 1, 1), AMQP_STATUS_OK);
    AmqpEnvelopes again;
    take(amqp, 2, again);
    ASSERT_EQ(again.size(), 2U);
    EXPECT_EQ(again[0].delivery_tag, 3U);
    EXPECT_TRUE(again[0].redelivered != 0 && again[1].redelivered != 0);
    EXPECT_EQ(amqp->basic_ack(1, 0, 1), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), R"(
ack orders CLIENT
  messaging.batch.message_count = 2
  link -> publish orders {messaging.rabbitmq.message.delivery_tag = 3}
  link -> publish orders {messaging.rabbitmq.message.delivery_tag = 4}
nack orders CLIENT
  messaging.batch.message_count = 2
  messaging.rabbitmq.message.delivery_tag = 2
  midtrace.messaging.requeued = true
  link -> publish orders {messaging.rabbitmq.message.delivery_tag = 1}
  link -> publish orders {messaging.rabbitmq.message.delivery_tag = 2}
publish orders PRODUCER
  process orders CONSUMER
    status ERROR
    error.type = nack
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = nack
    link -> publish orders
publish orders PRODUCER
  process orders CONSUMER
    status ERROR
    error.type = nack
    messaging.rabbitmq.message.delivery_tag = 2
    midtrace.process.ended_by = nack
    link -> publish orders
)");
}

TEST_F(AmqpSettle, SettlementsAreByChannel) {
  TracedConnection amqp = connect_traced({.receive_spans = false});
  ASSERT_NE(amqp->channel_open(2), nullptr);
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  send_many("orders", 2);
  for (const amqp_channel_t channel : {amqp_channel_t{1}, amqp_channel_t{2}}) {
    ASSERT_EQ(to_string(amqp->basic_get(channel, amqp_text("orders"), 0)), "normal");
    amqp_message_t message;
    ASSERT_EQ(to_string(amqp->read_message(channel, &message, 0)), "normal");
    { const auto processing = amqp::process(*amqp, channel, 1, message); }
    amqp_destroy_message(&message);
  }
  EXPECT_EQ(amqp->basic_ack(2, 1, 0), AMQP_STATUS_OK);
  const testing::OwnedSpan second = only("process");
  EXPECT_EQ(only("ack").links.at(0).context.trace_id, second.context.trace_id);
  EXPECT_EQ(amqp->basic_nack(1, 0, 1, 1), AMQP_STATUS_OK);
  EXPECT_EQ(all_of("process").size(), 2U);
  EXPECT_EQ(all_of("process").back().attribute("midtrace.process.ended_by"), "nack");
}

TEST_F(AmqpSettle, AnUnknownTagHasASpanWithoutALinkAndTheChannelsEndFollows) {
  TracedConnection amqp = consumer_of("orders");
  send("", "orders");
  process_each(amqp, 1);
  EXPECT_EQ(amqp->basic_ack(1, 4711, 0), AMQP_STATUS_OK);  // for all that the client knows
  const testing::OwnedSpan ack = only("ack");
  EXPECT_EQ(ack.name, "ack");
  EXPECT_TRUE(ack.links.empty());
  EXPECT_EQ(ack.attribute("messaging.rabbitmq.message.delivery_tag"), "4711");
  EXPECT_EQ(all_of("process").size(), 0U);
  // The broker closes the channel, which the next call learns.
  EXPECT_EQ(amqp.declare_queue("another"), "");
  EXPECT_THAT(amqp.last_reply(), ::testing::StartsWith("406 PRECONDITION_FAILED"));
  const testing::OwnedSpan process = only("process");
  EXPECT_EQ(process.attribute("midtrace.process.ended_by"), "channel_closed");
  EXPECT_EQ(process.attribute("error.type"), "PRECONDITION_FAILED");
}

TEST_F(AmqpSettle, RecoverEndsTheWorkAndTheMessagesComeAgain) {
  {
    TracedConnection amqp = consumer_of("orders", {.receive_spans = false});
    send("", "orders");
    process_each(amqp, 1);
    EXPECT_NE(amqp->basic_recover(1, 1), nullptr) << amqp.last_reply();
    const AmqpEnvelope again = amqp.next();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->delivery_tag, 2U);
    const auto processing = amqp::process(*amqp, *again);
    EXPECT_EQ(amqp->basic_ack(1, again->delivery_tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 2
    midtrace.messaging.redelivered = true
    midtrace.process.ended_by = ack
    link -> publish orders
    ack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 2
      link -> publish orders
  process orders CONSUMER
    status ERROR
    error.type = recover
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = recover
    link -> publish orders
)");
}

TEST_F(AmqpSettle, InATransactionTheCommitEndsTheWork) {
  TracedConnection amqp = connect_traced({.receive_spans = false});
  ASSERT_NE(amqp->tx_select(1), nullptr);
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  ASSERT_TRUE(amqp.consume("orders"));
  send_many("orders", 3);
  process_each(amqp, 3);
  EXPECT_EQ(amqp->basic_ack(1, 1, 0), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->basic_nack(1, 2, 0, 0), AMQP_STATUS_OK);
  EXPECT_EQ(all_of("ack").size(), 1U);
  EXPECT_EQ(endings(), Endings{});
  EXPECT_NE(amqp->tx_commit(1), nullptr);
  EXPECT_EQ(endings(), (Endings{{"1", "ack"}, {"2", "nack"}}));
  EXPECT_EQ(only("tx.commit").name, "tx.commit");
  // The third was not settled, so it is another transaction's.
  EXPECT_EQ(amqp->basic_ack(1, 3, 0), AMQP_STATUS_OK);
  EXPECT_NE(amqp->tx_commit(1), nullptr);
  EXPECT_EQ(endings(), (Endings{{"1", "ack"}, {"2", "nack"}, {"3", "ack"}}));
}

TEST_F(AmqpSettle, ARollbackUnsettlesWhatItCovered) {
  TracedConnection amqp = connect_traced({.receive_spans = false});
  ASSERT_NE(amqp->tx_select(1), nullptr);
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  ASSERT_TRUE(amqp.consume("orders"));
  send_many("orders", 2);
  process_each(amqp, 2);
  EXPECT_EQ(amqp->basic_nack(1, 0, 1, 0), AMQP_STATUS_OK);
  EXPECT_NE(amqp->tx_rollback(1), nullptr);
  EXPECT_EQ(endings(), Endings{});
  EXPECT_EQ(amqp->basic_ack(1, 2, 1), AMQP_STATUS_OK);
  EXPECT_EQ(all_of("ack").back().links.size(), 2U);
  EXPECT_NE(amqp->tx_commit(1), nullptr);
  EXPECT_EQ(endings(), (Endings{{"1", "ack"}, {"2", "ack"}}));
}

TEST_F(AmqpSettle, WorkThatOneMultipleAckSettlesIsItsParent) {
  TracedConnection amqp = consumer_of("orders", {.receive_spans = false});
  send_many("orders", 2);
  AmqpEnvelopes batch;
  take(amqp, 2, batch);
  ASSERT_EQ(batch.size(), 2U);
  { const auto processing = amqp::process(*amqp, batch.all()); }
  EXPECT_EQ(amqp->basic_ack(1, 2, 1), AMQP_STATUS_OK);
  EXPECT_EQ(only("ack").parent_span_id, only("process").context.span_id);
}

TEST_F(AmqpSettle, AnUnsampledMessageHasNoSpansAndIsSettledAllTheSame) {
  TracedConnection amqp = consumer_of("orders");
  const auto peer = connect();
  AmqpTable headers;
  headers.text("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_HEADERS_FLAG;
  properties.headers = headers.get();
  start_recorder({.sampler = parent_based_sampler({})});
  ASSERT_EQ(peer->publish("", "orders", "order", &properties), AMQP_STATUS_OK);
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    const auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(Context::current().span.trace_id, TraceId::from_hex("0af7651916cd43dd8448eb211c80319c"));
    EXPECT_FALSE(Context::current().span.flags.sampled());
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), "\n");
  EXPECT_EQ(ready_in(amqp, "orders"), 0U);
}

}  // namespace
}  // namespace midtrace::test
