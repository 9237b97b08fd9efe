// What crosses the boundary to a broker: contexts of senders that are not trusted, baggage by its allow-list,
// and the headers of B3 and Jaeger. "Interceptors" uses librdkafka's own calls, "Wrapper" the module's.

#include "live/kafka_fixture.h"

#include <midtrace/propagation/b3.h>
#include <midtrace/propagation/jaeger.h>

namespace midtrace::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const std::string trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string span_id = "00f067aa0ba902b7";
const std::string denied_header = "00-" + trace_id + "-" + span_id + "-00";

class KafkaBoundaries : public KafkaFixture {
 protected:
  void TearDown() override {
    set_propagator(nullptr);
    KafkaFixture::TearDown();
  }

  void start_anew(testing::RecorderOptions options = {}) {
    expect_known_attributes();
    recorder_.reset();
    cluster_.reset();
    start_recorder(std::move(options));
  }

  void use_propagators(std::string_view names) {
    set_propagator(make_propagator(names, [](std::string_view name) { ADD_FAILURE() << name; }));
  }

  void send(const Sent& message = {}, kafka::Options options = {}) {
    const Client producer = make_producer(std::move(options));
    produce_from_own_traces(producer.get(), {message});
  }
  void send_untraced(const HeaderList& headers) {
    const Client producer = make_bare_producer();
    produce_from_own_traces(producer.get(), {{.headers = headers}});
  }

  // Processes the one message that is there.
  void process_with_interceptors(kafka::Options options) {
    const Client consumer = make_consumer(std::move(options));
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
    const Span work = start_span("ship");
  }
  void process_with_wrapper(kafka::Options options) {
    const Client consumer = make_consumer(std::move(options));
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  HeaderList received_headers() {
    const Client consumer = make_bare_consumer();
    return headers_of(poll(consumer.get()).get());
  }
};

// --- restart and ignore

constexpr std::string_view restarted_tree = R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
process orders CONSUMER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
  ship INTERNAL
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
)";

TEST_F(KafkaBoundaries, Restart_Interceptors) {
  send();
  process_with_interceptors({.incoming_context = IncomingContext::restart});
  EXPECT_EQ(brief(), restarted_tree);
}

TEST_F(KafkaBoundaries, Restart_Wrapper) {
  send();
  process_with_wrapper({.incoming_context = IncomingContext::restart});
  EXPECT_EQ(brief(), restarted_tree);
}

TEST_F(KafkaBoundaries, RestartHoldsAgainstTheRelationParent_Wrapper) {
  send();
  process_with_wrapper({.relation = kafka::Relation::parent, .incoming_context = IncomingContext::restart});
  EXPECT_EQ(brief(), restarted_tree);
}

constexpr std::string_view ignored_tree = R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
process orders CONSUMER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  ship INTERNAL
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
)";

TEST_F(KafkaBoundaries, Ignore_Interceptors) {
  send();
  process_with_interceptors({.incoming_context = IncomingContext::ignore});
  EXPECT_EQ(brief(), ignored_tree);
}

TEST_F(KafkaBoundaries, Ignore_Wrapper) {
  send();
  process_with_wrapper({.incoming_context = IncomingContext::ignore});
  EXPECT_EQ(brief(), ignored_tree);
}

TEST_F(KafkaBoundaries, RestartOfABatchLinksAndIgnoreDoesNot_Wrapper) {
  for (const bool restart : {true, false}) {
    start_anew();
    send();
    {
      const Client consumer =
          make_consumer({.incoming_context = restart ? IncomingContext::restart : IncomingContext::ignore});
      const kafka::Batch batch = consume_exactly(consumer.get(), 1);
      const auto processing = kafka::process(batch);
    }
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.kind != SpanKind::consumer) continue;
      EXPECT_EQ(span.links.size(), restart ? 1U : 0U);
    }
  }
}

