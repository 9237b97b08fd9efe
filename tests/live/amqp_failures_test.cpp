// What becomes of unsettled work when a channel, a connection, a queue or the broker goes away.
#include "live/amqp_consumer_fixture.h"

#include <csignal>
#include <memory>
#include <string>

namespace midtrace::test {
namespace {

class AmqpFailures : public AmqpConsumerTest {
 protected:
  // A consumer of `orders` with one message in work: its scope is over, its settlement is not.
  TracedConnection working(amqp::Options options = {}) {
    TracedConnection amqp = consumer_of("orders", std::move(options));
    send("", "orders");
    begin_work(amqp);
    return amqp;
  }
  void begin_work(TracedConnection& amqp) {
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    { const auto processing = amqp::process(*amqp, *envelope); }
    ASSERT_EQ(all_of("process").size(), 0U);
  }
  void expect_ended(std::string_view ended_by, std::string_view error_type) {
    const testing::OwnedSpan process = only("process");
    EXPECT_EQ(process.status, StatusCode::error);
    EXPECT_EQ(process.attribute("midtrace.process.ended_by"), ended_by);
    EXPECT_EQ(process.attribute("error.type"), error_type);
  }
  // A consumer is set up anew and finishes the message that came back.
  void expect_work_goes_on(TracedConnection& amqp) {
    recorder_->clear();
    ASSERT_TRUE(amqp.consume("orders")) << amqp.last_reply();
    const AmqpEnvelope again = amqp.next();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->redelivered, 1);
    {
      const auto processing = amqp::process(*amqp, *again);
      EXPECT_EQ(amqp->basic_ack(again->channel, again->delivery_tag, 0), AMQP_STATUS_OK);
    }
    EXPECT_EQ(only("receive").name, "receive orders");
    EXPECT_EQ(ended_by(), "ack");
    EXPECT_EQ(only("ack").links.size(), 1U);
    EXPECT_EQ(ready_in(amqp, "orders"), 0U);
  }
  static std::uint16_t local_port(TracedConnection& amqp) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(amqp_get_sockfd(amqp->get()), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }
};

TEST_F(AmqpFailures, AMissingQueueClosesTheChannelAndItsWork) {
  TracedConnection amqp = working();
  EXPECT_EQ(amqp->queue_declare(1, amqp_text("missing"), 1, 0, 0, 0, amqp_empty_table), nullptr);
  EXPECT_THAT(amqp.last_reply(), ::testing::StartsWith("404 NOT_FOUND"));
  expect_ended("channel_closed", "NOT_FOUND");
  ASSERT_NE(amqp->reopen_channel(1), nullptr) << amqp.last_reply();
  expect_work_goes_on(amqp);
}

TEST_F(AmqpFailures, ARedeclarationThatDiffersClosesTheChannelAndItsWork) {
  TracedConnection amqp = working();
  AmqpTable arguments;
  arguments.number("x-max-length", 5);
  EXPECT_EQ(amqp->queue_declare(1, amqp_text("orders"), 0, 0, 0, 0, arguments.get()), nullptr);
  EXPECT_THAT(amqp.last_reply(), ::testing::StartsWith("406 PRECONDITION_FAILED"));
  expect_ended("channel_closed", "PRECONDITION_FAILED");
  ASSERT_NE(amqp->reopen_channel(1), nullptr) << amqp.last_reply();
  expect_work_goes_on(amqp);
}

// The broker says so when it likes, which the consuming loop sees as a frame.
TEST_F(AmqpFailures, AnAckOfAnUnknownTagClosesTheChannelInTheConsumingLoop) {
  TracedConnection amqp = working();
  EXPECT_EQ(amqp->basic_ack(1, 4711, 0), AMQP_STATUS_OK);
  const timeval limit{60, 0};
  amqp_envelope_t envelope;
  const amqp_rpc_reply_t reply = amqp->consume_message(&envelope, &limit, 0);
  EXPECT_EQ(reply.library_error, AMQP_STATUS_UNEXPECTED_STATE);
  EXPECT_EQ(all_of("process").size(), 0U);
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame_noblock(&frame, &limit), AMQP_STATUS_OK);
  EXPECT_EQ(frame.payload.method.id, static_cast<amqp_method_number_t>(AMQP_CHANNEL_CLOSE_METHOD));
  expect_ended("channel_closed", "PRECONDITION_FAILED");
  ASSERT_NE(amqp->reopen_channel(1), nullptr) << amqp.last_reply();
  expect_work_goes_on(amqp);
}

