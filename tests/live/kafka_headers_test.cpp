// Hostile headers on the wire: huge, binary, duplicated, with NUL bytes. They never break the consumer, never
// invent a context, and what is no context is counted.

#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

class KafkaHeaders : public KafkaFixture {
 protected:
  // Sends the headers as they are, and returns what the wrapper makes of them.
  Context received(const HeaderList& headers) {
    {
      const Client producer = make_bare_producer({{"message.max.bytes", "20000000"}});
      EXPECT_EQ(produce(producer.get(), {.headers = headers}), RD_KAFKA_RESP_ERR_NO_ERROR);
      EXPECT_EQ(rd_kafka_flush(producer.get(), 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 20s);
    EXPECT_TRUE(message);
    const auto processing = kafka::process(message);
    EXPECT_EQ(headers_of(message.get()), headers) << "the application sees what was sent";
    return message.creation_context();
  }
  std::uint64_t malformed() { return recorder_->counters()[Counter::extract_malformed_traceparent]; }
};

const std::string first = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const std::string second = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST_F(KafkaHeaders, TheLastWellFormedTraceparentWins) {
  const Context context =
      received({{"traceparent", first}, {"traceparent", second}, {"traceparent", "junk"}});
  EXPECT_EQ(traceparent(context.span), second);
  EXPECT_TRUE(context.span.remote);
}

TEST_F(KafkaHeaders, NamesAreCaseSensitive) { EXPECT_FALSE(received({{"TraceParent", first}}).span.valid()); }

TEST_F(KafkaHeaders, ANulByteInTheValueIsMalformed) {
  EXPECT_FALSE(received({{"traceparent", first + std::string("\0", 1)}}).span.valid());
  EXPECT_EQ(malformed(), 1U);
}

TEST_F(KafkaHeaders, BinaryValuesAreMalformed) {
  std::string bytes(55, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 37);
  EXPECT_FALSE(received({{"traceparent", bytes}, {"tracestate", bytes}, {"baggage", bytes}}).span.valid());
  EXPECT_EQ(malformed(), 1U);
}

TEST_F(KafkaHeaders, AHugeValueIsMalformed) {
  EXPECT_FALSE(received({{"traceparent", std::string(200000, '0')}}).span.valid());
  EXPECT_EQ(malformed(), 1U);
}

TEST_F(KafkaHeaders, HugeTracestateAndBaggageAreDroppedAndTheTraceStays) {
  const Context context = received({{"traceparent", first},
                                    {"tracestate", "a=" + std::string(200000, 'x')},
                                    {"baggage", "b=" + std::string(200000, 'y')}});
  EXPECT_EQ(traceparent(context.span), first);
  EXPECT_TRUE(context.span.trace_state.empty());
  EXPECT_TRUE(context.baggage.empty());
}

TEST_F(KafkaHeaders, ThousandsOfDuplicatesEndInOneContext) {
  HeaderList headers;
  for (int i = 0; i < 5000; ++i)
    headers.emplace_back("traceparent", i % 2 == 0 ? first : "x");
  headers.emplace_back("traceparent", second);
  EXPECT_EQ(traceparent(received(headers).span), second);
}

TEST_F(KafkaHeaders, ThousandsOfOtherHeadersDoNotHideTheContext) {
  HeaderList headers;
  for (int i = 0; i < 5000; ++i)
    headers.emplace_back("t" + std::to_string(i), std::string(10, 'v'));
  headers.emplace_back("traceparent", first);
  headers.emplace_back("", "a header without a name");
  EXPECT_EQ(traceparent(received(headers).span), first);
}

TEST_F(KafkaHeaders, ANullValueIsAbsent) {
  {
    const Client producer = make_bare_producer();
    ASSERT_EQ(rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC("orders"),
                                RD_KAFKA_V_HEADER("traceparent", nullptr, 0), RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  const Client consumer = make_consumer();
  const kafka::Message message = kafka::consume(consumer.get(), 10s);
  ASSERT_TRUE(message);
  EXPECT_FALSE(message.creation_context().span.valid());
  EXPECT_EQ(malformed(), 0U);
}

// Outgoing: what cannot be put back after a failure is not replaced, and the message goes out as it is.
TEST_F(KafkaHeaders, EnormousOutgoingLeftoversAreLeftAlone) {
  HeaderList headers;
  for (int i = 0; i < 20; ++i)
    headers.emplace_back("traceparent", std::string(5000, 'x'));
  {
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get(), {.headers = headers}), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  const Client consumer = make_bare_consumer();
  const OwnedMessage message = poll(consumer.get());
  EXPECT_EQ(headers_of(message.get()), headers);
  EXPECT_EQ(recorder_->counters()[Counter::injection_skipped], 1U);
}

TEST_F(KafkaHeaders, BaggageAndTracestateTravelWithTheContext) {
  {
    Context context;
    context.span = parse_traceparent(first);
    context.span.trace_state = TraceState::parse("vendor=1");
    context.baggage = Baggage().with("tenant", "blue");
    const Scope scope(context);
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  const Client consumer = make_consumer();
  const kafka::Message message = kafka::consume(consumer.get(), 10s);
  EXPECT_EQ(message.creation_context().span.trace_state.header(), "vendor=1");
  EXPECT_EQ(message.creation_context().baggage, Baggage().with("tenant", "blue"));
}

}  // namespace
}  // namespace midtrace::test
