// Two copies of midtrace in one process, as when an application and a plugin bring one each: both may
// instrument the same client, which is traced once, by the one that came first.

#include "live/kafka_fixture.h"

#include <dlfcn.h>

#include <midtrace/trace/instrumentation.h>

#include "live/kafka_second_copy.h"

namespace midtrace::test {
namespace {

enum class First { program, plugin };

class KafkaCopies : public KafkaFixture, public ::testing::WithParamInterface<First> {
 protected:
  static const SecondCopy& plugin() {
    static const SecondCopy& loaded = *[] {
      auto* entry = reinterpret_cast<const SecondCopy* (*)()>(dlsym(load(), "midtrace_test_second_copy"));
      return entry();
    }();
    return loaded;
  }
  static void* load() {
    void* library = dlopen(MIDTRACE_TEST_SECOND_COPY, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) ADD_FAILURE() << dlerror();
    return library;
  }

  // Instrumented by both, in the order of the parameter.
  static void instrument_twice(rd_kafka_conf_t* conf, kafka::Options options = {},
                               SecondCopyMode mode = SecondCopyMode::on) {
    const bool program_first = GetParam() == First::program;
    if (program_first) {
      EXPECT_TRUE(kafka::instrument(conf, options));
    }
    EXPECT_TRUE(plugin().instrument(conf, mode));
    if (!program_first) {
      EXPECT_TRUE(kafka::instrument(conf, options));
    }
  }
  Client make_shared_producer(kafka::Options options = {}, SecondCopyMode mode = SecondCopyMode::on) {
    rd_kafka_conf_t* conf = configuration({{"client.id", "checkout"}});
    instrument_twice(conf, std::move(options), mode);
    return create(RD_KAFKA_PRODUCER, conf);
  }
  Client make_shared_consumer(kafka::Options options = {}, SecondCopyMode mode = SecondCopyMode::on) {
    rd_kafka_conf_t* conf = consumer_configuration();
    instrument_twice(conf, std::move(options), mode);
    return assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
  }
  void send_shared() {
    const Client producer = make_shared_producer();
    ASSERT_EQ(produce(producer.get(), {.key = "order-1"}), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
};

constexpr std::string_view single_tree = R"(
poll orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = order-1
  messaging.kafka.offset = 0
  link -> send orders
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = order-1
  messaging.kafka.offset = 0
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = order-1
    messaging.kafka.offset = 0
    link -> send orders
    ship INTERNAL
)";

TEST_P(KafkaCopies, AreTwo) {
  EXPECT_NE(dlsym(load(), "midtrace_anchor_v1"), dlsym(RTLD_DEFAULT, "midtrace_anchor_v1"));
}

TEST_P(KafkaCopies, TraceAClientOnce_Interceptors) {
  send_shared();
  {
    const Client consumer = make_shared_consumer();
    const OwnedMessage message = poll(consumer.get());
    EXPECT_EQ(values_of(headers_of(message.get()), "traceparent").size(), 1U);
    const auto processing = kafka::process(consumer.get(), message.get());
    const Span work = start_span("ship");
  }
  EXPECT_EQ(brief(), single_tree);
}

TEST_P(KafkaCopies, TraceAClientOnce_WrapperOfTheProgram) {
  send_shared();
  {
    const Client consumer = make_shared_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  EXPECT_EQ(brief(), single_tree);
}

TEST_P(KafkaCopies, TraceAClientOnce_WrapperOfThePlugin) {
  send_shared();
  {
    const Client consumer = make_shared_consumer();
    ASSERT_TRUE(plugin().consume_and_process(consumer.get(), [] { start_span("ship").end(); }));
  }
  EXPECT_EQ(brief(), single_tree);
}

TEST_P(KafkaCopies, TraceAClientOnceThatOnlyThePluginInstruments_WrapperOfTheProgram) {
  send_shared();
  {
    rd_kafka_conf_t* conf = consumer_configuration();
    ASSERT_TRUE(plugin().instrument(conf, SecondCopyMode::on));
    const Client consumer = assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  EXPECT_EQ(brief(), single_tree);
}

TEST_P(KafkaCopies, LeavePollSpansToTheWrapperWhenTheInterceptorsMakeNone) {
  send_shared();
  {
    const Client consumer =
        make_shared_consumer({.poll_spans = kafka::PollSpans::off}, SecondCopyMode::without_polls);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  EXPECT_EQ(brief(), single_tree);
}

TEST_P(KafkaCopies, LeaveCommitSpansToTheInterceptorsThatMakeThemAll) {
  for (const SecondCopyMode mode : {SecondCopyMode::on, SecondCopyMode::all_commits}) {
    {
      rd_kafka_conf_t* conf = consumer_configuration();
      ASSERT_TRUE(plugin().instrument(conf, mode));
      const Client consumer = assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
      rd_kafka_topic_partition_list_t* offsets = rd_kafka_topic_partition_list_new(1);
      rd_kafka_topic_partition_list_add(offsets, "orders", 0)->offset = 1;
      EXPECT_EQ(kafka::commit(consumer.get(), offsets, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
      rd_kafka_topic_partition_list_destroy(offsets);
    }
    EXPECT_EQ(brief(), R"(
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 1
)");
    start_recorder();
  }
}

TEST_P(KafkaCopies, LeaveAClientThatIsSwitchedOffInOneToTheOther) {
  {
    const Client producer = make_shared_producer({}, SecondCopyMode::off);
    ASSERT_EQ(produce(producer.get(), {.key = "order-1"}), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    const Client consumer = make_shared_consumer({}, SecondCopyMode::off);
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  EXPECT_EQ(brief(), single_tree);
}

TEST_P(KafkaCopies, EachProcessWithTheirOwnOptions) {
  send_shared();
  {
    const Client consumer = make_shared_consumer({.relation = kafka::Relation::link});
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
poll orders CLIENT
  link -> send orders
process orders CONSUMER
  link -> send orders
send orders PRODUCER
)");
}

TEST_P(KafkaCopies, TraceAFailedSendOnce_WrapperOfTheProgram) {
  {
    const Client client = make_shared_producer();
    learn_topic(client.get(), "orders");
    char value[] = "order";
    EXPECT_EQ(kafka::Producer(client.get())
                  .producev(RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(7), RD_KAFKA_V_VALUE(value, 5),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
  }
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  status ERROR
  error.type = _UNKNOWN_PARTITION
  messaging.destination.partition.id = 7
)");
}

TEST_P(KafkaCopies, TraceAClientOnceThatWasMadeBeforeTracingWasSetUp) {
  recorder_.reset();
  const Client producer = make_shared_producer();
  start_recorder();
  ASSERT_EQ(produce(producer.get(), {.key = "order-1"}), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(producer.get());
  EXPECT_EQ(brief(), R"(
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = order-1
  messaging.kafka.offset = 0
)");
}

// librdkafka soon uses the memory of a client that was destroyed for another one.
TEST_P(KafkaCopies, GiveAClientFreeWhenItIsDestroyed) {
  constexpr std::size_t clients = 20;
  for (std::size_t i = 0; i < clients; ++i) {
    Client producer = make_shared_producer();
    const rd_kafka_t* const handle = producer.get();
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
    EXPECT_FALSE(claim_client(handle));
    producer.reset();
    EXPECT_TRUE(claim_client(handle));
    release_client(handle);
  }
  EXPECT_EQ(recorder_->spans().size(), clients);
}

TEST_P(KafkaCopies, TraceTheClientOfACopiedConfigurationOnce) {
  rd_kafka_conf_t* original = configuration({{"client.id", "checkout"}});
  instrument_twice(original);
  rd_kafka_conf_t* copy = rd_kafka_conf_dup(original);
  for (rd_kafka_conf_t* conf : {original, copy}) {
    const Client producer = create(RD_KAFKA_PRODUCER, conf);
    ASSERT_EQ(produce(producer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    deliver(producer.get());
  }
  EXPECT_EQ(recorder_->spans().size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(, KafkaCopies, ::testing::Values(First::program, First::plugin),
                         [](const auto& first) {
                           return first.param == First::program ? "ProgramFirst" : "PluginFirst";
                         });

}  // namespace
}  // namespace midtrace::test
