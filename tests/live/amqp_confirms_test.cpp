// Publisher confirms: a publish span ends when the broker says what became of the message.
#include <algorithm>
#include <map>

#include "live/amqp_headers.h"
#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

using std::chrono::milliseconds;

class AmqpConfirms : public AmqpTraced {
 protected:
  // With channel 1 in confirm mode.
  TracedConnection connect_confirming(amqp::Options options = {}) {
    TracedConnection amqp = connect_traced(std::move(options));
    EXPECT_NE(amqp->confirm_select(1), nullptr) << amqp.last_reply();
    return amqp;
  }
  // Takes one message at most and refuses the others.
  static std::string declare_full_queue(TracedConnection& amqp) {
    std::vector<amqp_table_entry_t> arguments{int_entry("x-max-length", 1),
                                              text_entry("x-overflow", "reject-publish")};
    return amqp.declare_queue("narrow", table_of(arguments));
  }
  // How many publish spans ended, by their error type; "" is success.
  std::map<std::string, std::size_t> outcomes() {
    std::map<std::string, std::size_t> result;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.name.starts_with("publish")) ++result[span.attribute("error.type")];
    }
    return result;
  }
  using Outcomes = std::map<std::string, std::size_t>;

  static constexpr timeval minute{60, 0};
};

TEST_F(AmqpConfirms, APublishLastsUntilItsAck) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->unconfirmed(1), 1U);
  EXPECT_EQ(tree(), "\n") << "it is open";
  recorder_->clock().advance(milliseconds(7));
  const amqp::Confirms confirms = amqp->wait_for_confirms(1, &minute);
  EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
  EXPECT_EQ(confirms.acked, 1U);
  EXPECT_EQ(confirms.nacked, 0U);
  EXPECT_EQ(amqp->unconfirmed(1), 0U);
  EXPECT_EQ(tree({.durations = true}), R"(
publish orders PRODUCER 7ms
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

TEST_F(AmqpConfirms, WithoutATimeoutItWaitsAsLongAsItTakes) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  const amqp::Confirms confirms = amqp->wait_for_confirms(1, nullptr);
  EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
  EXPECT_EQ(confirms.acked, 10U);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 10}}));
}

TEST_F(AmqpConfirms, NothingPublishedIsNothingToWaitFor) {
  TracedConnection amqp = connect_confirming();
  EXPECT_EQ(amqp->wait_for_confirms(1, nullptr).status, AMQP_STATUS_OK);
}

TEST_F(AmqpConfirms, AChannelWithoutConfirmsHasNothingToWaitFor) {
  TracedConnection amqp = connect_traced();
  EXPECT_EQ(amqp->wait_for_confirms(1, nullptr).status, AMQP_STATUS_UNEXPECTED_STATE);
  EXPECT_EQ(amqp->wait_for_confirms(7, nullptr).status, AMQP_STATUS_UNEXPECTED_STATE) << "never opened";
  EXPECT_EQ(amqp->unconfirmed(7), 0U);
}

// The broker answers for many at once when it can.
TEST_F(AmqpConfirms, OneAckMayBeForMany) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders", amqp_empty_table, true);
  bool multiple = false;
  std::size_t published = 0;
  for (int round = 0; round < 100 && !multiple; ++round) {
    Message persistent;
    persistent.properties._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
    persistent.properties.delivery_mode = 2;
    for (int i = 0; i < 500; ++i)
      ASSERT_EQ(amqp.publish("", "orders", "order", &persistent.properties), AMQP_STATUS_OK);
    published += 500;
    while (amqp->unconfirmed(1) > 0) {
      amqp->maybe_release_buffers();
      amqp_frame_t frame;
      ASSERT_EQ(amqp->simple_wait_frame_noblock(&frame, &minute), AMQP_STATUS_OK);
      ASSERT_EQ(frame.payload.method.id, AMQP_BASIC_ACK_METHOD);
      const auto* ack = static_cast<const amqp_basic_ack_t*>(frame.payload.method.decoded);
      if (ack->multiple != 0) multiple = true;
    }
    EXPECT_EQ(outcomes(), (Outcomes{{"", published}}));
  }
  EXPECT_TRUE(multiple) << "the broker never coalesced";
}

