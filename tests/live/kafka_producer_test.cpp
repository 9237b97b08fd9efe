// What a traced producer leaves as it is (timestamps, keys, values, delivery reports and their opaques), and
// produce_batch() with a `create` span for each message.

#include "live/kafka_fixture.h"

#include <algorithm>
#include <array>

namespace midtrace::test {
namespace {

enum class Way { interceptors, wrapper };

std::string way_name(const ::testing::TestParamInfo<Way>& way) {
  return way.param == Way::interceptors ? "Interceptors" : "Wrapper";
}

// One message with everything that a message may have.
struct Full {
  const void* value = "order";
  std::size_t value_length = 5;
  const void* key = nullptr;
  std::size_t key_length = 0;
  std::int64_t timestamp = 0;
  void* opaque = nullptr;
};

class KafkaProducer : public KafkaFixture, public ::testing::WithParamInterface<Way> {
 protected:
  static rd_kafka_resp_err_t send(rd_kafka_t* client, const Full& full) {
    const auto call = [&](const auto& producev) {
      return producev(RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                      RD_KAFKA_V_VALUE(const_cast<void*>(full.value), full.value_length),
                      RD_KAFKA_V_KEY(full.key, full.key_length), RD_KAFKA_V_TIMESTAMP(full.timestamp),
                      RD_KAFKA_V_OPAQUE(full.opaque), RD_KAFKA_V_END);
    };
    if (GetParam() == Way::wrapper) {
      const kafka::Producer producer(client);
      return call([&](auto... arguments) { return producer.producev(arguments...); });
    }
    return call([&](auto... arguments) { return rd_kafka_producev(client, arguments...); });
  }

  // What arrives of one message that is sent.
  OwnedMessage arrived(const Full& full) {
    {
      const Client producer = make_producer();
      EXPECT_EQ(send(producer.get(), full), RD_KAFKA_RESP_ERR_NO_ERROR);
      deliver(producer.get());
    }
    consumer_ = make_bare_consumer();
    return poll(consumer_.get());
  }

  // A report that the application was given.
  struct Report {
    void* opaque;
    rd_kafka_resp_err_t error;
    std::int64_t offset;
    bool operator==(const Report&) const = default;
  };

