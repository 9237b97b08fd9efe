// Golden span trees of what a service does with RabbitMQ, one for each story.
#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

class AmqpTrees : public AmqpTraced {};

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
)");
}

}  // namespace
}  // namespace midtrace::test
