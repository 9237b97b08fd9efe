// Messages that the broker returns as unroutable are joined to the spans of their publishes.
#include <map>

#include <midtrace/messaging/creation_context.h>

#include "live/amqp_headers.h"
#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

// How the application reads what the broker sends back.
enum class Reading { wait_for_confirms, frames_and_messages, frames_alone };

std::string reading_name(const ::testing::TestParamInfo<Reading>& reading) {
  switch (reading.param) {
    case Reading::wait_for_confirms:
      return "WaitForConfirms";
    case Reading::frames_and_messages:
      return "FramesAndMessages";
    case Reading::frames_alone:
      break;
  }
  return "FramesAlone";
}

class AmqpReturns : public AmqpTraced, public ::testing::WithParamInterface<Reading> {
 protected:
  // An exchange with a queue for the key `known`, and a channel in confirm mode.
  TracedConnection connect_confirming(amqp::Options options = {}) {
    TracedConnection amqp = connect_traced(std::move(options));
    EXPECT_NE(amqp->exchange_declare(1, amqp_text("shop"), amqp_text("direct"), 0, 0, 0, 0, amqp_empty_table),
              nullptr);
    amqp.declare_queue("orders");
    EXPECT_NE(
        amqp->queue_bind(1, amqp_text("orders"), amqp_text("shop"), amqp_text("known"), amqp_empty_table),
        nullptr);
    EXPECT_NE(amqp->confirm_select(1), nullptr) << amqp.last_reply();
    return amqp;
  }

  struct Sent {
    std::string id;
    std::string key = "unknown";
    bool mandatory = true;
  };
  static void publish(TracedConnection& amqp, const Sent& sent, Message&& message = Message()) {
    message.id(sent.id);
    ASSERT_EQ(amqp.publish("shop", sent.key, sent.id, &message.properties, sent.mandatory), AMQP_STATUS_OK);
  }

  // Until everything is confirmed. What came back, by message id.
  static std::vector<std::string> read_all(TracedConnection& amqp) {
    std::vector<std::string> returned;
    const timeval minute{60, 0};
    if (GetParam() == Reading::wait_for_confirms) {
      const amqp::Confirms confirms = amqp->wait_for_confirms(
          1, &minute, [&](const amqp_basic_return_t& method, const amqp_message_t& message) {
            EXPECT_EQ(method.reply_code, AMQP_NO_ROUTE);
            EXPECT_EQ(to_string(message.body), to_string(message.properties.message_id));
            returned.push_back(to_string(message.body));
          });
      EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
      EXPECT_EQ(confirms.returned, returned.size());
      return returned;
    }
    while (amqp->unconfirmed(1) > 0) {
      amqp_frame_t frame;
      const int status = amqp->simple_wait_frame_noblock(&frame, &minute);
      EXPECT_EQ(status, AMQP_STATUS_OK);
      if (status != AMQP_STATUS_OK) break;
      if (frame.frame_type == AMQP_FRAME_BODY) returned.push_back(to_string(frame.payload.body_fragment));
      if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_RETURN_METHOD ||
          GetParam() == Reading::frames_alone)
        continue;
      amqp_message_t message;
      EXPECT_EQ(to_string(amqp->read_message(1, &message, 0)), "normal");
      returned.push_back(to_string(message.body));
      amqp_destroy_message(&message);
    }
    return returned;
  }

  // The publishes by message id, with their error types; "" is success.
  using Outcomes = std::map<std::string, std::string>;
  Outcomes outcomes() {
    Outcomes result;
    for (const testing::OwnedSpan& span : recorder_->spans())
      result[span.attribute("messaging.message.id")] = span.attribute("error.type");
    return result;
  }
};