TEST_F(AmqpConfirms, ANackIsAnError) {
  TracedConnection amqp = connect_confirming();
  ASSERT_EQ(declare_full_queue(amqp), "narrow") << amqp.last_reply();
  ASSERT_EQ(amqp.publish("", "narrow"), AMQP_STATUS_OK);
  const amqp::Confirms taken = amqp->wait_for_confirms(1, &minute);
  EXPECT_EQ(taken.acked, 1U);
  recorder_->clock().advance(milliseconds(1));
  ASSERT_EQ(amqp.publish("", "narrow"), AMQP_STATUS_OK);
  ASSERT_EQ(amqp.publish("", "narrow"), AMQP_STATUS_OK);
  const amqp::Confirms refused = amqp->wait_for_confirms(1, &minute);
  EXPECT_EQ(refused.status, AMQP_STATUS_OK);
  EXPECT_EQ(refused.acked, 0U);
  EXPECT_EQ(refused.nacked, 2U);
  EXPECT_EQ(brief(), R"(
publish narrow PRODUCER
publish narrow PRODUCER
  status ERROR
  error.type = nack
publish narrow PRODUCER
  status ERROR
  error.type = nack
)");
}

TEST_F(AmqpConfirms, ConfirmsAreAlsoSeenByWhoReadsFrames) {
  TracedConnection amqp = connect_confirming();
  ASSERT_EQ(declare_full_queue(amqp), "narrow") << amqp.last_reply();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(amqp.publish("", "narrow"), AMQP_STATUS_OK);
    while (amqp->unconfirmed(1) > 0) {
      amqp_frame_t frame;
      ASSERT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
    }
  }
  EXPECT_EQ(outcomes(), (Outcomes{{"", 1}, {"nack", 2}}));
}

// rabbitmq-c queues what comes while it waits for the answer of another call.
TEST_F(AmqpConfirms, ConfirmsThatCameDuringAnotherCallAreFound) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  while (amqp_frames_enqueued(amqp->get()) == 0)
    ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  EXPECT_EQ(amqp->unconfirmed(1), 1U) << "nobody has read it yet";
  EXPECT_EQ(amqp->wait_for_confirms(1, &minute).acked, 1U);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 1}}));
}

TEST_F(AmqpConfirms, ChannelsCountForThemselves) {
  TracedConnection amqp = connect_confirming();
  ASSERT_NE(amqp->channel_open(2), nullptr);
  ASSERT_NE(amqp->confirm_select(2), nullptr);
  amqp.declare_queue("orders");
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  ASSERT_EQ(amqp->basic_publish(2, amqp_empty_bytes, amqp_text("orders"), 0, 0, nullptr, amqp_text("x")),
            AMQP_STATUS_OK);
  EXPECT_EQ(amqp->unconfirmed(1), 3U);
  EXPECT_EQ(amqp->unconfirmed(2), 1U);
  EXPECT_EQ(amqp->wait_for_confirms(1, &minute).acked, 3U);
  const amqp::Confirms second = amqp->wait_for_confirms(2, &minute);
  EXPECT_EQ(second.status, AMQP_STATUS_OK) << "perhaps they came while the first was waited for";
  EXPECT_LE(second.acked, 1U);
  EXPECT_EQ(amqp->unconfirmed(2), 0U);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 4}}));
}

TEST_F(AmqpConfirms, DeliveriesThatComeMeanwhileAreKeptAndTracedWhenTheyAreHandedOut) {
  constexpr int count = 40;
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  ASSERT_TRUE(amqp.consume("orders"));
  for (int i = 0; i < count; ++i)
    ASSERT_EQ(amqp.publish("", "orders", std::to_string(i)), AMQP_STATUS_OK);
  const amqp::Confirms confirms = amqp->wait_for_confirms(1, &minute);
  EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
  EXPECT_EQ(confirms.acked, static_cast<std::uint64_t>(count));
  EXPECT_EQ(recorder_->spans().size(), static_cast<std::size_t>(count)) << "only the publishes";
  for (int i = 0; i < count; ++i) {
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    EXPECT_EQ(to_string(envelope->message.body), std::to_string(i));
    EXPECT_EQ(envelope->delivery_tag, static_cast<std::uint64_t>(i + 1));
    EXPECT_EQ(recorder_->spans().size(), static_cast<std::size_t>(count + i + 1));
    EXPECT_EQ(recorder_->spans().back().name, "receive orders");
  }
  EXPECT_EQ(amqp->basic_ack(1, count, 1), AMQP_STATUS_OK);
}

