// Messages that go round through a dead-letter exchange: how often a hop was tried, and that all hops stay
// connected with the publish that began it.
#include "live/amqp_consumer_fixture.h"

namespace midtrace::test {
namespace {

class AmqpDeadLetter : public AmqpConsumerTest {
 protected:
  // work -> (rejected) -> retry -> (expired) -> work
  void declare_cycle(TracedConnection& amqp, std::string_view kind) {
    AmqpTable work;
    work.text("x-queue-type", kind)
        .text("x-dead-letter-exchange", "")
        .text("x-dead-letter-routing-key", "retry");
    ASSERT_EQ(amqp.declare_queue("work", work.get(), true), "work") << amqp.last_reply();
    AmqpTable retry;
    retry.text("x-queue-type", kind)
        .text("x-dead-letter-exchange", "")
        .text("x-dead-letter-routing-key", "work")
        .number("x-message-ttl", 20);
    ASSERT_EQ(amqp.declare_queue("retry", retry.get(), true), "retry") << amqp.last_reply();
    ASSERT_EQ(amqp.declare_queue("parked"), "parked") << amqp.last_reply();
  }

  // Two failures; the third time the message is parked, and somebody looks at it there.
  void go_round(std::string_view kind) {
    TracedConnection amqp = connect_traced({.receive_spans = false});
    declare_cycle(amqp, kind);
    ASSERT_TRUE(amqp.consume("work"));
    ASSERT_TRUE(amqp.consume("parked"));
    {
      auto checkout = start_span("checkout");
      const auto current = checkout.activate();
      send("", "work");
    }
    for (int time = 1; time <= 3; ++time) {
      const AmqpEnvelope envelope = amqp.next();
      ASSERT_TRUE(envelope);
      EXPECT_EQ(to_string(envelope->routing_key), "work");
      EXPECT_EQ(envelope->redelivered, 0);
      recorder_->clock().advance(std::chrono::seconds(1));
      const auto processing = amqp::process(*amqp, *envelope);
      if (time < 3) {
        EXPECT_EQ(amqp->basic_reject(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
        continue;
      }
      EXPECT_EQ(amqp.publish("", "parked"), AMQP_STATUS_OK);
      EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
    }
    const AmqpEnvelope parked = amqp.next();
    ASSERT_TRUE(parked);
    const auto processing = amqp::process(*amqp, *parked);
    EXPECT_EQ(amqp->basic_ack(1, parked->delivery_tag, 0), AMQP_STATUS_OK);
  }
};

constexpr std::string_view cycle_tree = R"(
checkout INTERNAL
  publish work PRODUCER
    process work CONSUMER
      status ERROR
      error.type = reject
      messaging.rabbitmq.message.delivery_tag = 1
      midtrace.process.ended_by = reject
      link -> publish work
      reject work CLIENT
        messaging.rabbitmq.message.delivery_tag = 1
        midtrace.messaging.requeued = false
        link -> publish work
    process work CONSUMER
      status ERROR
      error.type = reject
      messaging.rabbitmq.message.delivery_tag = 2
      midtrace.amqp.first_death.queue = work
      midtrace.amqp.first_death.reason = rejected
      midtrace.messaging.attempt = 2
      midtrace.process.ended_by = reject
      link -> publish work
      reject work CLIENT
        messaging.rabbitmq.message.delivery_tag = 2
        midtrace.messaging.requeued = false
        link -> publish work
    process work CONSUMER
      messaging.rabbitmq.message.delivery_tag = 3
      midtrace.amqp.first_death.queue = work
      midtrace.amqp.first_death.reason = rejected
      midtrace.messaging.attempt = 3
      midtrace.process.ended_by = ack
      link -> publish work
      ack work CLIENT
        messaging.rabbitmq.message.delivery_tag = 3
        link -> publish work
      publish parked PRODUCER
        process parked CONSUMER
          messaging.rabbitmq.message.delivery_tag = 4
          midtrace.process.ended_by = ack
          link -> publish parked
          ack parked CLIENT
            messaging.rabbitmq.message.delivery_tag = 4
            link -> publish parked
)";

TEST_F(AmqpDeadLetter, AClassicRetryCycleIsOneTraceWithItsAttempts) {
  go_round("classic");
  EXPECT_EQ(brief(), cycle_tree);
}

TEST_F(AmqpDeadLetter, AQuorumRetryCycleIsOneTraceWithItsAttempts) {
  go_round("quorum");
  EXPECT_EQ(brief(), cycle_tree);
}

// All three hops by the broker alone: work (rejected) -> retry (expired) -> work (rejected) -> ...
TEST_F(AmqpDeadLetter, WhatDiedInAnExchangeOfItsOwnSaysWhere) {
  TracedConnection amqp = connect_traced();
  ASSERT_NE(amqp->exchange_declare(1, amqp_text("shop"), amqp_text("topic"), 0, 0, 0, 0, amqp_empty_table),
            nullptr);
  ASSERT_NE(amqp->exchange_declare(1, amqp_text("dead"), amqp_text("fanout"), 0, 0, 0, 0, amqp_empty_table),
            nullptr);
  AmqpTable work;
  work.text("x-dead-letter-exchange", "dead");
  ASSERT_EQ(amqp.declare_queue("work", work.get()), "work");
  ASSERT_EQ(amqp.declare_queue("graveyard"), "graveyard");
  ASSERT_NE(amqp->queue_bind(1, amqp_text("work"), amqp_text("shop"), amqp_text("#"), amqp_empty_table),
            nullptr);
  ASSERT_NE(
      amqp->queue_bind(1, amqp_text("graveyard"), amqp_text("dead"), amqp_empty_bytes, amqp_empty_table),
      nullptr);
  ASSERT_TRUE(amqp.consume("work"));
  ASSERT_TRUE(amqp.consume("graveyard"));
  send("shop", "order.new");
  EXPECT_EQ(amqp->basic_reject(1, amqp.next()->delivery_tag, 0), AMQP_STATUS_OK);
  recorder_->clear();
  const AmqpEnvelope dead = amqp.next();
  ASSERT_TRUE(dead);
  EXPECT_EQ(amqp->basic_ack(1, dead->delivery_tag, 0), AMQP_STATUS_OK);
  const testing::OwnedSpan receive = only("receive");
  EXPECT_EQ(receive.name, "receive dead:order.new:graveyard");
  EXPECT_EQ(receive.attribute("midtrace.amqp.first_death.exchange"), "shop");
  EXPECT_EQ(receive.attribute("midtrace.amqp.first_death.queue"), "work");
  EXPECT_EQ(receive.attribute("midtrace.amqp.first_death.reason"), "rejected");
  EXPECT_EQ(receive.attribute("midtrace.messaging.attempt"), "2");
}

// A message that nobody had is new to whoever gets it.
TEST_F(AmqpDeadLetter, WhatOnlyExpiredWasNotTried) {
  TracedConnection amqp = connect_traced();
  AmqpTable waiting;
  waiting.text("x-dead-letter-exchange", "")
      .text("x-dead-letter-routing-key", "work")
      .number("x-message-ttl", 10);
  ASSERT_EQ(amqp.declare_queue("work"), "work");
  ASSERT_EQ(amqp.declare_queue("waiting", waiting.get()), "waiting");
  ASSERT_TRUE(amqp.consume("work"));
  send("", "waiting");
  EXPECT_TRUE(amqp.next());
  EXPECT_EQ(only("receive").attribute("midtrace.messaging.attempt"), "");
  EXPECT_EQ(only("receive").attribute("midtrace.amqp.first_death.reason"), "expired");
}

// --- What the broker counts.

std::string delivery_count(const amqp_envelope_t& envelope) {
  const amqp_basic_properties_t& properties = envelope.message.properties;
  if ((properties._flags & AMQP_BASIC_HEADERS_FLAG) == 0) return "absent";
  for (int at = 0; at < properties.headers.num_entries; ++at) {
    const amqp_table_entry_t& entry = properties.headers.entries[at];
    if (to_string(entry.key) != "x-delivery-count") continue;
    switch (entry.value.kind) {
      case AMQP_FIELD_KIND_I64:
        return std::to_string(entry.value.value.i64);
      case AMQP_FIELD_KIND_I32:
        return std::to_string(entry.value.value.i32);
      case AMQP_FIELD_KIND_U8:
        return std::to_string(entry.value.value.u8);
      case AMQP_FIELD_KIND_I8:
        return std::to_string(entry.value.value.i8);
      default:
        return std::string("kind ") + static_cast<char>(entry.value.kind);
    }
  }
  return "absent";
}

TEST_F(AmqpDeadLetter, AQuorumQueueCountsItsDeliveries) {
  TracedConnection amqp = connect_traced();
  AmqpTable quorum;
  quorum.text("x-queue-type", "quorum");
  ASSERT_EQ(amqp.declare_queue("work", quorum.get(), true), "work") << amqp.last_reply();
  ASSERT_TRUE(amqp.consume("work"));
  send("", "work");
  for (int time = 1; time <= 3; ++time) {
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    // What provenance.h relies on.
    if (time == 1) {
      EXPECT_THAT(delivery_count(*envelope), ::testing::AnyOf("0", "absent"));
    } else {
      EXPECT_EQ(delivery_count(*envelope), std::to_string(time - 1));
    }
    EXPECT_EQ(envelope->redelivered, time > 1 ? 1 : 0);
    {
      const auto processing = amqp::process(*amqp, *envelope);
      EXPECT_EQ(amqp->basic_nack(1, envelope->delivery_tag, 0, 1), AMQP_STATUS_OK);
    }
    for (const char* operation : {"receive", "process"}) {
      const testing::OwnedSpan span = only(operation);
      EXPECT_EQ(span.attribute("midtrace.messaging.attempt"), time > 1 ? std::to_string(time) : "");
      EXPECT_EQ(span.attribute("midtrace.messaging.redelivered"), time > 1 ? "true" : "");
    }
    recorder_->clear();
  }
}

TEST_F(AmqpDeadLetter, WhatCameBackTooOftenWasTried) {
  TracedConnection amqp = connect_traced();
  AmqpTable work;
  work.text("x-queue-type", "quorum")
      .text("x-dead-letter-exchange", "")
      .text("x-dead-letter-routing-key", "graveyard")
      .number("x-delivery-limit", 1);
  ASSERT_EQ(amqp.declare_queue("work", work.get(), true), "work") << amqp.last_reply();
  ASSERT_EQ(amqp.declare_queue("graveyard"), "graveyard");
  ASSERT_TRUE(amqp.consume("work"));
  ASSERT_TRUE(amqp.consume("graveyard"));
  send("", "work");
  for (int time = 1; time <= 2; ++time)
    EXPECT_EQ(amqp->basic_nack(1, amqp.next()->delivery_tag, 0, 1), AMQP_STATUS_OK);
  recorder_->clear();
  const AmqpEnvelope dead = amqp.next();
  ASSERT_TRUE(dead);
  EXPECT_EQ(to_string(dead->routing_key), "graveyard");
  EXPECT_EQ(only("receive").attribute("midtrace.amqp.first_death.reason"), "delivery_limit");
  EXPECT_EQ(only("receive").attribute("midtrace.messaging.attempt"), "2");
}

TEST_F(AmqpDeadLetter, AClassicQueueDoesNotCountItsDeliveries) {
  TracedConnection amqp = consumer_of("work");
  send("", "work");
  for (int time = 1; time <= 2; ++time) {
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    EXPECT_EQ(delivery_count(*envelope), "absent");
    EXPECT_EQ(amqp->basic_nack(1, envelope->delivery_tag, 0, 1), AMQP_STATUS_OK);
    EXPECT_EQ(only("receive").attribute("midtrace.messaging.attempt"), "");
    EXPECT_EQ(only("receive").attribute("midtrace.messaging.redelivered"), time > 1 ? "true" : "");
    recorder_->clear();
  }
}

// Requeued twice, then rejected: the count of the first queue is not the second's.
TEST_F(AmqpDeadLetter, AnotherQueuesCountIsNotThisOnes) {
  TracedConnection amqp = connect_traced();
  AmqpTable work;
  work.text("x-queue-type", "quorum")
      .text("x-dead-letter-exchange", "")
      .text("x-dead-letter-routing-key", "graveyard");
  ASSERT_EQ(amqp.declare_queue("work", work.get(), true), "work") << amqp.last_reply();
  AmqpTable graveyard;
  graveyard.text("x-queue-type", "quorum");
  ASSERT_EQ(amqp.declare_queue("graveyard", graveyard.get(), true), "graveyard") << amqp.last_reply();
  ASSERT_TRUE(amqp.consume("work"));
  ASSERT_TRUE(amqp.consume("graveyard"));
  send("", "work");
  for (int time = 1; time <= 3; ++time)
    EXPECT_EQ(amqp->basic_nack(1, amqp.next()->delivery_tag, 0, time < 3 ? 1 : 0), AMQP_STATUS_OK);
  recorder_->clear();
  const AmqpEnvelope dead = amqp.next();
  ASSERT_TRUE(dead);
  EXPECT_EQ(to_string(dead->routing_key), "graveyard");
  EXPECT_EQ(dead->redelivered, 0);
  // One rejection before this delivery.
  EXPECT_EQ(only("receive").attribute("midtrace.messaging.attempt"), "2");
}

}  // namespace
}  // namespace midtrace::test
