// `receive` spans: by whichever of rabbitmq-c's ways a message comes, and what is said of it.
#include "live/amqp_consumer_fixture.h"

#include <cstdlib>
#include <stdexcept>

#include <midtrace/trace/instrumentation.h>

namespace midtrace::test {
namespace {

class AmqpConsume : public AmqpConsumerTest {};

// What a delivery by frames says, as rabbitmq-c's own examples read it (amqp_listen.c).
struct ReadByFrames {
  std::uint64_t tag = 0;
  std::string body;
  int body_frames = 0;
};

ReadByFrames read_by_frames(TracedConnection& amqp, const std::function<void(amqp_frame_t&)>& header) {
  ReadByFrames read;
  amqp_frame_t frame;
  do {
    EXPECT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
  } while (frame.frame_type != AMQP_FRAME_METHOD ||
           frame.payload.method.id != static_cast<amqp_method_number_t>(AMQP_BASIC_DELIVER_METHOD));
  read.tag = static_cast<amqp_basic_deliver_t*>(frame.payload.method.decoded)->delivery_tag;
  EXPECT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
  EXPECT_EQ(frame.frame_type, AMQP_FRAME_HEADER);
  const std::uint64_t size = frame.payload.properties.body_size;
  if (header) header(frame);
  while (read.body.size() < size) {
    if (amqp->simple_wait_frame(&frame) != AMQP_STATUS_OK || frame.frame_type != AMQP_FRAME_BODY) {
      ADD_FAILURE() << "no body";
      break;
    }
    read.body += to_string(frame.payload.body_fragment);
    ++read.body_frames;
  }
  return read;
}

TEST_F(AmqpConsume, EachConsumedMessageHasAReceiveSpanBelowWhatWaits) {
  {
    TracedConnection amqp = consumer_of("orders");
    send("", "orders");
    send("", "orders");
    auto loop = start_span("worker loop");
    const auto current = loop.activate();
    for (int i = 0; i < 2; ++i) {
      const AmqpEnvelope envelope = amqp.next();
      ASSERT_TRUE(envelope);
      EXPECT_EQ(to_string(envelope->message.body), "order");
    }
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
publish orders PRODUCER
worker loop INTERNAL
  receive orders CLIENT
    messaging.rabbitmq.message.delivery_tag = 1
    link -> publish orders
  receive orders CLIENT
    messaging.rabbitmq.message.delivery_tag = 2
    link -> publish orders
)");
}

TEST_F(AmqpConsume, AFetchedMessageHasAReceiveSpanOfItsOwn) {
  {
    TracedConnection amqp = connect_traced();
    ASSERT_EQ(amqp.declare_queue("orders"), "orders");
    send("", "orders");
    const amqp_rpc_reply_t reply = amqp->basic_get(1, amqp_text("orders"), 0);
    ASSERT_EQ(to_string(reply), "normal");
    const auto* got = static_cast<amqp_basic_get_ok_t*>(reply.reply.decoded);
    const std::uint64_t tag = got->delivery_tag;
    amqp_message_t message;
    ASSERT_EQ(to_string(amqp->read_message(1, &message, 0)), "normal");
    EXPECT_EQ(to_string(message.body), "order");
    {
      const auto processing = amqp::process(*amqp, 1, tag, message);
      EXPECT_EQ(amqp->basic_ack(1, tag, 0), AMQP_STATUS_OK);
    }
    amqp_destroy_message(&message);
  }
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
  process orders CONSUMER
    messaging.destination.name = orders
    messaging.operation.name = process
    messaging.operation.type = process
    messaging.rabbitmq.destination.routing_key = orders
    messaging.rabbitmq.message.delivery_tag = 1
    messaging.system = rabbitmq
    midtrace.amqp.vhost = VHOST
    midtrace.process.ended_by = ack
    server.address = 127.0.0.1
    server.port = PORT
    link -> publish orders
    ack orders CLIENT
      messaging.destination.name = orders
      messaging.operation.name = ack
      messaging.operation.type = settle
      messaging.rabbitmq.message.delivery_tag = 1
      messaging.system = rabbitmq
      midtrace.amqp.vhost = VHOST
      network.peer.address = 127.0.0.1
      network.peer.port = PORT
      server.address = 127.0.0.1
      server.port = PORT
      link -> publish orders
receive orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = receive
  messaging.operation.type = receive
  messaging.rabbitmq.destination.routing_key = orders
  messaging.rabbitmq.message.delivery_tag = 1
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
  link -> publish orders
)");
}

TEST_F(AmqpConsume, ADeliveryReadFrameByFrameHasAReceiveSpan) {
  const std::string body(10000, 'x');
  {
    TracedConnection amqp = connect_traced({.capture_body_size = true}, {.frame_max = 4096});
    ASSERT_EQ(amqp.declare_queue("orders"), "orders");
    ASSERT_TRUE(amqp.consume("orders"));
    send("", "orders", body);
    const ReadByFrames read = read_by_frames(amqp, {});
    EXPECT_EQ(read.body, body);
    EXPECT_EQ(read.body_frames, 3);
    EXPECT_EQ(amqp->basic_ack(1, read.tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), R"(
ack orders CLIENT
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish orders
publish orders PRODUCER
receive orders CLIENT
  messaging.message.body.size = 10000
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish orders
)");
}

TEST_F(AmqpConsume, ADeliveryReadFrameByFrameCanBeProcessed) {
  {
    TracedConnection amqp = consumer_of("orders");
    send("", "orders");
    amqp_message_t message{};
    const ReadByFrames read = read_by_frames(amqp, [&message](const amqp_frame_t& header) {
      message.properties = *static_cast<amqp_basic_properties_t*>(header.payload.properties.decoded);
    });
    message.body = amqp_text(read.body);
    const auto processing = amqp::process(*amqp, 1, read.tag, message);
    EXPECT_EQ(amqp->basic_ack(1, read.tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish orders
    ack orders CLIENT
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish orders
receive orders CLIENT
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish orders
)");
}

TEST_F(AmqpConsume, AnEmptyMessageReadFrameByFrameHasAReceiveSpan) {
  TracedConnection amqp = consumer_of("orders");
  send("", "orders", "");
  const ReadByFrames read = read_by_frames(amqp, {});
  EXPECT_EQ(read.body_frames, 0);
  EXPECT_EQ(only("receive").links.size(), 1U);
}

TEST_F(AmqpConsume, ADeliverFrameFollowedByReadMessageIsOneReceiveSpan) {
  {
    TracedConnection amqp = consumer_of("orders", {.capture_body_size = true});
    send("", "orders");
    amqp_frame_t frame;
    ASSERT_EQ(amqp->simple_wait_frame(&frame), AMQP_STATUS_OK);
    ASSERT_EQ(frame.payload.method.id, static_cast<amqp_method_number_t>(AMQP_BASIC_DELIVER_METHOD));
    amqp_message_t message;
    ASSERT_EQ(to_string(amqp->read_message(1, &message, 0)), "normal");
    EXPECT_EQ(to_string(message.body), "order");
    amqp_destroy_message(&message);
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
receive orders CLIENT
  messaging.message.body.size = 5
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish orders
)");
}

TEST_F(AmqpConsume, TheReceiveSpanCoversTheWait) {
  TracedConnection amqp = consumer_of("orders");
  start_recorder({.real_clock = true});
  std::thread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    send("", "orders");
  });
  EXPECT_TRUE(amqp.next());
  later.join();
  const testing::OwnedSpan receive = only("receive");
  EXPECT_GE(receive.end_unix_nanos - receive.start_unix_nanos, 40'000'000);
}

TEST_F(AmqpConsume, AReceiveThatFoundNothingHasASpanByOptionOnly) {
  const auto ask = [](TracedConnection& amqp) {
    const timeval at_once{0, 1000};
    amqp_envelope_t envelope;
    EXPECT_EQ(to_string(amqp->consume_message(&envelope, &at_once, 0)), "request timed out");
    const amqp_rpc_reply_t reply = amqp->basic_get(1, amqp_text("orders"), 0);
    EXPECT_EQ(reply.reply.id, static_cast<amqp_method_number_t>(AMQP_BASIC_GET_EMPTY_METHOD));
  };
  TracedConnection plain = consumer_of("orders");
  ask(plain);
  EXPECT_EQ(brief(), "\n");
  TracedConnection asking = connect_traced({.empty_receives = true});
  ask(asking);
  EXPECT_EQ(tree(), R"(
receive CLIENT
  messaging.operation.name = receive
  messaging.operation.type = receive
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
receive orders CLIENT
  messaging.destination.name = orders
  messaging.operation.name = receive
  messaging.operation.type = receive
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(AmqpConsume, AFetchThatTheBrokerRefusedIsAnError) {
  TracedConnection amqp = connect_traced();
  EXPECT_THAT(to_string(amqp->basic_get(1, amqp_text("missing"), 0)), ::testing::StartsWith("404 NOT_FOUND"));
  const testing::OwnedSpan receive = only("receive");
  EXPECT_EQ(receive.name, "receive missing");
  EXPECT_EQ(receive.attribute("error.type"), "NOT_FOUND");
  EXPECT_NE(amqp->reopen_channel(1), nullptr) << amqp.last_reply();
  EXPECT_EQ(amqp.declare_queue("missing"), "missing") << amqp.last_reply();
}

TEST_F(AmqpConsume, WithAutomaticAcknowledgementThereIsNothingToSettle) {
  {
    TracedConnection amqp = consumer_of("orders", {}, true);
    send("", "orders");
    send("", "orders");
    const AmqpEnvelope first = amqp.next();
    ASSERT_TRUE(first);
    { const auto processing = amqp::process(*amqp, *first); }
    const AmqpEnvelope second = amqp.next();
    ASSERT_TRUE(second);
    amqp::ProcessSpan detached = amqp::process(*amqp, *second).detach();
    EXPECT_EQ(all_of("process").size(), 1U);
    detached.end();
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 1
    link -> publish orders
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 2
    midtrace.process.ended_by = end
    link -> publish orders
receive orders CLIENT
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish orders
receive orders CLIENT
  messaging.rabbitmq.message.delivery_tag = 2
  link -> publish orders
)");
}

// A queue without a name is the channel's last declared one.
TEST_F(AmqpConsume, TheLastDeclaredQueueHasItsNameWithoutSayingIt) {
  TracedConnection amqp = connect_traced();
  EXPECT_NE(amqp->exchange_declare(1, amqp_text("shop"), amqp_text("topic"), 0, 0, 0, 0, amqp_empty_table),
            nullptr);
  ASSERT_EQ(amqp.declare_queue("orders"), "orders");
  EXPECT_NE(amqp->queue_bind(1, amqp_empty_bytes, amqp_text("shop"), amqp_text("#"), amqp_empty_table),
            nullptr);
  send("shop", "new");
  EXPECT_EQ(to_string(amqp->basic_get(1, amqp_empty_bytes, 0)), "normal");
  amqp_message_t message;
  ASSERT_EQ(to_string(amqp->read_message(1, &message, 0)), "normal");
  amqp_destroy_message(&message);
  ASSERT_TRUE(amqp.consume(""));
  send("shop", "new");
  EXPECT_TRUE(amqp.next());
  for (const testing::OwnedSpan& receive : all_of("receive"))
    EXPECT_EQ(receive.name, "receive shop:new:orders");
  EXPECT_EQ(all_of("receive").size(), 2U);
}

// --- What a span says of its message.

TEST_F(AmqpConsume, TheSpansSayWhatTheMessageIs) {
  {
    TracedConnection amqp = consumer_of("orders", {.capture_body_size = true,
                                                   .captured_headers = {"tenant", "x-*", "trace*"},
                                                   .excluded_headers = {"x-secret"}});
    AmqpTable headers;
    headers.text("tenant", "acme").text("x-kind", "express").text("x-secret", "hunter2").text("other", "o");
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG;
    properties.headers = headers.get();
    properties.message_id = amqp_text("m-1");
    properties.correlation_id = amqp_text("c-1");
    send("", "orders", "order", &properties);
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    const auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  messaging.message.conversation_id = c-1
  messaging.message.id = m-1
  process orders CONSUMER
    messaging.header.tenant = [acme]
    messaging.header.x-kind = [express]
    messaging.message.body.size = 5
    messaging.message.conversation_id = c-1
    messaging.message.id = m-1
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish orders
    ack orders CLIENT
      messaging.message.conversation_id = c-1
      messaging.message.id = m-1
      messaging.rabbitmq.message.delivery_tag = 1
      link -> publish orders
receive orders CLIENT
  messaging.header.tenant = [acme]
  messaging.header.x-kind = [express]
  messaging.message.body.size = 5
  messaging.message.conversation_id = c-1
  messaging.message.id = m-1
  messaging.rabbitmq.message.delivery_tag = 1
  link -> publish orders
)");
}

TEST_F(AmqpConsume, TheTimeInTheQueueIsKnownFromTheTimestamp) {
  const std::int64_t now = 1704067200;  // when the manual clock begins
  TracedConnection amqp = consumer_of("orders");
  const auto queue_time = [&](std::int64_t sent) {
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_TIMESTAMP_FLAG;
    properties.timestamp = static_cast<std::uint64_t>(sent);
    send("", "orders", "order", &properties);
    const AmqpEnvelope envelope = amqp.next();
    {
      const auto processing = amqp::process(*amqp, *envelope);
      EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
    }
    const testing::OwnedSpan receive = only("receive");
    const testing::OwnedSpan process = only("process");
    recorder_->clear();
    EXPECT_EQ(receive.attribute("midtrace.messaging.queue_time"),
              process.attribute("midtrace.messaging.queue_time"));
    return receive.attribute("midtrace.messaging.queue_time") + "," +
           receive.attribute("midtrace.messaging.clock_skewed");
  };
  recorder_->clock().advance(std::chrono::milliseconds(2500));
  EXPECT_THAT(queue_time(now), ::testing::StartsWith("2.5"));
  EXPECT_EQ(queue_time(now + 3), "0,");  // less than a second ahead: the unit's fault
  EXPECT_EQ(queue_time(now + 60), "0,true");
  EXPECT_EQ(queue_time(0), ",");
}

TEST_F(AmqpConsume, TheOldNamesAreThereOnRequest) {
  ::setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "messaging/dup", 1);
  {
    TracedConnection amqp = consumer_of("orders");
    ::unsetenv("OTEL_SEMCONV_STABILITY_OPT_IN");
    send("", "orders");
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    const auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(only("receive").attribute("messaging.operation"), "receive");
  EXPECT_EQ(only("receive").kind, SpanKind::client);
  EXPECT_EQ(only("process").attribute("messaging.operation"), "process");
  EXPECT_EQ(only("ack").attribute("messaging.operation"), "settle");
  EXPECT_EQ(only("publish").attribute("messaging.operation"), "");
}

// --- Switches.

// Consumes one message below a span, works on it and acknowledges it. Gives the trace that was current.
TraceId consume_work_ack(TracedConnection& amqp) {
  const AmqpEnvelope envelope = amqp.next();
  if (envelope == nullptr) return {};
  const auto processing = amqp::process(*amqp, *envelope);
  const TraceId current = Context::current().span.trace_id;
  auto work = Tracer::get("test").start("charge");
  work.end();
  EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  return current;
}

TEST_F(AmqpConsume, WithoutReceiveAndSettleSpansTheProcessSpanStillLivesUntilTheAck) {
  {
    TracedConnection amqp = consumer_of("orders", {.receive_spans = false, .settle_spans = false});
    send("", "orders");
    consume_work_ack(amqp);
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  process orders CONSUMER
    messaging.rabbitmq.message.delivery_tag = 1
    midtrace.process.ended_by = ack
    link -> publish orders
    charge INTERNAL
)");
}

TEST_F(AmqpConsume, AnUntracedQueueHasNoSpansAndItsContextTravels) {
  {
    TracedConnection amqp = consumer_of("health", {.untraced_queues = {"heal*"}});
    send("", "health");
    const TraceId current = consume_work_ack(amqp);
    EXPECT_EQ(current, only("publish").context.trace_id);
  }
  EXPECT_EQ(brief(), R"(
publish health PRODUCER
  charge INTERNAL
)");
}

TEST_F(AmqpConsume, AnUnpropagatedQueueStartsATraceOfItsOwn) {
  {
    TracedConnection amqp = consumer_of("public", {.unpropagated_queues = {"public"}});
    send("", "public");
    consume_work_ack(amqp);
  }
  EXPECT_EQ(brief(), R"(
process public CONSUMER
  messaging.rabbitmq.message.delivery_tag = 1
  midtrace.process.ended_by = ack
  ack public CLIENT
    messaging.rabbitmq.message.delivery_tag = 1
  charge INTERNAL
publish public PRODUCER
receive public CLIENT
  messaging.rabbitmq.message.delivery_tag = 1
)");
}

TEST_F(AmqpConsume, InPropagateModeTheContextTravelsWithoutSpans) {
  {
    TracedConnection amqp = consumer_of("orders", {.mode = ModuleMode::propagate});
    send("", "orders");
    const TraceId current = consume_work_ack(amqp);
    EXPECT_EQ(current, only("publish").context.trace_id);
  }
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  charge INTERNAL
)");
}

TEST_F(AmqpConsume, SwitchedOffTheCallsAreRabbitmqCsAlone) {
  {
    TracedConnection amqp = consumer_of("orders", {.mode = ModuleMode::off});
    send("", "orders");
    EXPECT_NE(consume_work_ack(amqp), only("publish").context.trace_id);
  }
  EXPECT_EQ(brief(), R"(
charge INTERNAL
publish orders PRODUCER
)");
}

TEST_F(AmqpConsume, UnderSuppressionThereAreNoSpans) {
  {
    TracedConnection amqp = consumer_of("orders", {.empty_receives = true, .channel_spans = true});
    send("", "orders");
    recorder_->clear();
    const Scope quiet(suppressed(Context::current()));
    consume_work_ack(amqp);
    EXPECT_NE(amqp->basic_qos(1, 0, 1, 0), nullptr);
  }
  EXPECT_EQ(brief(), "\ncharge INTERNAL\n");
}

TEST_F(AmqpConsume, HooksSeeEachSpanOnceAtItsStartAndOnceAtItsEnd) {
  std::vector<std::string> seen;
  const auto note = [&seen](const char* when) {
    return [&seen, when](Span& span, const amqp::Call& call) {
      std::string line = std::string(when) + ' ' + std::to_string(static_cast<int>(call.operation)) + ' ' +
                         std::string(call.destination) + (call.properties != nullptr ? " properties" : "") +
                         ' ' + to_string(call.body);
      seen.push_back(line);
      span.set("app.hook", when);
    };
  };
  {
    TracedConnection amqp = consumer_of("orders", {.on_start = note("start"), .on_finish = note("finish")});
    send("", "orders");
    consume_work_ack(amqp);
  }
  EXPECT_EQ(seen,
            (std::vector<std::string>{"start 1 orders properties order", "finish 1 orders properties order",
                                      "start 2 orders properties order", "start 3 orders ",
                                      "finish 3 orders ", "finish 2 orders "}));
  for (const char* operation : {"receive", "process", "ack"})
    EXPECT_EQ(only(operation).attribute("app.hook"), "finish");
}

TEST_F(AmqpConsume, AHookThatThrowsHarmsNothing) {
  {
    TracedConnection amqp =
        consumer_of("orders", {.on_start = [](Span&, const amqp::Call&) { throw std::runtime_error("x"); }});
    send("", "orders");
    consume_work_ack(amqp);
  }
  EXPECT_EQ(recorder_->counters()[Counter::hook_failures], 3U);
  EXPECT_EQ(ended_by(), "ack");
}

// --- Headers that other clients wrote.

class AmqpForeign : public AmqpConsumerTest {
 protected:
  void SetUp() override {
    AmqpConsumerTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    std::string why;
    if (amqp_peers_are_installed(&why)) return;
    ASSERT_FALSE(rabbitmq_required()) << why;
    GTEST_SKIP() << why;
  }
};

constexpr const char* foreign_trace = "0af7651916cd43dd8448eb211c80319c";

TEST_F(AmqpForeign, ATraceBegunByAnotherClientGoesOnWhateverKindItsHeaderHas) {
  const std::string traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  std::string hex;
  for (const char c : traceparent) {
    constexpr char digits[] = "0123456789abcdef";
    hex += digits[static_cast<unsigned char>(c) >> 4U];
    hex += digits[static_cast<unsigned char>(c) & 15U];
  }
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"long string", R"([["traceparent", "S", ")" + traceparent + R"("]])"},
      {"byte array", R"([["traceparent", "x", {"hex": ")" + hex + R"("}]])"},
      {"beside nested tables",
       R"([["a", "F", [["traceparent", "S", "not this"], ["deeper", "F", [["n", "I", 1]]]]],)"
       R"( ["b", "A", [["I", 1]]],)"
       R"( ["traceparent", "S", ")" +
           traceparent + R"("], ["z", "V", null], ["tracestate", "S", "vendor=1"], ["d", "D", [2, 314]]])"},
  };
  TracedConnection amqp = consumer_of("orders");
  for (const auto& [name, headers] : cases) {
    SCOPED_TRACE(name);
    std::string why;
    ASSERT_TRUE(peer().python({"publish", "", "orders", "hello", headers}, &why)) << why;
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    {
      const auto processing = amqp::process(*amqp, *envelope);
      EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
    }
    const testing::OwnedSpan process = only("process");
    EXPECT_EQ(process.context.trace_id, TraceId::from_hex(foreign_trace));
    EXPECT_TRUE(process.parent_remote);
    ASSERT_EQ(process.links.size(), 1U);
    EXPECT_EQ(process.links[0].context.span_id, process.parent_span_id);
    recorder_->clear();
  }
}

