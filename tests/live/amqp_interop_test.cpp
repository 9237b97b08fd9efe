// Other clients read what we write: python3-amqp, and the programs of amqp-tools.
#include <nlohmann/json.hpp>

#include "live/amqp_headers.h"
#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

using nlohmann::json;

class AmqpInterop : public AmqpTraced {
 protected:
  void SetUp() override {
    AmqpTraced::SetUp();
    std::string why;
    if (virtual_host_.empty() || amqp_peers_are_installed(&why)) return;
    ASSERT_FALSE(rabbitmq_required()) << why;
    GTEST_SKIP() << why;
  }
};

TEST_F(AmqpInterop, PythonReadsOurHeadersAsText) {
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("orders");
  Message message({text_entry("own", "1"), int_entry("number", 7)});
  message.id("order-7");
  {
    Context ambient;
    ambient.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    ambient.span.trace_state = TraceState::parse("vendor=1");
    ambient.baggage = Baggage().with("tenant", "blue");
    const Scope scope(ambient);
    ASSERT_EQ(amqp.publish("", "orders", "hello", &message.properties), AMQP_STATUS_OK);
  }
  std::string why;
  const std::optional<std::string> output = peer().python({"get", "orders"}, &why);
  ASSERT_TRUE(output) << why;
  const json got = json::parse(*output);
  ASSERT_FALSE(got.is_null());
  EXPECT_EQ(got["body"], (json{{"hex", "68656c6c6f"}}));
  EXPECT_EQ(got["properties"]["message_id"], "order-7");
  EXPECT_EQ(got["headers"],
            json::array({json::array({"own", "S", "1"}), json::array({"number", "I", 7}),
                         json::array({"traceparent", "S", traceparent(recorder_->spans().at(0).context)}),
                         json::array({"tracestate", "S", "vendor=1"}),
                         json::array({"baggage", "S", "tenant=blue"})}));
}

TEST_F(AmqpInterop, AmqpToolsGetWhatWePublish) {
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("orders");
  ASSERT_EQ(amqp.publish("", "orders", "hello"), AMQP_STATUS_OK);
  std::string why;
  const std::optional<std::string> output = peer().tool({"amqp-get", "-q", "orders"}, &why);
  ASSERT_TRUE(output) << why;
  EXPECT_EQ(*output, "hello");
}

// Headers of another program, with fields of ours and of its own, that a service forwards.
TEST_F(AmqpInterop, WhatPythonSentIsForwarded) {
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("inbox");
  amqp.declare_queue("outbox");
  std::string why;
  const json sent = json::array(
      {json::array({"traceparent", "S", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}),
       json::array({"tracestate", "S", "vendor=1"}), json::array({"decimal", "D", json::array({2, 314})}),
       json::array({"nested", "F",
                    json::array({json::array({"list", "A", json::array({json::array({"I", 1})})})})})});
  ASSERT_TRUE(peer().python({"publish", "", "inbox", "hello", sent.dump()}, &why)) << why;
  ASSERT_TRUE(amqp.consume("inbox"));
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    const auto processing = amqp::process(*amqp, *envelope);
    ASSERT_EQ(amqp.publish("", "outbox", "hello", &envelope->message.properties), AMQP_STATUS_OK);
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  std::string own;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.name.starts_with("publish")) own = traceparent(span.context);
  }
  const std::optional<std::string> output = peer().python({"get", "outbox"}, &why);
  ASSERT_TRUE(output) << why;
  EXPECT_EQ(json::parse(*output)["headers"],
            json::array({sent[2], sent[3], json::array({"traceparent", "S", own}), sent[1]}))
      << "the tracestate goes on";
  EXPECT_EQ(tree({.attributes = false}), R"(
process inbox CONSUMER
  parent (not here)
  link -> (not here)
  ack inbox CLIENT
    link -> (not here)
  publish outbox PRODUCER
receive inbox CLIENT
  link -> (not here)
)");
}

TEST_F(AmqpInterop, AMessageOfAmqpToolsBeginsATraceHere) {
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("inbox");
  std::string why;
  ASSERT_TRUE(peer().tool({"amqp-publish", "-r", "inbox", "-b", "hello"}, &why)) << why;
  ASSERT_TRUE(amqp.consume("inbox", true));
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  EXPECT_EQ(to_string(envelope->message.body), "hello");
  {
    const auto processing = amqp::process(*amqp, *envelope);
    ASSERT_EQ(amqp.publish("", "outbox", "hello", &envelope->message.properties), AMQP_STATUS_OK);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
process inbox CONSUMER
  publish outbox PRODUCER
receive inbox CLIENT
)");
}

}  // namespace
}  // namespace midtrace::test