TEST_F(AmqpFailures, OnlyTheClosedChannelsWorkEnds) {
  TracedConnection amqp = working();
  ASSERT_NE(amqp->channel_open(2), nullptr);
  EXPECT_EQ(amqp->queue_declare(2, amqp_text("missing"), 1, 0, 0, 0, amqp_empty_table), nullptr);
  EXPECT_EQ(all_of("process").size(), 0U);
  ASSERT_NE(amqp->reopen_channel(2), nullptr) << amqp.last_reply();
  EXPECT_EQ(amqp->basic_ack(1, 1, 0), AMQP_STATUS_OK);
  EXPECT_EQ(ended_by(), "ack");
}

TEST_F(AmqpFailures, ClosingTheChannelEndsItsWork) {
  TracedConnection amqp = working();
  EXPECT_EQ(to_string(amqp->channel_close(1, AMQP_REPLY_SUCCESS)), "normal");
  expect_ended("channel_closed", "channel_closed");
  ASSERT_NE(amqp->channel_open(1), nullptr);
  expect_work_goes_on(amqp);
}

TEST_F(AmqpFailures, ClosingTheConnectionEndsItsWork) {
  TracedConnection amqp = working();
  EXPECT_EQ(to_string(amqp->connection_close(AMQP_REPLY_SUCCESS)), "normal");
  expect_ended("connection_closed", "connection_closed");
}

TEST_F(AmqpFailures, DestroyingTheConnectionEndsItsWork) {
  { TracedConnection amqp = working(); }
  expect_ended("connection_closed", "connection_closed");
}

TEST_F(AmqpFailures, ADestroyedWrapperEndsTheWorkAndLeavesTheConnection) {
  const auto plain = connect();
  ASSERT_EQ(plain->declare_queue("orders"), "orders");
  amqp::ProcessSpan outlives;
  {
    amqp::Connection amqp(plain->state());
    ASSERT_NE(amqp.basic_consume(1, amqp_text("orders"), amqp_empty_bytes, 0, 0, 0, amqp_empty_table),
              nullptr);
    send("", "orders");
    amqp_envelope_t envelope;
    const timeval limit{60, 0};
    ASSERT_EQ(to_string(amqp.consume_message(&envelope, &limit, 0)), "normal");
    outlives = amqp::process(amqp, envelope).detach();
    amqp_destroy_envelope(&envelope);
  }
  EXPECT_EQ(all_of("process").size(), 0U);
  outlives.span().set("app.late", "said after the connection was gone");
  outlives.end();
  expect_ended("connection_closed", "connection_closed");
  EXPECT_EQ(only("process").attribute("app.late"), "said after the connection was gone");
  EXPECT_EQ(amqp_basic_ack(plain->state(), 1, 1, 0), AMQP_STATUS_OK);
  EXPECT_EQ(plain->declare_queue("alive"), "alive");
}

TEST_F(AmqpFailures, ALostConnectionEndsTheWorkWithTheBrokersReason) {
  std::string why;
  TracedConnection amqp = working();
  ASSERT_EQ(server_->close_connection_from(local_port(amqp), &why), 1) << why;
  const timeval limit{60, 0};
  amqp_envelope_t envelope;
  EXPECT_EQ(amqp->consume_message(&envelope, &limit, 0).library_error, AMQP_STATUS_UNEXPECTED_STATE);
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame_noblock(&frame, &limit), AMQP_STATUS_OK);
  EXPECT_EQ(frame.payload.method.id, static_cast<amqp_method_number_t>(AMQP_CONNECTION_CLOSE_METHOD));
  expect_ended("connection_closed", "CONNECTION_FORCED");
  // As an application does: a new connection takes the place of the old one.
  amqp->destroy_connection();
  TracedConnection another = connect_traced();
  expect_work_goes_on(another);
}

