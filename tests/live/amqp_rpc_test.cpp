// Requests and replies over queues: one trace from the request to the reply, whichever way it comes back.
#include "live/amqp_consumer_fixture.h"

#include <map>
#include <set>

namespace midtrace::test {
namespace {

class AmqpRpc : public AmqpConsumerTest {
 protected:
  // The names by which this call could be answered: no span may have the part that is secret.
  std::string reply_name_;

  // One call from a client to a server and back. Both are in this thread, so the steps are in order.
  void call(bool direct, bool below_a_span) {
    TracedConnection server = consumer_of("prices");
    TracedConnection client = connect_traced();
    const std::string replies = direct ? "amq.rabbitmq.reply-to" : client.declare_queue("", {}, false, true);
    ASSERT_FALSE(replies.empty()) << client.last_reply();
    ASSERT_TRUE(client.consume(replies, direct)) << client.last_reply();

    auto around = below_a_span ? start_span("checkout") : Span();
    {
      const auto current = around.activate();
      amqp_basic_properties_t properties{};
      properties._flags = AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG;
      properties.reply_to = amqp_text(replies);
      properties.correlation_id = amqp_text("call-1");
      ASSERT_EQ(client.publish("", "prices", "how much", &properties), AMQP_STATUS_OK);
    }
    answer(server);
    const auto current = around.activate();
    const AmqpEnvelope reply = client.next();
    ASSERT_TRUE(reply);
    EXPECT_EQ(to_string(reply->message.body), "42");
    const auto processing = amqp::process(*client, *reply);
    if (!direct) {
      EXPECT_EQ(client->basic_ack(1, reply->delivery_tag, 0), AMQP_STATUS_OK);
    }
  }

  void answer(TracedConnection& server) {
    const AmqpEnvelope request = server.next();
    ASSERT_TRUE(request);
    const auto processing = amqp::process(*server, *request);
    const amqp_basic_properties_t& asked = request->message.properties;
    ASSERT_NE(asked._flags & AMQP_BASIC_REPLY_TO_FLAG, 0U);
    reply_name_ = to_string(asked.reply_to);
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_CORRELATION_ID_FLAG;
    properties.correlation_id = asked.correlation_id;
    EXPECT_EQ(server.publish("", reply_name_, "42", &properties), AMQP_STATUS_OK);
    EXPECT_EQ(server->basic_ack(1, request->delivery_tag, 0), AMQP_STATUS_OK);
  }

  // Of all spans but the server's receive spans, which take no parent from a message.
  std::size_t traces() {
    std::set<TraceId> ids;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.name != "receive prices") ids.insert(span.context.trace_id);
    }
    return ids.size();
  }

  std::string short_tree(std::map<std::string, std::string> masked) {
    return recorder_->tree({.without = {"messaging.system", "messaging.operation.name",
                                        "messaging.operation.type", "server.address", "server.port",
                                        "network.peer.address", "network.peer.port", "midtrace.amqp.vhost"},
                            .masked = std::move(masked)});
  }
};

TEST_F(AmqpRpc, ARequestAndItsReplyByAQueueAreOneTrace) {
  call(false, true);
  EXPECT_EQ(short_tree({{"messaging.destination.name", "NAME"},
                        {"messaging.rabbitmq.destination.routing_key", "KEY"}}),
            R"(
checkout INTERNAL
  process CONSUMER
    messaging.destination.anonymous = true
    messaging.destination.name = NAME
    messaging.destination.temporary = true
    messaging.message.conversation_id = call-1
    messaging.rabbitmq.destination.routing_key = KEY
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish
    ack CLIENT
      messaging.destination.name = NAME
      messaging.message.conversation_id = call-1
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish
  publish prices PRODUCER
    messaging.destination.name = NAME
    messaging.message.conversation_id = call-1
    messaging.rabbitmq.destination.routing_key = KEY
    process prices CONSUMER
      messaging.destination.name = NAME
      messaging.message.conversation_id = call-1
      messaging.rabbitmq.destination.routing_key = KEY
      messaging.rabbitmq.message.delivery_tag = 1
      midtrace.process.ended_by = ack
      link -> publish prices
      ack prices CLIENT
        messaging.destination.name = NAME
        messaging.message.conversation_id = call-1
        messaging.rabbitmq.message.delivery_tag = 1
        link -> publish prices
      publish PRODUCER
        messaging.destination.anonymous = true
        messaging.destination.name = NAME
        messaging.message.conversation_id = call-1
        messaging.rabbitmq.destination.routing_key = KEY
  receive CLIENT
    messaging.destination.anonymous = true
    messaging.destination.name = NAME
    messaging.destination.temporary = true
    messaging.message.conversation_id = call-1
    messaging.rabbitmq.destination.routing_key = KEY
    messaging.rabbitmq.message.delivery_tag = 1
    link -> publish
receive prices CLIENT
  messaging.destination.name = NAME
  messaging.message.conversation_id = call-1
  messaging.rabbitmq.destination.routing_key = KEY
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish prices
)");
  EXPECT_EQ(traces(), 1U);
  for (const testing::OwnedSpan& span : recorder_->spans())
    EXPECT_EQ(span.name.find("amq.gen"), std::string::npos) << span.name;
}

