// Which context a published message carries, and how its span relates to one that was there before.
#include <cstdlib>

#include <midtrace/propagation/b3.h>
#include <midtrace/propagation/context_text.h>
#include <midtrace/propagation/jaeger.h>

#include "live/amqp_headers.h"
#include "live/amqp_traced_fixture.h"

namespace midtrace::test {
namespace {

constexpr std::string_view foreign = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr std::string_view foreign_unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

// The only one that is ever received here: a thread remembers what it received, beyond a test's end.
constexpr std::string_view received = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

Context context_of(std::string_view header, Baggage baggage = {}) {
  Context context;
  context.span = parse_traceparent(header);
  context.baggage = std::move(baggage);
  return context;
}

class AmqpPropagation : public AmqpTraced {
 protected:
  void SetUp() override {
    AmqpTraced::SetUp();
    if (virtual_host_.empty()) return;
    plain_ = connect();
    plain_->declare_queue("orders");
    plain_->consume("orders");
  }
  void TearDown() override {
    plain_.reset();
    AmqpTraced::TearDown();
  }

  // The headers of the next message in `orders`, as a consumer without tracing finds them.
  HeaderList arrived() {
    std::string why;
    const AmqpEnvelope envelope = plain_->next(&why);
    EXPECT_TRUE(envelope) << why;
    return headers_of(envelope);
  }
  HeaderList published(TracedConnection& amqp, const amqp_basic_properties_t* properties = nullptr) {
    EXPECT_EQ(amqp.publish("", "orders", "order", properties), AMQP_STATUS_OK);
    return arrived();
  }
  // The traceparent of the last span that ended.
  std::string last_span() {
    const std::vector<testing::OwnedSpan> spans = recorder_->spans();
    return spans.empty() ? std::string() : traceparent(spans.back().context);
  }
  std::string shape() { return tree({.attributes = false}); }