// Whoever may write to the topic must not decide what is recorded here, neither way.
TEST_F(KafkaBoundaries, ASenderThatIsNotTrustedDecidesNothing) {
  for (const bool sampled : {true, false}) {
    for (const bool keeps : {true, false}) {
      start_anew(
          {.sampler = parent_based_sampler({.root = keeps ? always_on_sampler() : always_off_sampler()})});
      send_untraced({{"traceparent", denied_header.substr(0, 53) + (sampled ? "01" : "00")}});
      const Client consumer = make_consumer({.incoming_context = IncomingContext::restart});
      const kafka::Message message = kafka::consume(consumer.get(), 10s);
      auto processing = kafka::process(message);
      EXPECT_EQ(processing.span().recording(), keeps);
      EXPECT_NE(processing.span().context().trace_id.to_string(), trace_id);
      EXPECT_EQ(message.creation_context().span.sampled(), sampled) << "the link says what the sender said";
    }
  }
}

TEST_F(KafkaBoundaries, InModePropagateARestartedOrIgnoredTraceEndsHere) {
  send_untraced({{"traceparent", denied_header}});
  for (const auto incoming :
       {IncomingContext::continue_trace, IncomingContext::restart, IncomingContext::ignore}) {
    const Client consumer = make_consumer({.mode = ModuleMode::propagate, .incoming_context = incoming});
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(consumer.get(), message.get());
    EXPECT_EQ(Context::current().span.valid(), incoming == IncomingContext::continue_trace);
  }
}

// A dead-letter publish copies the received headers along. They are recognised although they were ignored.
TEST_F(KafkaBoundaries, ForwardedHeadersOfAnIgnoredContextAreReplaced) {
  for (const auto incoming : {IncomingContext::restart, IncomingContext::ignore}) {
    for (const bool in_scope : {true, false}) {
      start_anew();
      ASSERT_TRUE(cluster_->create_topic("dead", 1));
      send_untraced({{"traceparent", denied_header}});
      {
        const Client consumer = make_consumer({.incoming_context = incoming});
        const kafka::Message message = kafka::consume(consumer.get(), 10s);
        const Client producer = make_producer();
        if (in_scope) {
          const auto processing = kafka::process(message);
          ASSERT_EQ(produce(producer.get(), {.topic = "dead", .headers = headers_of(message.get())}), 0);
        } else {
          ASSERT_EQ(produce(producer.get(), {.topic = "dead", .headers = headers_of(message.get())}), 0);
        }
        deliver(producer.get());
      }
      const Client consumer = make_bare_consumer({"dead"});
      const auto sent = values_of(headers_of(poll(consumer.get()).get()), "traceparent");
      ASSERT_EQ(sent.size(), 1U);
      EXPECT_EQ(sent[0].find(trace_id), std::string::npos);
      EXPECT_EQ(sent[0].substr(53), "01") << "and the denial is not followed";
      for (const testing::OwnedSpan& span : recorder_->spans()) {
        if (span.name != "send dead") continue;
        EXPECT_EQ(span.kind, SpanKind::producer);
        EXPECT_EQ(span.links.size(), incoming == IncomingContext::restart && !in_scope ? 1U : 0U);
      }
    }
  }
}

// --- the allow-list of baggage

TEST_F(KafkaBoundaries, OnlyAllowedBaggageIsSent) {
  Context context;
  context.baggage = Baggage().with("tenant", "blue").with("user", "secret");
  const Scope scope(context);
  send({}, {.baggage_keys = std::vector<std::string>{"tenant", "region"}});
  EXPECT_THAT(values_of(received_headers(), "baggage"), ElementsAre("tenant=blue"));
}

TEST_F(KafkaBoundaries, AnEmptyAllowListLetsNoBaggagePass) {
  Context context;
  context.baggage = Baggage().with("tenant", "blue");
  const Scope scope(context);
  send({}, {.baggage_keys = std::vector<std::string>{}});
  EXPECT_THAT(values_of(received_headers(), "baggage"), IsEmpty());
}