TEST_P(AmqpReturns, AnUnroutableMessageIsAnErrorWithTheBrokersReason) {
  TracedConnection amqp = connect_confirming();
  publish(amqp, {"lost"});
  EXPECT_EQ(read_all(amqp), std::vector<std::string>{"lost"});
  EXPECT_EQ(tree(), R"(
publish shop:unknown PRODUCER
  status ERROR
  error.type = NO_ROUTE
  messaging.destination.name = shop:unknown
  messaging.message.id = lost
  messaging.operation.name = publish
  messaging.operation.type = send
  messaging.rabbitmq.destination.routing_key = unknown
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_P(AmqpReturns, OnlyThoseThatCameBackFail) {
  TracedConnection amqp = connect_confirming();
  publish(amqp, {"1"});
  publish(amqp, {"2", "known"});
  publish(amqp, {"3", "elsewhere"});
  publish(amqp, {"4", "unknown", false});
  publish(amqp, {"5"});
  publish(amqp, {"6", "known", false});
  EXPECT_EQ(read_all(amqp), (std::vector<std::string>{"1", "3", "5"}));
  EXPECT_EQ(
      outcomes(),
      (Outcomes{{"1", "NO_ROUTE"}, {"2", ""}, {"3", "NO_ROUTE"}, {"4", ""}, {"5", "NO_ROUTE"}, {"6", ""}}));
}

TEST_P(AmqpReturns, AKeyThatLosesItsQueueAndGetsItBack) {
  TracedConnection amqp = connect_confirming();
  publish(amqp, {"1", "known"});
  ASSERT_NE(
      amqp->queue_unbind(1, amqp_text("orders"), amqp_text("shop"), amqp_text("known"), amqp_empty_table),
      nullptr);
  publish(amqp, {"2", "known"});
  publish(amqp, {"3", "known"});
  ASSERT_NE(amqp->queue_bind(1, amqp_text("orders"), amqp_text("shop"), amqp_text("known"), amqp_empty_table),
            nullptr);
  publish(amqp, {"4", "known"});
  EXPECT_EQ(read_all(amqp), (std::vector<std::string>{"2", "3"}));
  EXPECT_EQ(outcomes(), (Outcomes{{"1", ""}, {"2", "NO_ROUTE"}, {"3", "NO_ROUTE"}, {"4", ""}}));
}

TEST_P(AmqpReturns, ManyWithOneAck) {
  TracedConnection amqp = connect_confirming();
  Outcomes expected;
  for (int i = 0; i < 300; ++i) {
    const std::string id = std::to_string(i);
    const bool lost = i % 3 == 0;
    publish(amqp, {id, lost ? "unknown" : "known"});
    expected[id] = lost ? "NO_ROUTE" : "";
  }
  EXPECT_EQ(read_all(amqp).size(), 100U);
  EXPECT_EQ(outcomes(), expected);
}

// The same context in all of them tells nothing; then the route and the order do.
TEST_P(AmqpReturns, MessagesThatCarryNoContextOfTheirOwn) {
  TracedConnection amqp = connect_confirming({.unpropagated_exchanges = {"shop"}});
  publish(amqp, {"1", "known"});
  publish(amqp, {"2"});
  publish(amqp, {"3", "elsewhere"});
  publish(amqp, {"4"});
  publish(amqp, {"5", "known"});
  EXPECT_EQ(read_all(amqp).size(), 3U);
  EXPECT_EQ(outcomes(),
            (Outcomes{{"1", ""}, {"2", "NO_ROUTE"}, {"3", "NO_ROUTE"}, {"4", "NO_ROUTE"}, {"5", ""}}));
}

TEST_P(AmqpReturns, MessagesThatCarryTheContextOfAnOutbox) {
  TracedConnection amqp = connect_confirming();
  Context row;
  row.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  {
    const messaging::CreationContext stored(row);
    publish(amqp, {"1"});
    publish(amqp, {"2", "known"});
    publish(amqp, {"3"});
  }
  EXPECT_EQ(read_all(amqp).size(), 2U);
  EXPECT_EQ(outcomes(), (Outcomes{{"1", "NO_ROUTE"}, {"2", ""}, {"3", "NO_ROUTE"}}));
}

// Every second publish has no span, but may come back.
TEST_P(AmqpReturns, UnsampledOnesThatComeBackAreNotMistakenForOthers) {
  start_recorder({.sampler = parent_based_sampler({.root = always_on_sampler()})});
  TracedConnection amqp = connect_confirming();
  Context unsampled;
  unsampled.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
  ASSERT_NE(
      amqp->queue_unbind(1, amqp_text("orders"), amqp_text("shop"), amqp_text("known"), amqp_empty_table),
      nullptr);
  {
    const Scope scope(unsampled);
    publish(amqp, {"unsampled", "known"});
  }
  ASSERT_NE(amqp->queue_bind(1, amqp_text("orders"), amqp_text("shop"), amqp_text("known"), amqp_empty_table),
            nullptr);
  publish(amqp, {"sampled", "known"});
  EXPECT_EQ(read_all(amqp), std::vector<std::string>{"unsampled"});
  EXPECT_EQ(outcomes(), (Outcomes{{"sampled", ""}}));
}

TEST_P(AmqpReturns, AMessageWithoutABody) {
  TracedConnection amqp = connect_confirming();
  ASSERT_EQ(amqp.publish("shop", "unknown", "", nullptr, true), AMQP_STATUS_OK);
  ASSERT_EQ(amqp.publish("shop", "known", "", nullptr, true), AMQP_STATUS_OK);
  read_all(amqp);
  EXPECT_EQ(brief(), R"(
publish shop:known PRODUCER
publish shop:unknown PRODUCER
  status ERROR
  error.type = NO_ROUTE
)");
}

INSTANTIATE_TEST_SUITE_P(Each, AmqpReturns,
                         ::testing::Values(Reading::wait_for_confirms, Reading::frames_and_messages,
                                           Reading::frames_alone),
                         reading_name);

class AmqpReturned : public AmqpTraced {
 protected:
  static constexpr timeval minute{60, 0};
};

TEST_F(AmqpReturned, WithoutConfirmsItIsTheApplicationsAlone) {
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.publish("", "nowhere", "lost", nullptr, true), AMQP_STATUS_OK);
  EXPECT_EQ(brief(), "\npublish nowhere PRODUCER\n") << "the span was over before";
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
  ASSERT_EQ(frame.payload.method.id, AMQP_BASIC_RETURN_METHOD);
  amqp_message_t message;
  ASSERT_EQ(to_string(amqp->read_message(1, &message, 0)), "normal");
  EXPECT_EQ(to_string(message.body), "lost");
  amqp_destroy_message(&message);
  EXPECT_EQ(brief(), "\npublish nowhere PRODUCER\n") << "and it is not received";
}

TEST_F(AmqpReturned, AFunctionThatThrowsIsCounted) {
  TracedConnection amqp = connect_traced();
  ASSERT_NE(amqp->confirm_select(1), nullptr);
  ASSERT_EQ(amqp.publish("", "nowhere", "lost", nullptr, true), AMQP_STATUS_OK);
  const amqp::Confirms confirms =
      amqp->wait_for_confirms(1, &minute, [](const amqp_basic_return_t&, const amqp_message_t&) { throw 1; });
  EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
  EXPECT_EQ(confirms.returned, 1U);
  EXPECT_EQ(confirms.acked, 1U);
  EXPECT_EQ(recorder_->counters()[Counter::hook_failures], 1U);
}

TEST_F(AmqpReturned, AmongDeliveriesOfTheSameChannel) {
  TracedConnection amqp = connect_traced();
  ASSERT_NE(amqp->confirm_select(1), nullptr);
  amqp.declare_queue("orders");
  ASSERT_TRUE(amqp.consume("orders"));
  std::vector<std::string> returned;
  for (int i = 0; i < 20; ++i) {
    const std::string body = std::to_string(i);
    ASSERT_EQ(amqp.publish("", i % 2 == 0 ? "orders" : "nowhere", body, nullptr, true), AMQP_STATUS_OK);
  }
  const amqp::Confirms confirms =
      amqp->wait_for_confirms(1, &minute, [&](const amqp_basic_return_t&, const amqp_message_t& message) {
        returned.push_back(to_string(message.body));
      });
  EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
  EXPECT_EQ(confirms.acked, 20U);
  EXPECT_EQ(returned, (std::vector<std::string>{"1", "3", "5", "7", "9", "11", "13", "15", "17", "19"}));
  for (int i = 0; i < 20; i += 2) {
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    EXPECT_EQ(to_string(envelope->message.body), std::to_string(i));
  }
  std::map<std::string, int> ended;
  for (const testing::OwnedSpan& span : recorder_->spans())
    ++ended[span.name + ' ' + span.attribute("error.type")];
  EXPECT_EQ(ended, (std::map<std::string, int>{
                       {"publish nowhere NO_ROUTE", 10}, {"publish orders ", 10}, {"receive orders ", 10}}));
}

}  // namespace
}  // namespace midtrace::test