TEST_F(AmqpFailures, ABrokenSocketEndsTheWorkWithTheLibrarysReason) {
  TracedConnection amqp = working();
  ::shutdown(amqp_get_sockfd(amqp->get()), SHUT_RDWR);
  const timeval limit{60, 0};
  amqp_envelope_t envelope;
  EXPECT_EQ(amqp->consume_message(&envelope, &limit, 0).reply_type, AMQP_RESPONSE_LIBRARY_EXCEPTION);
  expect_ended("connection_closed", "AMQP_STATUS_CONNECTION_CLOSED");
  EXPECT_EQ(all_of("receive").back().attribute("error.type"), "AMQP_STATUS_CONNECTION_CLOSED");
}

TEST_F(AmqpFailures, ASettlementThatCannotBeSentIsAnErrorAndSoIsTheWork) {
  ::signal(SIGPIPE, SIG_IGN);
  TracedConnection amqp = working();
  ::shutdown(amqp_get_sockfd(amqp->get()), SHUT_RDWR);
  EXPECT_NE(amqp->basic_ack(1, 1, 0), AMQP_STATUS_OK);
  EXPECT_EQ(only("ack").status, StatusCode::error);
  EXPECT_THAT(only("ack").attribute("error.type"), ::testing::StartsWith("AMQP_STATUS_"));
  expect_ended("connection_closed", only("ack").attribute("error.type"));
}

// --- A queue that goes away under its consumer.

TEST_F(AmqpFailures, ADeletedQueueIsToldToItsConsumerOnRequest) {
  TracedConnection amqp = working({.consumer_cancel_notify = true});
  TracedConnection other = connect_traced();
  EXPECT_NE(other->queue_delete(1, amqp_text("orders"), 0, 0), nullptr);
  const timeval limit{60, 0};
  amqp_envelope_t envelope;
  EXPECT_EQ(amqp->consume_message(&envelope, &limit, 0).library_error, AMQP_STATUS_UNEXPECTED_STATE);
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame_noblock(&frame, &limit), AMQP_STATUS_OK);
  EXPECT_EQ(frame.payload.method.id, static_cast<amqp_method_number_t>(AMQP_BASIC_CANCEL_METHOD));
  // What it had is still in work, and can be settled.
  EXPECT_EQ(all_of("process").size(), 0U);
  EXPECT_EQ(amqp->basic_ack(1, 1, 0), AMQP_STATUS_OK);
  EXPECT_EQ(ended_by(), "ack");
  EXPECT_EQ(only("ack").name, "ack orders");
  // The connection goes on, with another queue and the same tag.
  ASSERT_EQ(amqp.declare_queue("returns"), "returns");
  ASSERT_TRUE(amqp.consume("returns"));
  send("", "returns");
  EXPECT_TRUE(amqp.next());
  EXPECT_EQ(all_of("receive").back().name, "receive returns");
}

TEST_F(AmqpFailures, TheApplicationsOwnCapabilitiesAreLeftAlone) {
  AmqpTable empty;
  amqp_table_entry_t entry{};
  entry.key = amqp_cstring_bytes("capabilities");
  entry.value.kind = AMQP_FIELD_KIND_TABLE;
  entry.value.value.table = empty.get();
  const amqp_table_t properties{1, &entry};
  TracedConnection amqp = connect_traced({.consumer_cancel_notify = true}, {.properties = &properties});
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  ASSERT_TRUE(amqp.consume("orders"));
  EXPECT_NE(amqp->queue_delete(1, amqp_text("orders"), 0, 0), nullptr);
  // A frame that comes is before the answer to this, so there is none.
  EXPECT_EQ(amqp.declare_queue("returns"), "returns");
  const timeval at_once{0, 0};
  amqp_envelope_t envelope;
  EXPECT_EQ(amqp->consume_message(&envelope, &at_once, 0).library_error, AMQP_STATUS_TIMEOUT);
}

TEST_F(AmqpFailures, DeliveriesAfterACancelStillKnowTheirQueue) {
  TracedConnection amqp = connect_traced();
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  send_many("orders", 2);
  ASSERT_NE(amqp->basic_consume(1, amqp_text("orders"), amqp_text("worker"), 0, 0, 0, amqp_empty_table),
            nullptr);
  AmqpEnvelopes messages;
  take(amqp, 1, messages);
  ASSERT_NE(amqp->basic_cancel(1, amqp_text("worker")), nullptr);
  take(amqp, 1, messages);
  EXPECT_EQ(all_of("receive").back().name, "receive orders");
}

