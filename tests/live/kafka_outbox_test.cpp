// Messages out of an outbox carry the context that was stored with them (CreationContext).

#include "live/kafka_fixture.h"

#include <thread>

namespace midtrace::test {
namespace {

class KafkaOutbox : public KafkaFixture {
 protected:
  void SetUp() override {
    KafkaFixture::SetUp();
    const Span order = start_span("place order");
    Context context;
    context.span = order.context();
    context.baggage = Baggage().with("tenant", "7");
    row_ = context_to_text(context);
    stored_ = traceparent(order.context());
  }

  // The headers of so many messages, as a consumer without midtrace finds them.
  std::vector<HeaderList> arrived(std::size_t count) {
    std::vector<HeaderList> result;
    const Client consumer = make_bare_consumer();
    while (result.size() < count) {
      const OwnedMessage message = poll(consumer.get());
      if (message == nullptr) break;
      result.push_back(headers_of(message.get()));
    }
    return result;
  }

  std::string row_;     // what the database has
  std::string stored_;  // its traceparent
};

TEST_F(KafkaOutbox, MessagesCarryTheStoredContextUnchanged_Interceptors) {
  {
    const Client producer = make_producer();
    const kafka::CreationContext stored(context_from_text(row_));
    produce_from_own_traces(producer.get(), {{.headers = {{"own", "1"}}}, {}});
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
place order INTERNAL
  send orders CLIENT
    link -> place order
  send orders CLIENT
    link -> place order
)");
  const std::vector<HeaderList> headers = arrived(2);
  ASSERT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers[0], (HeaderList{{"own", "1"}, {"traceparent", stored_}, {"baggage", "tenant=7"}}));
  EXPECT_EQ(headers[1], (HeaderList{{"traceparent", stored_}, {"baggage", "tenant=7"}}));
}

TEST_F(KafkaOutbox, MessagesCarryTheStoredContextUnchanged_Wrapper) {
  {
    const Client client = make_producer();
    const kafka::Producer producer(client.get());
    const Span relay = start_span("relay");
    const Scope scope = relay.activate();
    const kafka::CreationContext stored(context_from_text(row_));
    EXPECT_EQ(producer.producev(RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_VALUE(const_cast<char*>("order"), 5),
                                RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(producer.flush(10000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
place order INTERNAL
relay INTERNAL
  send orders CLIENT
    link -> place order
)");
  EXPECT_EQ(values_of(arrived(1).at(0), "traceparent"), std::vector<std::string>{stored_});
}

TEST_F(KafkaOutbox, AConsumerContinuesTheStoredTrace) {
  {
    const Client producer = make_producer();
    const Span relay = start_span("relay");
    const Scope scope = relay.activate();
    const kafka::CreationContext stored(context_from_text(row_));
    produce_from_own_traces(producer.get(), {{}});
  }
  {
    const Client consumer = make_consumer({.poll_spans = kafka::PollSpans::off});
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
place order INTERNAL
  process orders CONSUMER
    link -> place order
relay INTERNAL
  send orders CLIENT
    link -> place order
)");
}

TEST_F(KafkaOutbox, InModePropagateTheStoredContextTravelsWithoutSpans) {
  {
    const Client producer = make_producer({.mode = ModuleMode::propagate});
    const kafka::CreationContext stored(context_from_text(row_));
    produce_from_own_traces(producer.get(), {{}});
  }
  EXPECT_EQ(tree({.attributes = false}), "\nplace order INTERNAL\n");
  EXPECT_EQ(values_of(arrived(1).at(0), "traceparent"), std::vector<std::string>{stored_});
}

TEST_F(KafkaOutbox, OnlyAllowedBaggageOfItIsSent) {
  {
    const Client producer = make_producer({.baggage_keys = std::vector<std::string>{"region"}});
    const kafka::CreationContext stored(context_from_text(row_));
    produce_from_own_traces(producer.get(), {{}});
  }
  EXPECT_EQ(arrived(1).at(0), (HeaderList{{"traceparent", stored_}}));
}

TEST_F(KafkaOutbox, TheApplicationsOwnContextInTheHeadersStays) {
  const std::string own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  {
    const Client producer = make_producer();
    const kafka::CreationContext stored(context_from_text(row_));
    produce_from_own_traces(producer.get(), {{.headers = {{"traceparent", own}}}});
  }
  EXPECT_EQ(values_of(arrived(1).at(0), "traceparent"), std::vector<std::string>{own});
  {
    const Client producer = make_producer({.existing_context = kafka::ExistingContext::replace});
    const kafka::CreationContext stored(context_from_text(row_));
    produce_from_own_traces(producer.get(), {{.headers = {{"traceparent", own}}}});
  }
  EXPECT_EQ(values_of(arrived(2).at(1), "traceparent"), std::vector<std::string>{stored_});
}

TEST_F(KafkaOutbox, WithoutAContextItChangesNothing) {
  {
    const Client producer = make_producer();
    const kafka::CreationContext around(context_from_text(row_));
    const kafka::CreationContext nothing(context_from_text("malformed"));
    produce_from_own_traces(producer.get(), {{}});
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
place order INTERNAL
send orders PRODUCER
)");
}

TEST_F(KafkaOutbox, TheInnermostCountsAndEndsInAnyOrderOnAnyThread) {
  const auto context_of = [](const char* text) { return context_from_text(text); };
  const std::string first = "00-00000000000000000000000000000a01-000000000000000a-01";
  const std::string second = "00-00000000000000000000000000000b01-000000000000000b-01";
  {
    const Client producer = make_producer();
    auto outer = std::make_unique<kafka::CreationContext>(context_of(first.c_str()));
    auto inner = std::make_unique<kafka::CreationContext>(context_of(second.c_str()));
    produce_from_own_traces(producer.get(), {{}});
    outer.reset();
    produce_from_own_traces(producer.get(), {{}});
    std::thread([&] { inner.reset(); }).join();
    produce_from_own_traces(producer.get(), {{}});
  }
  const std::vector<HeaderList> headers = arrived(3);
  ASSERT_EQ(headers.size(), 3U);
  EXPECT_EQ(values_of(headers[0], "traceparent"), std::vector<std::string>{second});
  EXPECT_EQ(values_of(headers[1], "traceparent"), std::vector<std::string>{second});
  EXPECT_NE(values_of(headers[2], "traceparent"), std::vector<std::string>{second});
  EXPECT_NE(values_of(headers[2], "traceparent"), std::vector<std::string>{first});
}

TEST_F(KafkaOutbox, ARefusedMessageIsInItsTraceToo) {
  {
    const Client producer = make_producer({}, {{"message.max.bytes", "1000"}});
    const kafka::CreationContext stored(context_from_text(row_));
    std::string large(2000, 'x');
    EXPECT_EQ(kafka::Producer(producer.get())
                  .producev(RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_VALUE(large.data(), large.size()),
                            RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  }
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  const SpanContext row = context_from_text(row_).span;
  const auto refused = std::find_if(
      spans.begin(), spans.end(), [](const testing::OwnedSpan& span) { return span.name == "send orders"; });
  ASSERT_NE(refused, spans.end());
  EXPECT_EQ(refused->context.trace_id, row.trace_id);
  EXPECT_EQ(refused->parent_span_id, row.span_id);
  ASSERT_EQ(refused->links.size(), 1U);
  EXPECT_EQ(refused->links[0].context.span_id, row.span_id);
}

TEST_F(KafkaOutbox, AMessageWithoutRoomIsSentWithoutAContext) {
  const Client producer = make_producer({}, {{"message.max.bytes", "1000"}});
  const kafka::CreationContext stored(context_from_text(row_));
  const std::string large(900, 'x');
  ASSERT_EQ(produce(producer.get(), {.value = large.c_str()}), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  EXPECT_EQ(arrived(1).at(0), HeaderList{});
  EXPECT_EQ(recorder_->counters()[Counter::injection_skipped], 1U);
}

}  // namespace
}  // namespace midtrace::test