  Client make_reporting_producer(void (*configure)(rd_kafka_conf_t*)) {
    rd_kafka_conf_t* conf = configuration({{"client.id", "checkout"}});
    configure(conf);
    rd_kafka_conf_set_opaque(conf, &reports_);
    EXPECT_TRUE(kafka::instrument(conf));
    return create(RD_KAFKA_PRODUCER, conf);
  }
  void expect_two_reports(rd_kafka_t* client) {
    EXPECT_EQ(reports_, (std::vector<Report>{{&opaques_[0], RD_KAFKA_RESP_ERR_NO_ERROR, 0},
                                             {&opaques_[1], RD_KAFKA_RESP_ERR_NO_ERROR, 1}}));
    EXPECT_EQ(rd_kafka_opaque(client), &reports_);
    EXPECT_EQ(recorder_->spans().size(), 2U);
  }
  void send_two(rd_kafka_t* client) {
    for (int& opaque : opaques_)
      ASSERT_EQ(send(client, {.opaque = &opaque}), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  std::vector<Report> reports_;
  std::array<int, 2> opaques_{};
  Client consumer_;
};

INSTANTIATE_TEST_SUITE_P(Both, KafkaProducer, ::testing::Values(Way::interceptors, Way::wrapper), way_name);

TEST_P(KafkaProducer, ATimestampReachesTheBrokerUnchanged) {
  constexpr std::int64_t created = 1234567890123;
  const OwnedMessage message = arrived({.timestamp = created});
  ASSERT_NE(message, nullptr);
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  EXPECT_EQ(rd_kafka_message_timestamp(message.get(), &type), created);
  EXPECT_EQ(type, RD_KAFKA_TIMESTAMP_CREATE_TIME);
}

TEST_P(KafkaProducer, KeysAndValuesOfEveryKindArriveAsTheyWere) {
  const std::string binary("\0\xff\n\0", 4);
  const std::string huge(100000, 'k');
  const struct {
    const char* what;
    Full full;
    std::string on_span;  // messaging.kafka.message.key
  } cases[] = {
      {"text", {.key = "order-1", .key_length = 7}, "order-1"},
      {"no key", {}, ""},
      {"empty key", {.key = "", .key_length = 0}, ""},
      {"binary key", {.key = binary.data(), .key_length = binary.size()}, ""},
      {"huge key", {.key = huge.data(), .key_length = huge.size()}, ""},
      {"tombstone", {.value = nullptr, .value_length = 0, .key = "order-1", .key_length = 7}, "order-1"},
      {"empty value", {.value = "", .value_length = 0}, ""},
      {"binary value", {.value = binary.data(), .value_length = binary.size()}, ""},
  };
  const Client producer = make_producer();
  for (const auto& one : cases)
    ASSERT_EQ(send(producer.get(), one.full), RD_KAFKA_RESP_ERR_NO_ERROR) << one.what;
  deliver(producer.get());
  const Client consumer = make_bare_consumer();
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), std::size(cases));
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const auto& [what, full, on_span] = cases[i];
    const OwnedMessage message = poll(consumer.get());
    ASSERT_NE(message, nullptr) << what;
    const auto bytes = [](const void* data, std::size_t size) {
      return std::string(static_cast<const char*>(data), data != nullptr ? size : 0);
    };
    EXPECT_EQ(message->payload == nullptr, full.value == nullptr) << what;
    EXPECT_EQ(bytes(message->payload, message->len), bytes(full.value, full.value_length)) << what;
    EXPECT_EQ(message->key == nullptr, full.key == nullptr) << what;
    EXPECT_EQ(bytes(message->key, message->key_len), bytes(full.key, full.key_length)) << what;
    const std::string offset = std::to_string(i);
    const auto span = std::find_if(spans.begin(), spans.end(), [&](const testing::OwnedSpan& candidate) {
      return candidate.attribute("messaging.kafka.offset") == offset;
    });
    ASSERT_NE(span, spans.end()) << what;
    EXPECT_EQ(span->attribute("messaging.kafka.message.key"), on_span) << what;
    EXPECT_EQ(span->attribute("messaging.kafka.message.tombstone"), full.value == nullptr ? "true" : "")
        << what;
  }
}

TEST_P(KafkaProducer, TheApplicationsReportsComeWithTheirOpaques) {
  const Client client = make_reporting_producer([](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* reports) {
      static_cast<std::vector<Report>*>(reports)->push_back(
          {message->_private, message->err, message->offset});
    });
  });
  send_two(client.get());
  deliver(client.get());
  expect_two_reports(client.get());
}

// The callback of librdkafka's first years, which clients still use.
TEST_P(KafkaProducer, TheApplicationsOldReportsComeWithTheirOpaques) {
  const Client client = make_reporting_producer([](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_dr_cb(conf, [](rd_kafka_t*, void*, std::size_t, rd_kafka_resp_err_t error,
                                     void* reports, void* message_opaque) {
      auto& all = *static_cast<std::vector<Report>*>(reports);
      all.push_back({message_opaque, error, static_cast<std::int64_t>(all.size())});
    });
  });
  send_two(client.get());
  deliver(client.get());
  expect_two_reports(client.get());
}

TEST_P(KafkaProducer, ReportsThatAreEventsComeWithTheirOpaques) {
  const Client client = make_reporting_producer(
      [](rd_kafka_conf_t* conf) { rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR); });
  send_two(client.get());
  rd_kafka_queue_t* queue = rd_kafka_queue_get_main(client.get());
  for (int attempt = 0; attempt < 100 && reports_.size() < 2; ++attempt) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 100);
    if (event == nullptr) continue;
    EXPECT_EQ(rd_kafka_event_type(event), RD_KAFKA_EVENT_DR);
    while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event))
      reports_.push_back({message->_private, message->err, message->offset});
    rd_kafka_event_destroy(event);
  }
  rd_kafka_queue_destroy(queue);
  expect_two_reports(client.get());
}

class KafkaCreate : public KafkaFixture {
 protected:
  // One produce_batch() of the wrapper with these keys; a null key stands for a message that is too large.
  static int produce_batch(rd_kafka_t* client, const std::vector<const char*>& keys,
                           std::int32_t partition = 0) {
    static std::string large(3000, 'x');
    rd_kafka_topic_t* topic = rd_kafka_topic_new(client, "orders", nullptr);
    std::vector<rd_kafka_message_t> messages(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      messages[i].payload = keys[i] != nullptr ? const_cast<char*>("order") : large.data();
      messages[i].len = keys[i] != nullptr ? 5 : large.size();
      messages[i].key = const_cast<char*>(keys[i]);
      messages[i].key_len = keys[i] != nullptr ? 1 : 0;
    }
    const int good = kafka::Producer(client).produce_batch(
        topic, partition, RD_KAFKA_MSG_F_COPY, messages.data(), static_cast<int>(messages.size()));
    rd_kafka_topic_destroy(topic);
    return good;
  }
};