  std::unique_ptr<AmqpConnection> plain_;
};

// --- A context that is in the headers already.

TEST_F(AmqpPropagation, TheApplicationsOwnContextStays) {
  TracedConnection amqp = connect_traced();
  const Message message(
      {text_entry("own", "1"), text_entry("traceparent", foreign), text_entry("tracestate", "vendor=1")});
  {
    const Span place = start_span("place order");
    const Scope scope = place.activate();
    EXPECT_EQ(published(amqp, &message.properties),
              (HeaderList{{"own", "1"}, {"traceparent", std::string(foreign)}, {"tracestate", "vendor=1"}}));
  }
  EXPECT_EQ(shape(), R"(
place order INTERNAL
  publish orders CLIENT
    link -> (not here)
)");
}

TEST_F(AmqpPropagation, TheApplicationsOwnContextIsTheParentWhereNothingIsCurrent) {
  TracedConnection amqp = connect_traced();
  const Message message({text_entry("traceparent", foreign)});
  EXPECT_EQ(published(amqp, &message.properties), (HeaderList{{"traceparent", std::string(foreign)}}));
  EXPECT_EQ(shape(), R"(
publish orders CLIENT
  parent (not here)
  link -> (not here)
)");
  EXPECT_EQ(recorder_->spans()[0].context.trace_id, parse_traceparent(foreign).trace_id);
}

TEST_F(AmqpPropagation, TheApplicationsOwnContextStaysUntilTheConfirmToo) {
  TracedConnection amqp = connect_traced();
  ASSERT_NE(amqp->confirm_select(1), nullptr);
  const Message message({text_entry("traceparent", foreign)});
  EXPECT_EQ(published(amqp, &message.properties), (HeaderList{{"traceparent", std::string(foreign)}}));
  EXPECT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 1U);
  EXPECT_EQ(shape(), R"(
publish orders CLIENT
  parent (not here)
  link -> (not here)
)");
}

TEST_F(AmqpPropagation, AContextInAByteArrayIsOneToo) {
  amqp_table_entry_t entry = text_entry("traceparent", foreign);
  entry.value.kind = AMQP_FIELD_KIND_BYTES;
  const Message message({entry});
  TracedConnection amqp = connect_traced();
  EXPECT_EQ(published(amqp, &message.properties), (HeaderList{{"traceparent", std::string(foreign)}}));
  EXPECT_EQ(recorder_->spans()[0].kind, SpanKind::client);
}

TEST_F(AmqpPropagation, WhatIsNoContextIsReplaced) {
  TracedConnection amqp = connect_traced();
  const Message message(
      {text_entry("traceparent", "00-junk"), int_entry("tracestate", 7), text_entry("own", "1")});
  const HeaderList headers = published(amqp, &message.properties);
  EXPECT_EQ(headers, (HeaderList{{"own", "1"}, {"traceparent", last_span()}}));
  EXPECT_EQ(recorder_->spans()[0].kind, SpanKind::producer);
}

// Names are compared as they are; the trace stays what it would be without these headers.
TEST_F(AmqpPropagation, NamesAreCaseSensitive) {
  TracedConnection amqp = connect_traced();
  const Message message({text_entry("TraceParent", foreign)});
  const HeaderList headers = published(amqp, &message.properties);
  EXPECT_EQ(headers, (HeaderList{{"TraceParent", std::string(foreign)}, {"traceparent", last_span()}}));
}

TEST_F(AmqpPropagation, HeadersThatWereReceivedAndAreForwardedAreReplaced) {
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("inbox");
  ASSERT_TRUE(amqp.consume("inbox", true));
  const Message message({text_entry("own", "1"), text_entry("traceparent", received)});
  plain_->publish("", "inbox", "order", &message.properties);
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  {
    const auto processing = amqp::process(*amqp, *envelope);
    const HeaderList headers = published(amqp, &envelope->message.properties);
    EXPECT_EQ(headers, (HeaderList{{"own", "1"}, {"traceparent", last_span()}}));
  }
  EXPECT_EQ(shape(), R"(
process inbox CONSUMER
  parent (not here)
  link -> (not here)
  publish orders PRODUCER
receive inbox CLIENT
  link -> (not here)
)");
}

// Without process() the order is still one graph.
TEST_F(AmqpPropagation, HeadersThatAreForwardedOutsideOfAProcessSpanAreLinked) {
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("inbox");
  ASSERT_TRUE(amqp.consume("inbox", true));
  const Message message({text_entry("traceparent", received)});
  plain_->publish("", "inbox", "order", &message.properties);
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  const HeaderList headers = published(amqp, &envelope->message.properties);
  EXPECT_EQ(headers, (HeaderList{{"traceparent", last_span()}}));
  EXPECT_EQ(shape(), R"(
publish orders PRODUCER
  parent (not here)
  link -> (not here)
receive inbox CLIENT
  link -> (not here)
)");
}

TEST_F(AmqpPropagation, KeepLeavesForwardedHeadersAlone) {
  TracedConnection amqp = connect_traced({.existing_context = amqp::ExistingContext::keep});
  amqp.declare_queue("inbox");
  ASSERT_TRUE(amqp.consume("inbox", true));
  const Message message({text_entry("traceparent", received)});
  plain_->publish("", "inbox", "order", &message.properties);
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  const auto processing = amqp::process(*amqp, *envelope);
  EXPECT_EQ(published(amqp, &envelope->message.properties),
            (HeaderList{{"traceparent", std::string(received)}}));
}

TEST_F(AmqpPropagation, ReplaceTakesTheApplicationsOwnAway) {
  TracedConnection amqp = connect_traced({.existing_context = amqp::ExistingContext::replace});
  const Message message({text_entry("traceparent", foreign), text_entry("tracestate", "vendor=1")});
  const HeaderList headers = published(amqp, &message.properties);
  EXPECT_EQ(header(headers, "traceparent"), last_span());
  EXPECT_EQ(headers.back().first == "tracestate" ? headers.back().second : "", "vendor=1")
      << "it is the parent's, whose trace goes on";
  EXPECT_EQ(recorder_->spans()[0].kind, SpanKind::producer);
}

// --- An outbox.

TEST_F(AmqpPropagation, AMessageOutOfAnOutboxCarriesTheStoredContext) {
  std::string row;
  std::string stored_text;
  {
    const Span order = start_span("place order");
    stored_text = traceparent(order.context());
    Context context;
    context.span = order.context();
    context.baggage = Baggage().with("tenant", "7");
    row = context_to_text(context);
  }
  TracedConnection amqp = connect_traced();
  for (const bool confirms : {false, true}) {
    if (confirms) {
      ASSERT_NE(amqp->confirm_select(1), nullptr);
    }
    const Span relay = start_span("relay");
    const Scope scope = relay.activate();
    const amqp::CreationContext stored(context_from_text(row));
    const Message message({text_entry("own", "1")});
    EXPECT_EQ(published(amqp, &message.properties),
              (HeaderList{{"own", "1"}, {"traceparent", stored_text}, {"baggage", "tenant=7"}}));
    if (confirms) {
      EXPECT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 1U);
    }
    recorder_->clock().advance(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(shape(), R"(
place order INTERNAL
relay INTERNAL
  publish orders CLIENT
    link -> place order
relay INTERNAL
  publish orders CLIENT
    link -> place order
)");
}

TEST_F(AmqpPropagation, TheStoredContextIsTheParentWhereNothingIsCurrent) {
  TracedConnection amqp = connect_traced();
  const amqp::CreationContext stored(context_of(foreign));
  EXPECT_EQ(published(amqp), (HeaderList{{"traceparent", std::string(foreign)}}));
  EXPECT_EQ(shape(), R"(
publish orders CLIENT
  parent (not here)
  link -> (not here)
)");
}

TEST_F(AmqpPropagation, AContextOfTheApplicationsOwnBeatsTheStoredOne) {
  constexpr std::string_view other = "00-80e1afed08e019fc1110464cfa66635c-7a085853722dc6d2-01";
  TracedConnection amqp = connect_traced();
  const amqp::CreationContext stored(context_of(foreign));
  const Message message({text_entry("traceparent", other)});
  EXPECT_EQ(published(amqp, &message.properties), (HeaderList{{"traceparent", std::string(other)}}));
}

TEST_F(AmqpPropagation, AForwardedContextMakesWayForTheStoredOne) {
  TracedConnection amqp = connect_traced();
  amqp.declare_queue("inbox");
  ASSERT_TRUE(amqp.consume("inbox", true));
  const Message message({text_entry("traceparent", received)});
  plain_->publish("", "inbox", "order", &message.properties);
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  const auto processing = amqp::process(*amqp, *envelope);
  const amqp::CreationContext stored(context_of(foreign));
  EXPECT_EQ(published(amqp, &envelope->message.properties),
            (HeaderList{{"traceparent", std::string(foreign)}}));
}

// --- Baggage.

TEST_F(AmqpPropagation, BaggageAndTracestateGoAlong) {
  TracedConnection amqp = connect_traced();
  Context context = context_of(foreign, Baggage().with("tenant", "blue").with("user", "7"));
  context.span.trace_state = TraceState::parse("vendor=1");
  const Scope scope(context);
  const HeaderList headers = published(amqp);
  EXPECT_EQ(headers, (HeaderList{{"traceparent", last_span()},
                                 {"tracestate", "vendor=1"},
                                 {"baggage", "tenant=blue,user=7"}}));
}

TEST_F(AmqpPropagation, OnlyNamedBaggageGoesAlong) {
  const Scope scope(context_of(foreign, Baggage().with("tenant", "blue").with("secret", "7")));
  {
    TracedConnection amqp = connect_traced({.baggage_keys = std::vector<std::string>{"tenant"}});
    EXPECT_EQ(header(published(amqp), "baggage"), "tenant=blue");
  }
  {
    TracedConnection amqp = connect_traced({.baggage_keys = std::vector<std::string>{}});
    EXPECT_EQ(header(published(amqp), "baggage"), "");
  }
  TracedConnection amqp = connect_traced({.baggage_keys = std::vector<std::string>{}});
  const amqp::CreationContext stored(context_of(foreign, Baggage().with("secret", "7")));
  EXPECT_EQ(published(amqp), (HeaderList{{"traceparent", std::string(foreign)}}));
}

// --- Formats.

TEST_F(AmqpPropagation, OtherFormats) {
  const std::string ids = "0af7651916cd43dd8448eb211c80319c";
  {
    start_recorder({.propagator = std::make_shared<B3Propagator>()});
    TracedConnection amqp = connect_traced();
    const Scope scope(context_of(foreign));
    const HeaderList headers = published(amqp);
    ASSERT_EQ(headers.size(), 1U);
    EXPECT_EQ(headers[0].first, "b3");
    EXPECT_TRUE(headers[0].second.starts_with(ids + '-')) << headers[0].second;
    EXPECT_TRUE(headers[0].second.find("-1") != std::string::npos) << headers[0].second;
  }
  {
    start_recorder({.propagator = std::make_shared<B3Propagator>(B3Format::multi)});
    TracedConnection amqp = connect_traced();
    const Scope scope(context_of(foreign));
    const HeaderList headers = published(amqp);
    EXPECT_EQ(header(headers, "x-b3-traceid"), ids);
    EXPECT_EQ(header(headers, "x-b3-sampled"), "1");
    EXPECT_EQ(header(headers, "x-b3-spanid").size(), 16U);
  }
  start_recorder({.propagator = std::make_shared<JaegerPropagator>()});
  TracedConnection amqp = connect_traced();
  const Scope scope(context_of(foreign, Baggage().with("tenant", "blue")));
  const HeaderList headers = published(amqp);
  EXPECT_TRUE(header(headers, "uber-trace-id").starts_with(ids + ':')) << header(headers, "uber-trace-id");
  EXPECT_EQ(header(headers, "uberctx-tenant"), "blue");
  EXPECT_EQ(header(headers, "traceparent"), "");
}

// What one service wrote in several headers goes as a whole when another of the same format writes one.
TEST_F(AmqpPropagation, AReplacedContextGoesInAllItsHeaders) {
  start_recorder({.propagator = std::make_shared<B3Propagator>()});
  TracedConnection amqp = connect_traced({.existing_context = amqp::ExistingContext::replace});
  const Message message({text_entry("x-b3-traceid", "0af7651916cd43dd8448eb211c80319c"),
                         text_entry("x-b3-spanid", "b7ad6b7169203331"), text_entry("own", "1"),
                         text_entry("x-b3-sampled", "1")});
  const HeaderList headers = published(amqp, &message.properties);
  ASSERT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers[0], (std::pair<std::string, std::string>{"own", "1"}));
  EXPECT_EQ(headers[1].first, "b3");
}

TEST_F(AmqpPropagation, WithAFormatOfBaggageAloneTheSpanIsAClients) {
  start_recorder({.propagator = std::make_shared<BaggagePropagator>()});
  TracedConnection amqp = connect_traced();
  const Scope scope(context_of(foreign, Baggage().with("tenant", "blue")));
  EXPECT_EQ(published(amqp), (HeaderList{{"baggage", "tenant=blue"}}));
  EXPECT_EQ(recorder_->spans()[0].kind, SpanKind::client);
}

// --- Modes, suppression, sampling.

TEST_F(AmqpPropagation, UnderASuppressedContextNothingHappens) {
  TracedConnection amqp = connect_traced();
  {
    const Scope scope(suppressed(context_of(foreign)));
    EXPECT_EQ(published(amqp), HeaderList());
    ASSERT_NE(amqp->tx_select(1), nullptr);
    ASSERT_NE(amqp->tx_commit(1), nullptr);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(AmqpPropagation, InModePropagateTheCurrentContextTravelsWithoutSpans) {
  TracedConnection amqp = connect_traced({.mode = ModuleMode::propagate});
  EXPECT_EQ(published(amqp), HeaderList()) << "there is none";
  {
    const Scope scope(context_of(foreign, Baggage().with("tenant", "blue")));
    EXPECT_EQ(published(amqp),
              (HeaderList{{"traceparent", std::string(foreign)}, {"baggage", "tenant=blue"}}));
    constexpr std::string_view other = "00-80e1afed08e019fc1110464cfa66635c-7a085853722dc6d2-01";
    const Message message({text_entry("traceparent", other)});
    EXPECT_EQ(published(amqp, &message.properties), (HeaderList{{"traceparent", std::string(other)}}));
  }
  const amqp::CreationContext stored(context_of(foreign));
  EXPECT_EQ(published(amqp), (HeaderList{{"traceparent", std::string(foreign)}}));
  EXPECT_EQ(tree(), "\n");
}

TEST_F(AmqpPropagation, InModePropagateForwardedHeadersAreReplaced) {
  TracedConnection amqp = connect_traced({.mode = ModuleMode::propagate});
  amqp.declare_queue("inbox");
  ASSERT_TRUE(amqp.consume("inbox", true));
  const Message message({text_entry("traceparent", received)});
  plain_->publish("", "inbox", "order", &message.properties);
  const AmqpEnvelope envelope = amqp.next();
  ASSERT_TRUE(envelope);
  const Span other = start_span("other work");
  const Scope scope = other.activate();
  EXPECT_EQ(published(amqp, &envelope->message.properties),
            (HeaderList{{"traceparent", traceparent(other.context())}}));
}

TEST_F(AmqpPropagation, InModeOffNothingIsAddedAndNothingIsMade) {
  TracedConnection amqp = connect_traced({.mode = ModuleMode::off});
  amqp.declare_queue("inbox");
  ASSERT_TRUE(amqp.consume("inbox"));
  {
    const Scope scope(context_of(foreign));
    EXPECT_EQ(published(amqp), HeaderList());
    ASSERT_EQ(amqp.publish("", "inbox"), AMQP_STATUS_OK);
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    const auto processing = amqp::process(*amqp, *envelope);
    EXPECT_EQ(Context::current(), context_of(foreign));
    EXPECT_EQ(amqp->basic_ack(1, envelope->delivery_tag, 0), AMQP_STATUS_OK);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(AmqpPropagation, TheModeComesFromTheEnvironmentUnlessItIsSaid) {
  ASSERT_EQ(setenv("MIDTRACE_AMQP", "off", 1), 0);
  {
    TracedConnection off = connect_traced();
    TracedConnection on = connect_traced({.mode = ModuleMode::on});
    EXPECT_EQ(published(off), HeaderList());
    EXPECT_EQ(published(on).size(), 1U);
  }
  unsetenv("MIDTRACE_AMQP");
}

TEST_F(AmqpPropagation, UnsampledContextsGoOutUnsampled) {
  start_recorder({.sampler = parent_based_sampler({})});
  TracedConnection amqp = connect_traced();
  const Scope scope(context_of(foreign_unsampled, Baggage().with("tenant", "blue")));
  const HeaderList headers = published(amqp);
  const SpanContext carried = parse_traceparent(header(headers, "traceparent"));
  EXPECT_EQ(carried.trace_id, parse_traceparent(foreign_unsampled).trace_id);
  EXPECT_FALSE(carried.flags.sampled());
  EXPECT_EQ(header(headers, "baggage"), "tenant=blue");
  EXPECT_EQ(tree(), "\n");
}

TEST_F(AmqpPropagation, ADroppedRootGoesOutUnsampled) {
  start_recorder({.sampler = always_off_sampler()});
  TracedConnection amqp = connect_traced();
  const SpanContext carried = parse_traceparent(header(published(amqp), "traceparent"));
  EXPECT_TRUE(carried.valid());
  EXPECT_FALSE(carried.flags.sampled());
}

// --- Switches by name.

TEST_F(AmqpPropagation, UntracedNamesHaveNoSpansAndTheContextTravels) {
  TracedConnection amqp = connect_traced({.untraced_exchanges = {"amq.*"}, .untraced_queues = {"ord?rs"}});
  ASSERT_NE(amqp_queue_bind(plain_->state(), 1, amqp_text("orders"), amqp_text("amq.direct"),
                            amqp_text("orders"), amqp_empty_table),
            nullptr);
  const Scope scope(context_of(foreign));
  EXPECT_EQ(published(amqp), (HeaderList{{"traceparent", std::string(foreign)}}));
  ASSERT_EQ(amqp.publish("amq.direct", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(arrived(), (HeaderList{{"traceparent", std::string(foreign)}}));
  EXPECT_EQ(tree(), "\n");
  ASSERT_EQ(amqp.publish("", "others"), AMQP_STATUS_OK);
  EXPECT_EQ(recorder_->spans().size(), 1U) << "another queue";
}

TEST_F(AmqpPropagation, UnpropagatedNamesHaveSpansAndNothingIsAdded) {
  TracedConnection amqp =
      connect_traced({.unpropagated_exchanges = {"amq.*"}, .unpropagated_queues = {"ord*"}});
  ASSERT_NE(amqp_queue_bind(plain_->state(), 1, amqp_text("orders"), amqp_text("amq.direct"),
                            amqp_text("key"), amqp_empty_table),
            nullptr);
  EXPECT_EQ(published(amqp), HeaderList());
  recorder_->clock().advance(std::chrono::milliseconds(1));
  ASSERT_EQ(amqp.publish("amq.direct", "key"), AMQP_STATUS_OK);
  EXPECT_EQ(arrived(), HeaderList());
  EXPECT_EQ(shape(), R"(
publish orders CLIENT
publish amq.direct:key CLIENT
)");
  EXPECT_EQ(recorder_->counters()[Counter::injection_skipped], 0U) << "it was asked for";
}

TEST_F(AmqpPropagation, AQueuesNameIsNoExchanges) {
  TracedConnection amqp = connect_traced({.untraced_exchanges = {"orders"}});
  EXPECT_EQ(published(amqp).size(), 1U);
  EXPECT_EQ(shape(), "\npublish orders PRODUCER\n");
}

}  // namespace
}  // namespace midtrace::test