TEST_F(AmqpRpc, ARequestAndItsDirectReplyAreOneTrace) {
  call(true, true);
  EXPECT_EQ(short_tree({}), R"(
checkout INTERNAL
  process CONSUMER
    messaging.destination.anonymous = true
    messaging.destination.name = amq.rabbitmq.reply-to
    messaging.message.conversation_id = call-1
    messaging.rabbitmq.destination.routing_key = amq.rabbitmq.reply-to
    messaging.rabbitmq.message.delivery_tag = 1
    link -> publish
  publish prices PRODUCER
    messaging.destination.name = prices
    messaging.message.conversation_id = call-1
    messaging.rabbitmq.destination.routing_key = prices
    process prices CONSUMER
      messaging.destination.name = prices
      messaging.message.conversation_id = call-1
      messaging.rabbitmq.destination.routing_key = prices
      messaging.rabbitmq.message.delivery_tag = 1
      midtrace.process.ended_by = ack
      link -> publish prices
      ack prices CLIENT
        messaging.destination.name = prices
        messaging.message.conversation_id = call-1
        messaging.rabbitmq.message.delivery_tag = 1
        link -> publish prices
      publish PRODUCER
        messaging.destination.anonymous = true
        messaging.destination.name = amq.rabbitmq.reply-to
        messaging.message.conversation_id = call-1
        messaging.rabbitmq.destination.routing_key = amq.rabbitmq.reply-to
  receive CLIENT
    messaging.destination.anonymous = true
    messaging.destination.name = amq.rabbitmq.reply-to
    messaging.message.conversation_id = call-1
    messaging.rabbitmq.destination.routing_key = amq.rabbitmq.reply-to
    messaging.rabbitmq.message.delivery_tag = 1
    link -> publish
receive prices CLIENT
  messaging.destination.name = prices
  messaging.message.conversation_id = call-1
  messaging.rabbitmq.destination.routing_key = prices
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish prices
)");
  EXPECT_EQ(traces(), 1U);
}

TEST_F(AmqpRpc, AClientThatWaitsOutsideOfASpanContinuesTheServersTrace) {
  for (const bool direct : {false, true}) {
    SCOPED_TRACE(direct);
    call(direct, false);
    const std::vector<testing::OwnedSpan> publishes = all_of("publish");
    const std::vector<testing::OwnedSpan> processes = all_of("process");
    ASSERT_EQ(publishes.size(), 2U);
    ASSERT_EQ(processes.size(), 2U);
    const testing::OwnedSpan& request = publishes[0];
    const testing::OwnedSpan& reply = publishes[1];
    EXPECT_EQ(processes[0].parent_span_id, request.context.span_id);
    EXPECT_EQ(reply.parent_span_id, processes[0].context.span_id);
    EXPECT_EQ(processes[1].parent_span_id, reply.context.span_id);
    EXPECT_EQ(processes[1].context.trace_id, request.context.trace_id);
    EXPECT_EQ(traces(), 2U);  // the client's receive span is one
    recorder_->clear();
  }
}

TEST_F(AmqpRpc, TheTokenOfADirectReplyIsNowhere) {
  std::vector<std::string> told;
  const auto listen = [&told](Span&, const amqp::Call& call) { told.emplace_back(call.destination); };
  {
    TracedConnection server = consumer_of("prices", {.channel_spans = true, .on_start = listen});
    TracedConnection client = connect_traced({.channel_spans = true, .on_start = listen});
    ASSERT_TRUE(client.consume("amq.rabbitmq.reply-to", true));
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_REPLY_TO_FLAG;
    properties.reply_to = amqp_text("amq.rabbitmq.reply-to");
    ASSERT_EQ(client.publish("", "prices", "how much", &properties), AMQP_STATUS_OK);
    answer(server);
    const AmqpEnvelope reply = client.next();
    ASSERT_TRUE(reply);
    EXPECT_EQ(to_string(reply->routing_key), reply_name_);
    { const auto processing = amqp::process(*client, *reply); }
    // How a server asks whether the client still waits.
    EXPECT_NE(server->queue_declare(1, amqp_text(reply_name_), 1, 0, 0, 0, amqp_empty_table), nullptr)
        << server.last_reply();
  }
  ASSERT_TRUE(reply_name_.starts_with("amq.rabbitmq.reply-to."));
  const std::string token = reply_name_.substr(std::string("amq.rabbitmq.reply-to.").size());
  ASSERT_GT(token.size(), 8U);
  const std::string everything = recorder_->tree();
  EXPECT_EQ(everything.find(token), std::string::npos) << everything;
  EXPECT_NE(everything.find("amq.rabbitmq.reply-to"), std::string::npos);
  for (const std::string& destination : told)
    EXPECT_EQ(destination.find(token), std::string::npos) << destination;
}

}  // namespace
}  // namespace midtrace::test