TEST_F(KafkaBoundaries, OnlyAllowedBaggageIsReceived) {
  send_untraced({{"baggage", "tenant=blue;p=1,admin=yes"}});
  const kafka::Options options{.baggage_keys = std::vector<std::string>{"tenant"}};
  const Baggage expected = Baggage().with("tenant", "blue", "p=1");
  {
    const Client consumer = make_consumer(options);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    EXPECT_EQ(message.creation_context().baggage, expected);
    const auto processing = kafka::process(message);
    EXPECT_EQ(Context::current().baggage, expected);
  }
  const Client consumer = make_consumer(options);
  const OwnedMessage message = poll(consumer.get());
  const auto processing = kafka::process(message.get());
  EXPECT_EQ(Context::current().baggage, expected);
}

TEST_F(KafkaBoundaries, TheAllowListHoldsForRestartedTracesToo) {
  send_untraced({{"traceparent", denied_header}, {"baggage", "tenant=blue,admin=yes"}});
  const Client consumer = make_consumer(
      {.incoming_context = IncomingContext::restart, .baggage_keys = std::vector<std::string>{"tenant"}});
  const kafka::Message message = kafka::consume(consumer.get(), 10s);
  EXPECT_EQ(message.creation_context().baggage, Baggage().with("tenant", "blue"));
}

// --- B3 and Jaeger

constexpr std::string_view continued_tree = R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    link -> send orders
    ship INTERNAL
)";

TEST_F(KafkaBoundaries, EveryPropagatorCarriesTheTrace) {
  for (const char* const names : {"b3", "b3multi", "jaeger", "b3,b3multi,jaeger,tracecontext,baggage"}) {
    for (const bool wrapper : {true, false}) {
      start_anew();
      use_propagators(names);
      send();
      wrapper ? process_with_wrapper({}) : process_with_interceptors({});
      EXPECT_EQ(brief(), continued_tree) << names;
    }
  }
}

// A forward copies the headers of another format and of another trace along.
TEST_F(KafkaBoundaries, NothingOfAForwardedContextRemains) {
  use_propagators("b3,jaeger");
  ASSERT_TRUE(cluster_->create_topic("dead", 1));
  const HeaderList received{{"x-b3-traceid", trace_id},     {"x-b3-spanid", span_id},
                            {"x-b3-parentspanid", span_id}, {"x-b3-sampled", "1"},
                            {"uberctx-tenant", "red"},      {"mine", "1"}};
  send_untraced(received);
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    EXPECT_EQ(message.creation_context().span.trace_id.to_string(), trace_id);
    EXPECT_EQ(message.creation_context().baggage, Baggage().with("tenant", "red"));
    const auto processing = kafka::process(message);
    Context context = Context::current();
    context.baggage = context.baggage.with("tenant", "blue").with("region", "x y");
    const Scope scope(context);
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get(), {.topic = "dead", .headers = received}), 0);
    deliver(producer.get());
  }
  const Client consumer = make_bare_consumer({"dead"});
  const HeaderList sent = headers_of(poll(consumer.get()).get());
  std::string span;
  for (const testing::OwnedSpan& one : recorder_->spans()) {
    if (one.name == "send dead") span = one.context.span_id.to_string();
  }
  EXPECT_THAT(sent, UnorderedElementsAre(Pair("mine", "1"), Pair("b3", trace_id + "-" + span + "-1"),
                                         Pair("uber-trace-id", trace_id + ":" + span + ":0:1"),
                                         Pair("uberctx-tenant", "blue"), Pair("uberctx-region", "x y")));
}

TEST_F(KafkaBoundaries, JaegersBaggageReplacesItsOwnHeadersOnly) {
  use_propagators("jaeger");
  Context context;
  context.baggage = Baggage().with("tenant", "blue");
  const Scope scope(context);
  send({.headers = {{"uberctx-tenant", "red"}, {"uberctx-other", "1"}}});
  const HeaderList sent = received_headers();
  EXPECT_THAT(values_of(sent, "uberctx-tenant"), ElementsAre("blue"));
  EXPECT_THAT(values_of(sent, "uberctx-other"), ElementsAre("1"));
}