// Those that were put aside are freed with the connection.
TEST_F(AmqpConfirms, DeliveriesThatNobodyTookAreNotLost) {
  {
    TracedConnection amqp = connect_confirming();
    amqp.declare_queue("orders");
    ASSERT_TRUE(amqp.consume("orders"));
    for (int i = 0; i < 20; ++i)
      ASSERT_EQ(amqp.publish("", "orders", std::to_string(i)), AMQP_STATUS_OK);
    EXPECT_EQ(amqp->wait_for_confirms(1, &minute).acked, 20U);
  }
  TracedConnection amqp = connect_traced();
  ASSERT_TRUE(amqp.consume("orders"));
  for (int i = 0; i < 20; ++i) {
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    EXPECT_EQ(to_string(envelope->message.body), std::to_string(i));
  }
}

TEST_F(AmqpConfirms, WhatIsNoConfirmIsLeftToTheApplication) {
  TracedConnection amqp = connect_confirming({.consumer_cancel_notify = true});
  amqp.declare_queue("orders");
  amqp.declare_queue("doomed");
  ASSERT_TRUE(amqp.consume("doomed"));
  const auto other = connect();
  ASSERT_NE(amqp_queue_delete(other->state(), 1, amqp_text("doomed"), 0, 0), nullptr);
  // The cancellation is on its way; whether it overtakes a confirm is the broker's business.
  std::uint64_t acked = 0;
  std::uint64_t published = 0;
  amqp::Confirms confirms;
  do {
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
    ++published;
    confirms = amqp->wait_for_confirms(1, &minute);
    acked += confirms.acked;
  } while (confirms.status == AMQP_STATUS_OK);
  ASSERT_EQ(confirms.status, AMQP_STATUS_UNEXPECTED_STATE);
  EXPECT_EQ(amqp->wait_for_confirms(1, nullptr).status, AMQP_STATUS_UNEXPECTED_STATE) << "still there";
  amqp_envelope_t none;
  EXPECT_EQ(amqp->consume_message(&none, nullptr, 0).library_error, AMQP_STATUS_UNEXPECTED_STATE);
  amqp->maybe_release_buffers();
  amqp->maybe_release_buffers_on_channel(1);
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
  ASSERT_EQ(frame.frame_type, AMQP_FRAME_METHOD);
  EXPECT_EQ(frame.payload.method.id, AMQP_BASIC_CANCEL_METHOD);
  acked += amqp->wait_for_confirms(1, &minute).acked;
  EXPECT_EQ(acked, published);
  EXPECT_EQ(outcomes(), (Outcomes{{"", published}}));
}

TEST_F(AmqpConfirms, AChannelThatTheBrokerClosesMeanwhileIsToldByItsFrame) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  ASSERT_EQ(amqp->wait_for_confirms(1, &minute).acked, 1U);
  ASSERT_EQ(amqp.publish("no such exchange", "a"), AMQP_STATUS_OK);
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->wait_for_confirms(1, &minute).status, AMQP_STATUS_UNEXPECTED_STATE);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 1}, {"NOT_FOUND", 2}})) << "the broker has read neither";
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
  EXPECT_EQ(frame.payload.method.id, AMQP_CHANNEL_CLOSE_METHOD);
  ASSERT_NE(amqp->reopen_channel(1), nullptr) << amqp.last_reply();
  ASSERT_NE(amqp->confirm_select(1), nullptr);
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->wait_for_confirms(1, &minute).acked, 1U) << "the numbers began anew";
  EXPECT_EQ(outcomes(), (Outcomes{{"", 2}, {"NOT_FOUND", 2}}));
}