// --- A broker of the tests' own, to which anything may happen.

class AmqpOwnBroker : public AmqpFailures {
 protected:
  static void TearDownTestSuite() { node_.reset(); }
  void SetUp() override {
    AmqpFailures::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ::signal(SIGPIPE, SIG_IGN);
    std::string why;
    if (node_ == nullptr) node_ = RabbitmqNode::start(&why);
    ASSERT_NE(node_, nullptr) << why;
  }

  TracedConnection connect_to_own(int heartbeat = 0) {
    TracedConnection amqp({});
    timeval limit{60, 0};
    EXPECT_EQ(amqp->socket_open_noblock(amqp_tcp_socket_new(amqp->get()), RabbitmqServer::kHost,
                                        node_->server().port(), &limit),
              AMQP_STATUS_OK);
    EXPECT_EQ(to_string(amqp->login("/", 0, 131072, heartbeat, AMQP_SASL_METHOD_PLAIN, RabbitmqServer::kUser,
                                    RabbitmqServer::kPassword)),
              "normal");
    EXPECT_NE(amqp->channel_open(1), nullptr);
    return amqp;
  }
  // One message of a durable queue is in work.
  void begin_durable_work(TracedConnection& amqp) {
    ASSERT_EQ(amqp.declare_queue("orders", amqp_empty_table, true), "orders") << amqp.last_reply();
    ASSERT_NE(amqp->confirm_select(1), nullptr);
    amqp_basic_properties_t durable{};
    durable._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    durable.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    ASSERT_EQ(amqp.publish("", "orders", "order", &durable), AMQP_STATUS_OK);
    const timeval limit{60, 0};
    ASSERT_EQ(amqp->wait_for_confirms(1, &limit).acked, 1U);
    ASSERT_TRUE(amqp.consume("orders"));
    begin_work(amqp);
  }

  static std::unique_ptr<RabbitmqNode> node_;
};

std::unique_ptr<RabbitmqNode> AmqpOwnBroker::node_;

TEST_F(AmqpOwnBroker, AKilledOneEndsTheWorkAndAnotherConnectionGoesOnWithIt) {
  std::string why;
  TracedConnection amqp = connect_to_own();
  begin_durable_work(amqp);
  ASSERT_TRUE(node_->server().write_metadata(&why)) << why;
  node_->stop(RabbitmqNode::StopMode::kKill);
  const timeval limit{60, 0};
  amqp_envelope_t envelope;
  EXPECT_EQ(amqp->consume_message(&envelope, &limit, 0).reply_type, AMQP_RESPONSE_LIBRARY_EXCEPTION);
  const std::string reason = only("process").attribute("error.type");
  EXPECT_THAT(reason, ::testing::StartsWith("AMQP_STATUS_"));
  expect_ended("connection_closed", reason);

  ASSERT_TRUE(node_->restart(RabbitmqNode::StopMode::kKill, &why)) << why;
  amqp->destroy_connection();
  TracedConnection another = connect_to_own();
  expect_work_goes_on(another);
}

TEST_F(AmqpOwnBroker, AFrozenOneIsNoticedByItsHeartbeat) {
  TracedConnection amqp = connect_to_own(1);
  begin_durable_work(amqp);
  node_->pause();
  const timeval limit{60, 0};
  amqp_envelope_t envelope;
  const amqp_rpc_reply_t reply = amqp->consume_message(&envelope, &limit, 0);
  node_->resume();
  EXPECT_EQ(to_string(reply), amqp_error_string2(AMQP_STATUS_HEARTBEAT_TIMEOUT));
  expect_ended("connection_closed", "AMQP_STATUS_HEARTBEAT_TIMEOUT");
  EXPECT_EQ(all_of("receive").back().attribute("error.type"), "AMQP_STATUS_HEARTBEAT_TIMEOUT");
  amqp->destroy_connection();
  TracedConnection another = connect_to_own();
  expect_work_goes_on(another);
}

}  // namespace
}  // namespace midtrace::test