TEST_F(KafkaBoundaries, AFullBaggageFitsIntoJaegersHeaders) {
  use_propagators("tracecontext,b3,b3multi,jaeger");
  Context context;
  for (std::size_t i = 0; i < Baggage::max_members; ++i)
    context.baggage = context.baggage.with("k" + std::to_string(i), "v");
  const Scope scope(context);
  send();
  EXPECT_EQ(received_headers().size(), Baggage::max_members + 1 + 1 + 3 + 1);
  EXPECT_EQ(recorder_->counters()[Counter::injection_skipped], 0U);
}

TEST_F(KafkaBoundaries, AnOwnContextInB3IsRespected) {
  use_propagators("b3multi");
  const HeaderList own{{"x-b3-traceid", trace_id}, {"x-b3-spanid", span_id}, {"x-b3-sampled", "1"}};
  send({.headers = own});
  EXPECT_EQ(received_headers(), own);
  ASSERT_EQ(recorder_->spans().size(), 1U);
  EXPECT_EQ(recorder_->spans()[0].kind, SpanKind::client);
  EXPECT_EQ(recorder_->spans()[0].links.size(), 1U);
}

TEST_F(KafkaBoundaries, ADenialWithoutIdsIsFollowedAndPassedOn) {
  start_recorder({.sampler = parent_based_sampler({})});
  use_propagators("b3");
  send_untraced({{"b3", "0"}});
  process_with_interceptors({});
  process_with_wrapper({});
  {
    const Client consumer = make_consumer();
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(consumer.get(), message.get());
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get()), 0);
    deliver(producer.get());
  }
  EXPECT_EQ(brief(), "\n") << "no span is sampled";
  const Client consumer = make_bare_consumer();
  poll(consumer.get());
  const auto sent = values_of(headers_of(poll(consumer.get()).get()), "b3");
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].substr(sent[0].size() - 2), "-0");
}

TEST_F(KafkaBoundaries, ADenialOfTheApplicationsOwnStays) {
  use_propagators("b3");
  const Span checkout = start_span("checkout");
  const Scope scope = checkout.activate();
  send({.headers = {{"b3", "0"}}});
  EXPECT_THAT(received_headers(), ElementsAre(Pair("b3", "0")));
}

TEST_F(KafkaBoundaries, InModePropagateADenialIsPassedOnAsItCame) {
  use_propagators("b3");
  ASSERT_TRUE(cluster_->create_topic("next", 1));
  send_untraced({{"b3", "0"}});
  {
    const Client consumer = make_consumer({.mode = ModuleMode::propagate});
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(consumer.get(), message.get());
    const Client producer = make_producer({.mode = ModuleMode::propagate});
    ASSERT_EQ(produce(producer.get(), {.topic = "next"}), 0);
    deliver(producer.get());
  }
  const Client consumer = make_bare_consumer({"next"});
  EXPECT_THAT(headers_of(poll(consumer.get()).get()), ElementsAre(Pair("b3", "0")));
}

TEST_F(KafkaBoundaries, AForcedTraceIsForcedForTheNext) {
  use_propagators("b3");
  ASSERT_TRUE(cluster_->create_topic("next", 1));
  send_untraced({{"b3", trace_id + "-" + span_id + "-d"}});
  {
    const Client consumer = make_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get(), {.topic = "next"}), 0);
    deliver(producer.get());
  }
  const Client consumer = make_bare_consumer({"next"});
  const auto sent = values_of(headers_of(poll(consumer.get()).get()), "b3");
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].substr(0, 33), trace_id + "-");
  EXPECT_EQ(sent[0].substr(49), "-d");
}

}  // namespace
}  // namespace midtrace::test
