// Publishing while the server hangs or dies: nothing hangs with it, and every span ends with what is known.
#include <map>

#include "live/amqp_headers.h"
#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

// A node of their own, because they stop it.
class AmqpPublishLoss : public Traced {
 protected:
  void SetUp() override {
    std::string why;
    if (!rabbitmq_is_installed(&why)) {
      ASSERT_FALSE(rabbitmq_required()) << "real RabbitMQ server: " << why;
      report_rabbitmq_not_run(why);
      GTEST_SKIP() << why;
    }
    node_ = RabbitmqNode::start(&why);
    ASSERT_TRUE(node_) << why;
    Traced::SetUp();
  }

  TracedConnection connect_confirming() {
    TracedConnection amqp({});
    timeval limit{60, 0};
    EXPECT_EQ(amqp->socket_open_noblock(amqp_tcp_socket_new(amqp->get()), RabbitmqServer::kHost,
                                        node_->server().port(), &limit),
              AMQP_STATUS_OK);
    EXPECT_EQ(to_string(amqp->login("/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, RabbitmqServer::kUser,
                                    RabbitmqServer::kPassword)),
              "normal");
    EXPECT_NE(amqp->channel_open(1), nullptr);
    EXPECT_NE(amqp->confirm_select(1), nullptr);
    return amqp;
  }

  using Outcomes = std::map<std::string, std::size_t>;
  Outcomes outcomes() {
    Outcomes result;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.name.starts_with("publish")) ++result[span.attribute("error.type")];
    }
    return result;
  }

  std::unique_ptr<RabbitmqNode> node_;
};

TEST_F(AmqpPublishLoss, WaitingEndsWithItsTimeoutAndCanBeTakenUpAgain) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  node_->pause();
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  const timeval none{};
  EXPECT_EQ(amqp->wait_for_confirms(1, &none).status, AMQP_STATUS_TIMEOUT);
  const timeval moment{0, 20000};
  EXPECT_EQ(amqp->wait_for_confirms(1, &moment).status, AMQP_STATUS_TIMEOUT);
  EXPECT_EQ(amqp->unconfirmed(1), 1U);
  EXPECT_EQ(outcomes(), Outcomes());

  // The same with a consumer, where deliveries are looked for.
  node_->resume();
  ASSERT_TRUE(amqp.consume("orders"));
  ASSERT_EQ(amqp->wait_for_confirms(1, nullptr).status, AMQP_STATUS_OK);
  ASSERT_TRUE(amqp.next());
  node_->pause();
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(amqp->wait_for_confirms(1, &moment).status, AMQP_STATUS_TIMEOUT);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 1}}));
  node_->resume();
  EXPECT_EQ(amqp->wait_for_confirms(1, nullptr).status, AMQP_STATUS_OK);
  EXPECT_EQ(outcomes(), (Outcomes{{"", 2}}));
}

TEST_F(AmqpPublishLoss, AServerThatIsKilledInMidPublish) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  std::size_t published = 0;
  for (; published < 200; ++published)
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  const timeval minute{60, 0};
  amqp_frame_t frame;
  ASSERT_EQ(amqp->simple_wait_frame_noblock(&frame, &minute), AMQP_STATUS_OK);
  // What it has not read is never confirmed; what it has sent by then stays readable.
  node_->pause();
  for (; published < 250; ++published)
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  node_->stop(RabbitmqNode::StopMode::kKill);
  int status = AMQP_STATUS_OK;
  while (status == AMQP_STATUS_OK && published < 100000) {
    status = amqp.publish("", "orders");
    ++published;
  }
  ASSERT_EQ(status, AMQP_STATUS_SOCKET_ERROR) << amqp_error_string2(status);
  EXPECT_EQ(outcomes()["AMQP_STATUS_SOCKET_ERROR"], 1U) << "the call that failed";
  const std::size_t open = amqp->unconfirmed(1);
  const amqp::Confirms confirms = amqp->wait_for_confirms(1, nullptr);
  EXPECT_LT(confirms.status, AMQP_STATUS_OK);
  EXPECT_NE(confirms.status, AMQP_STATUS_TIMEOUT);
  EXPECT_NE(confirms.status, AMQP_STATUS_UNEXPECTED_STATE);
  EXPECT_LE(confirms.acked, open - 50);

  const Outcomes ended = outcomes();
  std::size_t count = 0;
  for (const auto& [error, number] : ended) {
    EXPECT_TRUE(error.empty() || error.starts_with("AMQP_STATUS_")) << error;
    count += number;
  }
  EXPECT_EQ(count, published) << "every span ended";
  EXPECT_EQ(ended.at(""), published - 1 - open + confirms.acked)
      << "those that were confirmed, and only they";
  EXPECT_EQ(amqp->unconfirmed(1), 0U);
  EXPECT_NE(amqp.publish("", "orders"), AMQP_STATUS_OK) << "it fails, and that is all";
}

TEST_F(AmqpPublishLoss, AServerThatIsKilledWhileAConsumerWaits) {
  TracedConnection amqp = connect_confirming();
  amqp.declare_queue("orders");
  ASSERT_TRUE(amqp.consume("orders"));
  constexpr std::size_t published = 100;
  for (std::size_t i = 0; i < published; ++i)
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  node_->stop(RabbitmqNode::StopMode::kKill);
  const amqp::Confirms confirms = amqp->wait_for_confirms(1, nullptr);
  if (confirms.status == AMQP_STATUS_OK) {
    EXPECT_EQ(outcomes(), (Outcomes{{"", published}})) << "all were in time";
  } else {
    const Outcomes ended = outcomes();
    std::size_t count = 0;
    for (const auto& [error, number] : ended)
      count += number;
    EXPECT_EQ(count, published);
  }
  // The deliveries that were put aside are still the application's; then it hears of the loss.
  const timeval minute{60, 0};
  std::size_t received = 0;
  for (;;) {
    amqp_envelope_t envelope;
    const amqp_rpc_reply_t reply = amqp->consume_message(&envelope, &minute, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
      EXPECT_EQ(reply.reply_type, AMQP_RESPONSE_LIBRARY_EXCEPTION);
      EXPECT_NE(reply.library_error, AMQP_STATUS_TIMEOUT);
      if (reply.library_error == AMQP_STATUS_UNEXPECTED_STATE) {  // an ack among the deliveries
        amqp_frame_t frame;
        if (amqp->simple_wait_frame_noblock(&frame, &minute) == AMQP_STATUS_OK) continue;
      }
      break;
    }
    ++received;
    amqp_destroy_envelope(&envelope);
  }
  EXPECT_LE(received, published);
  Outcomes ended = outcomes();
  std::size_t count = 0;
  for (const auto& [error, number] : ended)
    count += number;
  EXPECT_EQ(count, published) << "every publish ended";
}

}  // namespace
}  // namespace midtrace::test