// What is forwarded keeps every table, and has the forwarder's context instead of the received one.
TEST_F(AmqpForeign, ForwardedTablesAreAsTheyWereReceived) {
  const std::string tables = R"(["a","F",[["traceparent","S","inner"],["deeper","F",[["n","I",1]]]]],)"
                             R"(["b","A",[["I",1],["F",[["x","S","y"]]]]],)"
                             R"(["z","V",null],["d","D",[2,314]],["t","T",1700000000])";
  TracedConnection amqp = consumer_of("orders");
  ASSERT_EQ(amqp.declare_queue("shipping"), "shipping");
  std::string why;
  ASSERT_TRUE(peer().python(
      {"publish", "", "orders", "hello",
       R"([["traceparent","S","00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],)" + tables + "]"},
      &why))
      << why;
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    const auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(amqp.publish("", "shipping", "hello", &envelope->message.properties), AMQP_STATUS_OK);
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  const std::optional<std::string> got = peer().python({"get", "shipping"}, &why);
  ASSERT_TRUE(got) << why;
  const auto without_blanks = [](std::string text) {
    std::erase(text, ' ');
    return text;
  };
  EXPECT_THAT(without_blanks(*got), ::testing::HasSubstr(tables));
  const testing::OwnedSpan publish = only("publish");
  EXPECT_EQ(publish.context.trace_id, TraceId::from_hex(foreign_trace));
  EXPECT_THAT(*got, ::testing::HasSubstr(publish.context.span_id.to_string()));
  EXPECT_THAT(*got, ::testing::Not(::testing::HasSubstr("b7ad6b7169203331")));
}

}  // namespace
}  // namespace midtrace::test