// The status alone is enough for an application that knows what it means.
TEST_F(AmqpConfirms, AChannelMayBeReopenedWithoutReadingTheFrameThatClosedIt) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  ASSERT_EQ(amqp.publish("no such exchange", "a"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->wait_for_confirms(1, &minute).status, AMQP_STATUS_UNEXPECTED_STATE);
  ASSERT_NE(amqp->reopen_channel(1), nullptr) << amqp.last_reply();
  ASSERT_NE(amqp->confirm_select(1), nullptr);
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  const amqp::Confirms confirms = amqp->wait_for_confirms(1, &minute);
  EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
  EXPECT_EQ(confirms.acked, 1U);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 1}, {"NOT_FOUND", 1}}));
}

// Acks of before the channel was closed that nobody has read are not taken for those of its successor.
TEST_F(AmqpConfirms, AReopenedChannelDoesNotTakeTheAcksOfItsPredecessor) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  ASSERT_EQ(declare_full_queue(amqp), "narrow");
  ASSERT_EQ(amqp.publish("", "narrow"), AMQP_STATUS_OK);  // full from now on
  while (amqp_frames_enqueued(amqp->get()) == 0)
    ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  EXPECT_EQ(amqp->queue_declare(1, amqp_text("missing"), 1, 0, 0, 0, amqp_empty_table), nullptr);
  ASSERT_NE(amqp->reopen_channel(1), nullptr) << amqp.last_reply();
  ASSERT_NE(amqp->confirm_select(1), nullptr);
  ASSERT_EQ(amqp.publish("", "narrow"), AMQP_STATUS_OK);
  const amqp::Confirms confirms = amqp->wait_for_confirms(1, &minute);
  EXPECT_EQ(confirms.status, AMQP_STATUS_OK);
  EXPECT_EQ(confirms.acked, 0U);
  EXPECT_EQ(confirms.nacked, 1U);
  EXPECT_EQ(outcomes(), (Outcomes{{"NOT_FOUND", 1}, {"nack", 1}}));
}

TEST_F(AmqpConfirms, AChannelThatWasPutIntoConfirmModeElsewhereHasSpansForTheCall) {
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("orders");
  ASSERT_NE(amqp_confirm_select(amqp->get(), 1), nullptr);
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 1}}));
  EXPECT_EQ(amqp->unconfirmed(1), 0U);
  EXPECT_EQ(amqp->wait_for_confirms(1, nullptr).status, AMQP_STATUS_UNEXPECTED_STATE);
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
  EXPECT_EQ(frame.payload.method.id, AMQP_BASIC_ACK_METHOD);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 1}}));
}

TEST_F(AmqpConfirms, ABorrowedConnectionIsTraced) {
  const auto plain = connect();
  ASSERT_NE(amqp_confirm_select(plain->state(), 1), nullptr);
  plain->declare_queue("orders");
  {
    amqp::Connection amqp(plain->state());
    ASSERT_EQ(amqp.basic_publish(1, amqp_empty_bytes, amqp_text("orders"), 0, 0, nullptr, amqp_text("order")),
              AMQP_STATUS_OK);
    EXPECT_EQ(tree(), R"(
publish orders PRODUCER
  messaging.destination.name = orders
  messaging.operation.name = publish
  messaging.operation.type = send
  messaging.rabbitmq.destination.routing_key = orders
  messaging.system = rabbitmq
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)") << "the virtual host is not known";
  }
  EXPECT_NE(amqp_queue_purge(plain->state(), 1, amqp_text("orders")), nullptr) << "the connection lives on";
}

TEST_F(AmqpConfirms, ByOptionThePublishEndsWithTheCall) {
  TracedConnection amqp = connect_confirming({.end_publish_at = amqp::PublishEnd::call});
  ASSERT_EQ(declare_full_queue(amqp), "narrow");
  ASSERT_EQ(amqp.publish("", "narrow"), AMQP_STATUS_OK);
  ASSERT_EQ(amqp.publish("", "narrow"), AMQP_STATUS_OK);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 2}}));
  const amqp::Confirms confirms = amqp->wait_for_confirms(1, &minute);
  EXPECT_EQ(confirms.acked, 1U) << "they are counted all the same";
  EXPECT_EQ(confirms.nacked, 1U);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 2}}));
}

