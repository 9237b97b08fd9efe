// The life of process spans: one for each message of a batch, and those that leave their scope. How a
// detached span ends is told case by case in tests/unit/kafka/process_test.cpp.

#include "live/kafka_fixture.h"

#include <librdkafka/rdkafkacpp.h>

#include <set>
#include <stdexcept>
#include <thread>

namespace midtrace::test {
namespace {

class KafkaProcess : public KafkaFixture {
 protected:
  void send(const std::vector<Sent>& messages) {
    const Client producer = make_producer();
    produce_from_own_traces(producer.get(), messages);
  }
};

constexpr std::string_view each_tree = R"(
poll orders CLIENT
  messaging.batch.message_count = 3
  messaging.destination.partition.id = 0
  link -> send orders {messaging.kafka.message.key = a, messaging.kafka.offset = 0}
  link -> send orders {messaging.kafka.message.key = b, messaging.kafka.offset = 1}
  link -> send orders {messaging.kafka.message.key = c, messaging.kafka.offset = 2}
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  messaging.kafka.offset = 0
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = a
    messaging.kafka.offset = 0
    link -> send orders
    ship a INTERNAL
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = b
  messaging.kafka.offset = 1
  process orders CONSUMER
    status ERROR
    error.type = out_of_stock
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = b
    messaging.kafka.offset = 1
    link -> send orders
    ship b INTERNAL
send orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = c
  messaging.kafka.offset = 2
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = c
    messaging.kafka.offset = 2
    link -> send orders
    ship c INTERNAL
)";

TEST_F(KafkaProcess, EachMessageOfABatchHasItsOwnSpanInItsRound) {
  send({{.key = "a"}, {.key = "b"}, {.key = "c"}});
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_exactly(consumer.get(), 3);
    for (auto& work : kafka::process_each(batch)) {
      const std::string key(static_cast<const char*>(work->key), work->key_len);
      EXPECT_EQ(Context::current().span, work.span().context());
      EXPECT_EQ(Context::current().span.trace_id, work.message().creation_context().span.trace_id);
      const Span ship = start_span("ship " + key);
      if (key == "b") work.set_error("out_of_stock");
    }
    EXPECT_FALSE(Context::current().span.valid());
  }
  EXPECT_EQ(brief(), each_tree);
}

TEST_F(KafkaProcess, EachMessageOfABatchOfTheCppApiHasItsOwnSpanInItsRound) {
  send({{.key = "a"}, {.key = "b"}, {.key = "c"}});
  {
    std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string why;
    for (const auto& [name, value] : Properties{{"bootstrap.servers", cluster_->bootstrap_servers()},
                                                {"client.id", "fulfilment"},
                                                {"group.id", "workers"},
                                                {"enable.auto.commit", "false"}})
      ASSERT_EQ(conf->set(name, value, why), RdKafka::Conf::CONF_OK) << why;
    ASSERT_TRUE(kafka::instrument(*conf));
    const std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(conf.get(), why));
    ASSERT_NE(consumer, nullptr) << why;
    const std::unique_ptr<RdKafka::TopicPartition> partition(
        RdKafka::TopicPartition::create("orders", 0, RdKafka::Topic::OFFSET_BEGINNING));
    ASSERT_EQ(consumer->assign({partition.get()}), RdKafka::ERR_NO_ERROR);
    const auto batch = kafka::consume_batch(*consumer, 3, 10s);
    ASSERT_EQ(batch.size(), 3U);
    for (auto& work : kafka::process_each(batch)) {
      const Span ship = start_span("ship " + *(*work).key());
      if (*work->key() == "b") work.set_error("out_of_stock");
    }
  }
  EXPECT_EQ(brief(), each_tree);
}

TEST_F(KafkaProcess, AnExceptionThatLeavesTheLoopIsAnErrorOfItsRoundAlone) {
  send({{.key = "a"}, {.key = "b"}, {.key = "c"}});
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_exactly(consumer.get(), 3);
    try {
      for (auto& work : kafka::process_each(batch)) {
        if (work->offset == 1) throw std::runtime_error("secret");
      }
    } catch (const std::runtime_error&) {
    }
    EXPECT_FALSE(Context::current().span.valid());
  }
  std::map<std::string, std::string> errors;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.kind != SpanKind::consumer) continue;
    errors[span.attribute("messaging.kafka.offset")] = span.attribute("error.type");
    EXPECT_EQ(span.status_description.find("secret"), std::string::npos);
  }
  EXPECT_EQ(errors, (std::map<std::string, std::string>{{"0", ""}, {"1", "_OTHER"}}));
}

TEST_F(KafkaProcess, ARoundThatIsLeftEarlyEndsThereAndADetachedOneDoesNot) {
  send({{.key = "a"}, {.key = "b"}, {.key = "c"}});
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_exactly(consumer.get(), 3);
    kafka::ProcessSpan later;
    for (auto& work : kafka::process_each(batch)) {
      if (work->offset == 0) {
        later = work.detach();
        continue;
      }
      break;
    }
    EXPECT_FALSE(Context::current().span.valid());
    std::thread([later = std::move(later)]() mutable { later.end_by_commit(); }).join();
  }
  std::map<std::string, std::string> ended_by;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.kind == SpanKind::consumer)
      ended_by[span.attribute("messaging.kafka.offset")] = span.attribute("midtrace.process.ended_by");
  }
  EXPECT_EQ(ended_by, (std::map<std::string, std::string>{{"0", "commit"}, {"1", ""}}));
}