TEST_F(KafkaCreate, ABatchIsOneSendThatLinksToTheMessages) {
  {
    const Client client = make_producer({.batch_create_spans = true});
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    EXPECT_EQ(produce_batch(client.get(), {"a", "b"}), 2);
    deliver(client.get());
  }
  EXPECT_EQ(tree(), R"(
checkout INTERNAL
  create orders PRODUCER
    messaging.destination.name = orders
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = a
    messaging.operation.name = create
    messaging.operation.type = create
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
  create orders PRODUCER
    messaging.destination.name = orders
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = b
    messaging.operation.name = create
    messaging.operation.type = create
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
  send orders CLIENT
    messaging.batch.message_count = 2
    messaging.client.id = checkout
    messaging.destination.name = orders
    messaging.destination.partition.id = 0
    messaging.operation.name = send
    messaging.operation.type = send
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
    link -> create orders
    link -> create orders
)");
}

TEST_F(KafkaCreate, EachMessageCarriesItsOwnContext) {
  {
    const Client client = make_producer({.batch_create_spans = true});
    EXPECT_EQ(produce_batch(client.get(), {"a", "b"}), 2);
    deliver(client.get());
  }
  {
    const Client consumer = make_consumer({.poll_spans = kafka::PollSpans::off});
    for (int i = 0; i < 2; ++i) {
      const OwnedMessage message = poll(consumer.get());
      const auto processing = kafka::process(message.get());
    }
  }
  EXPECT_EQ(brief(), R"(
create orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = a
    messaging.kafka.offset = 0
    link -> create orders
create orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = b
  process orders CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = b
    messaging.kafka.offset = 1
    link -> create orders
send orders CLIENT
  messaging.batch.message_count = 2
  messaging.destination.partition.id = 0
  link -> create orders
  link -> create orders
)");
}

TEST_F(KafkaCreate, TheSendEndsWithTheLastReport) {
  start_recorder({.real_clock = true});
  const Client client = make_producer({.batch_create_spans = true});
  learn_topic(client.get(), "orders");
  ASSERT_TRUE(cluster_->delay_next(1, KafkaRequest::kProduce, 2s));
  EXPECT_EQ(produce_batch(client.get(), {"a", "b", "c"}), 3);
  EXPECT_EQ(recorder_->spans().size(), 3U) << "what is created is not waited for";
  deliver(client.get());
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 4U);
  EXPECT_EQ(spans[3].name, "send orders");
  EXPECT_GE(spans[3].end_unix_nanos - spans[3].start_unix_nanos, 1'900'000'000);
  EXPECT_LE(spans[3].start_unix_nanos, spans[0].start_unix_nanos) << "it began with the call";
}

TEST_F(KafkaCreate, TheFirstErrorIsTheSends) {
  const Client client = make_producer({.batch_create_spans = true}, {{"linger.ms", "30000"}});
  EXPECT_EQ(produce_batch(client.get(), {"a", "b"}), 2);
  EXPECT_EQ(recorder_->spans().size(), 2U);
  rd_kafka_purge(client.get(), RD_KAFKA_PURGE_F_QUEUE);
  rd_kafka_flush(client.get(), 10000);
  EXPECT_EQ(brief(), R"(
create orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
create orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = b
send orders CLIENT
  status ERROR
  error.type = _PURGE_QUEUE
  messaging.batch.message_count = 2
  messaging.destination.partition.id = 0
  link -> create orders
  link -> create orders
)");
}

TEST_F(KafkaCreate, MessagesThatAreRefusedFailTheSend) {
  const Client client = make_producer({.batch_create_spans = true}, {{"message.max.bytes", "1000"}});
  EXPECT_EQ(produce_batch(client.get(), {"a", nullptr}), 1);
  deliver(client.get());
  EXPECT_EQ(brief(), R"(
create orders PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = a
send orders CLIENT
  status ERROR
  error.type = MESSAGE_TOO_LARGE
  messaging.batch.message_count = 2
  messaging.destination.partition.id = 0
  link -> create orders
)");
}