TEST_F(AmqpConfirms, UnsampledPublishesAreConfirmedToo) {
  start_recorder({.sampler = always_off_sampler()});
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->unconfirmed(1), 100U);
  EXPECT_EQ(amqp->wait_for_confirms(1, &minute).acked, 100U);
  EXPECT_EQ(tree(), "\n");
}

TEST_F(AmqpConfirms, ModesWithoutSpansHaveConfirmsButOffHasNone) {
  for (const ModuleMode mode : {ModuleMode::propagate, ModuleMode::off}) {
    TracedConnection amqp = connect_confirming({.mode = mode});
    amqp.declare_queue("orders");
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
    const amqp::Confirms confirms = amqp->wait_for_confirms(1, &minute);
    EXPECT_EQ(confirms.status, AMQP_STATUS_OK) << static_cast<int>(mode);
    EXPECT_EQ(confirms.acked, 1U) << static_cast<int>(mode);
  }
  EXPECT_EQ(tree(), "\n");
}

// --- Publishes that are still open when something ends.

TEST_F(AmqpConfirms, AnExchangeThatIsMissingEndsWhatIsOpen) {
  TracedConnection amqp = connect_confirming();
  ASSERT_EQ(amqp.publish("no such exchange", "a"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp.declare_queue("orders"), "");
  EXPECT_EQ(amqp.last_reply().substr(0, 14), "404 NOT_FOUND ") << amqp.last_reply();
  EXPECT_EQ(brief(), R"(
publish no such exchange:a PRODUCER
  status ERROR
  error.type = NOT_FOUND
)");
}

TEST_F(AmqpConfirms, ClosingTheChannelEndsWhatIsOpen) {
  TracedConnection amqp = connect_confirming();
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->channel_close(1, AMQP_REPLY_SUCCESS).reply_type, AMQP_RESPONSE_NORMAL);
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  status ERROR
  error.type = channel_closed
)");
  EXPECT_EQ(amqp->unconfirmed(1), 0U);
}

TEST_F(AmqpConfirms, ClosingTheConnectionEndsWhatIsOpen) {
  TracedConnection amqp = connect_confirming();
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->connection_close(AMQP_REPLY_SUCCESS).reply_type, AMQP_RESPONSE_NORMAL);
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  status ERROR
  error.type = connection_closed
)");
}

TEST_F(AmqpConfirms, DestroyingTheConnectionEndsWhatIsOpen) {
  {
    TracedConnection amqp = connect_confirming();
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  }
  EXPECT_EQ(outcomes(), (Outcomes{{"connection_closed", 1}}));
}

TEST_F(AmqpConfirms, DestroyingTheWrapperEndsWhatIsOpen) {
  const auto plain = connect();
  {
    amqp::Connection amqp(plain->state());
    ASSERT_NE(amqp.confirm_select(1), nullptr);
    ASSERT_EQ(amqp.basic_publish(1, amqp_empty_bytes, amqp_text("orders"), 0, 0, nullptr, amqp_text("order")),
              AMQP_STATUS_OK);
    amqp::Connection moved(std::move(amqp));
    EXPECT_EQ(moved.unconfirmed(1), 1U);
    EXPECT_EQ(tree(), "\n");
  }
  EXPECT_EQ(outcomes(), (Outcomes{{"connection_closed", 1}}));
}

TEST_F(AmqpConfirms, AConnectionThatTheBrokerClosesEndsWhatIsOpenWithItsReason) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  ASSERT_EQ(amqp->wait_for_confirms(1, &minute).acked, 1U);
  std::string why;
  ASSERT_EQ(server_->close_connections(virtual_host_, &why), 1) << why;
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK) << "it is not known here yet";
  amqp::Confirms confirms = amqp->wait_for_confirms(1, &minute);
  EXPECT_EQ(confirms.status, AMQP_STATUS_UNEXPECTED_STATE);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 1}, {"CONNECTION_FORCED", 1}}));
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
  EXPECT_EQ(frame.payload.method.id, AMQP_CONNECTION_CLOSE_METHOD);
}

}  // namespace
}  // namespace midtrace::test