TEST_F(KafkaProcess, AnEventInABatchHasARoundAndNoSpan) {
  send({{.key = "a"}});
  rd_kafka_conf_t* conf = consumer_configuration();
  rd_kafka_conf_set(conf, "enable.partition.eof", "true", nullptr, 0);
  ASSERT_TRUE(kafka::instrument(conf));
  {
    const Client consumer = assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
    const kafka::Batch batch = consume_exactly(consumer.get(), 2);
    std::vector<bool> current;
    for (auto& work : kafka::process_each(batch)) {
      current.push_back(Context::current().span.valid());
      EXPECT_EQ(work.span().recording(), work->err == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    EXPECT_EQ(current, (std::vector<bool>{true, false}));
    const kafka::Batch nothing;
    for ([[maybe_unused]] auto& work : kafka::process_each(nothing))
      ADD_FAILURE() << "an empty batch has no round";
  }
}

TEST_F(KafkaProcess, ABatchOfNothingButEventsHasNoSpan) {
  rd_kafka_conf_t* conf = consumer_configuration();
  rd_kafka_conf_set(conf, "enable.partition.eof", "true", nullptr, 0);
  ASSERT_TRUE(kafka::instrument(conf));
  {
    const Client consumer = assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
    const kafka::Batch batch = consume_exactly(consumer.get(), 1);
    ASSERT_EQ(batch[0]->err, RD_KAFKA_RESP_ERR__PARTITION_EOF);
    const auto processing = kafka::process(batch);
    EXPECT_FALSE(Context::current().span.valid());
  }
  EXPECT_EQ(recorder_->spans().size(), 0U);
}

TEST_F(KafkaProcess, AnAbandonedSpanIsEndedWhileItsConsumerGoesOn) {
  send({{.key = "a"}, {.key = "b"}});
  {
    const Client consumer = make_consumer({.process_timeout = 20ms});
    const kafka::Message first = kafka::consume(consumer.get(), 10s);
    const kafka::ProcessSpan lost = kafka::process(first).detach();
    const kafka::Message second = kafka::consume(consumer.get(), 10s);
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    while (recorder_->counters()[Counter::operations_timed_out] == 0 &&
           std::chrono::steady_clock::now() < give_up) {
      const auto processing = kafka::process(second);
      std::this_thread::sleep_for(1ms);  // so that the queue of finished spans has room
    }
  }
  std::map<std::string, std::string> errors;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.kind == SpanKind::consumer)
      errors[span.attribute("messaging.kafka.offset")] = span.attribute("error.type");
  }
  EXPECT_EQ(errors, (std::map<std::string, std::string>{{"0", "timeout"}, {"1", ""}}));
}

class KafkaProcessVolume : public KafkaProcess {
 protected:
  static constexpr std::size_t messages = 10000;

  void SetUp() override { start_recorder({.batch = {.queue_size = 65536}}); }

  // Every tenth message comes from a service without tracing.
  kafka::Batch consume_ten_thousand(rd_kafka_t* consumer) {
    {
      const Client traced = make_producer();
      const Client untraced = make_bare_producer();
      for (std::size_t i = 0; i < messages; ++i) {
        EXPECT_EQ(produce((i % 10 == 0 ? untraced : traced).get()), RD_KAFKA_RESP_ERR_NO_ERROR);
        if (i % 1000 == 999) {
          deliver(traced.get());
          deliver(untraced.get());
        }
      }
    }
    return consume_exactly(consumer, messages);
  }
  std::vector<testing::OwnedSpan> named_process() {
    std::vector<testing::OwnedSpan> spans = recorder_->spans();
    std::erase_if(spans, [](const testing::OwnedSpan& span) { return !span.name.starts_with("process"); });
    return spans;
  }
};

TEST_F(KafkaProcessVolume, OfTenThousandMessagesTheLinksThatAreDroppedAreCounted) {
  {
    const Client consumer = make_consumer();
    const kafka::Batch batch = consume_ten_thousand(consumer.get());
    const auto processing = kafka::process(batch);
  }
  const auto spans = named_process();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].links.size(), 1024U);
  EXPECT_EQ(spans[0].dropped_links, 9000U - 1024U);
  EXPECT_EQ(spans[0].attribute("messaging.batch.message_count"), "10000");
}

TEST_F(KafkaProcessVolume, OfTenThousandMessagesNoLinkIsLostWhereTheyAreChained) {
  {
    const Client consumer = make_consumer({.link_overflow = kafka::LinkOverflow::chain});
    const kafka::Batch batch = consume_ten_thousand(consumer.get());
    const auto processing = kafka::process(batch);
  }
  std::set<std::string> sent;
  std::set<std::string> linked;
  for (const testing::OwnedSpan& span : recorder_->spans()) {
    if (span.kind == SpanKind::producer) sent.insert(span.context.span_id.to_string());
  }
  const auto spans = named_process();
  for (const testing::OwnedSpan& span : spans) {
    EXPECT_EQ(span.dropped_links, 0U);
    for (const testing::OwnedLink& link : span.links)
      linked.insert(link.context.span_id.to_string());
  }
  EXPECT_EQ(spans.size(), 9U);  // 9 000 links, 1 024 on each
  EXPECT_EQ(sent.size(), 9000U);
  EXPECT_EQ(linked, sent);
}

}  // namespace
}  // namespace midtrace::test