TEST_F(KafkaCreate, AMessageThatIsNeverReportedIsDoneWithTheCall) {
  const Client client = make_producer({.batch_create_spans = true});
  learn_topic(client.get(), "orders");
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client.get(), "orders", nullptr);
  rd_kafka_message_t message{};
  message.payload = const_cast<char*>("order");
  message.len = 5;
  message.partition = 9;
  {
    const LeakAllowed leak;
    EXPECT_EQ(kafka::Producer(client.get())
                  .produce_batch(topic, 0, RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_PARTITION, &message, 1),
              0);
  }
  rd_kafka_topic_destroy(topic);
  EXPECT_EQ(brief(), R"(
create orders PRODUCER
  messaging.destination.partition.id = 9
send orders CLIENT
  status ERROR
  error.type = _UNKNOWN_PARTITION
  messaging.batch.message_count = 1
  link -> create orders
)");
}

TEST_F(KafkaCreate, ASendThatIsOpenEndsWithItsClient) {
  {
    const Client client = make_producer({.batch_create_spans = true}, {{"bootstrap.servers", "127.0.0.1:1"}});
    EXPECT_EQ(produce_batch(client.get(), {"a", "b"}, RD_KAFKA_PARTITION_UA), 2);
  }
  EXPECT_EQ(brief(), R"(
create orders PRODUCER
  messaging.kafka.message.key = a
create orders PRODUCER
  messaging.kafka.message.key = b
send orders CLIENT
  status ERROR
  error.type = _DESTROY
  messaging.batch.message_count = 2
  link -> create orders
  link -> create orders
)");
}

TEST_F(KafkaCreate, ASendThatEndsAtEnqueueWaitsForNothing) {
  const Client client = make_producer({.end_send_at = kafka::SendEnd::enqueue, .batch_create_spans = true},
                                      {{"bootstrap.servers", "127.0.0.1:1"}});
  EXPECT_EQ(produce_batch(client.get(), {"a"}, RD_KAFKA_PARTITION_UA), 1);
  EXPECT_EQ(tree({.attributes = false}), R"(
create orders PRODUCER
send orders CLIENT
  link -> create orders
)");
}

TEST_F(KafkaCreate, MessagesWithAStoredContextHaveNoCreateSpan) {
  {
    const Client client = make_producer({.batch_create_spans = true});
    const Span order = start_span("place order");
    Context context;
    context.span = order.context();
    const kafka::CreationContext stored(context);
    EXPECT_EQ(produce_batch(client.get(), {"a", "b"}), 2);
    deliver(client.get());
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
place order INTERNAL
send orders CLIENT
  link -> place order
  link -> place order
)");
}

TEST_F(KafkaCreate, UnsampledMessagesAreNotWaitedFor) {
  start_recorder({.sampler = always_off_sampler()});
  const Client client = make_producer({.batch_create_spans = true});
  EXPECT_EQ(produce_batch(client.get(), {"a", "b"}), 2);
  deliver(client.get());
  EXPECT_EQ(tree(), "\n");
  const Client consumer = make_bare_consumer();
  const HeaderList headers = headers_of(poll(consumer.get()).get());
  ASSERT_EQ(values_of(headers, "traceparent").size(), 1U);
  EXPECT_TRUE(values_of(headers, "traceparent")[0].ends_with("-00"));
}

TEST_F(KafkaCreate, WhatAHookSendsThroughAnotherClientIsNotOfTheBatch) {
  {
    const Client other = make_producer();
    const Client client =
        make_producer({.batch_create_spans = true, .on_start = [&](Span&, const kafka::Call& call) {
                         if (call.operation == kafka::Operation::create) {
                           EXPECT_EQ(produce(other.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
                         }
                       }});
    EXPECT_EQ(produce_batch(client.get(), {"a"}), 1);
    deliver(client.get());
    deliver(other.get());
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
create orders PRODUCER
send orders CLIENT
  link -> create orders
send orders PRODUCER
)");
}

TEST_F(KafkaCreate, HooksAreToldTheMessagesOfTheCreateSpansOnly) {
  std::vector<std::pair<kafka::Operation, std::size_t>> seen;
  {
    const Client client =
        make_producer({.batch_create_spans = true, .on_start = [&](Span&, const kafka::Call& call) {
                         seen.emplace_back(call.operation, call.messages.size());
                       }});
    EXPECT_EQ(produce_batch(client.get(), {"a", "b"}), 2);
    deliver(client.get());
  }
  EXPECT_EQ(seen,
            (std::vector<std::pair<kafka::Operation, std::size_t>>{
                {kafka::Operation::create, 1}, {kafka::Operation::create, 1}, {kafka::Operation::send, 0}}));
}

}  // namespace
}  // namespace midtrace::test
