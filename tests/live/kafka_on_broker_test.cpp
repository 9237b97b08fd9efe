// The module on a real broker: what the mock cluster cannot show. Aborted and fenced transactions, compacted
// topics, a broker that dies and comes back, and a group whose partitions move.

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "live/kafka_broker_fixture.h"
#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

using ::testing::ElementsAre;

class KafkaOnBroker : public OnKafkaBroker<KafkaFixture> {
 protected:
  void start_cluster() override {}
  std::string bootstrap_servers() const override { return broker_->bootstrap_servers(); }

  Client make_consumer_of(const std::string& topic, Properties properties = {}, int partitions = 1) {
    rd_kafka_conf_t* conf = consumer_configuration();
    for (const auto& [name, value] : properties)
      rd_kafka_conf_set(conf, name.c_str(), value.c_str(), nullptr, 0);
    silence(conf);
    EXPECT_TRUE(kafka::instrument(conf));
    return assigned(create(RD_KAFKA_CONSUMER, conf), {topic}, partitions);
  }

  // A broker that goes away is no news here.
  static void silence(rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int, const char*, void*) {});
  }

  // Processes what is in partition 0 up to its end, and returns the values.
  std::vector<std::string> process_all(const std::string& topic, Properties properties = {}) {
    properties["enable.partition.eof"] = "true";
    const Client consumer = make_consumer_of(topic, std::move(properties));
    std::vector<std::string> values;
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < deadline) {
      const kafka::Message message = kafka::consume(consumer.get(), 500ms);
      if (!message) continue;
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return values;
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      const auto processing = kafka::process(message);
      values.emplace_back(static_cast<const char*>(message->payload), message->len);
    }
    ADD_FAILURE() << "no end of " << topic << " in 30 s";
    return values;
  }

  std::vector<testing::OwnedSpan> spans_of(SpanKind kind, std::string_view key = {}) {
    std::vector<testing::OwnedSpan> spans = recorder_->spans();
    std::erase_if(spans, [&](const testing::OwnedSpan& span) {
      return span.kind != kind || (!key.empty() && span.attribute("messaging.kafka.message.key") != key);
    });
    return spans;
  }

  static void expect_ok(rd_kafka_error_t* error) {
    EXPECT_EQ(error, nullptr) << rd_kafka_error_string(error);
    if (error != nullptr) rd_kafka_error_destroy(error);
  }
};

TEST_F(KafkaOnBroker, AMessageAndItsHeadersAreOneTrace) {
  ASSERT_NO_FATAL_FAILURE(create_topic("headers", 1));
  {
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get(), {.topic = "headers", .headers = {{"tenant", "blue"}}}), 0);
    deliver(producer.get());
  }
  const std::string sent = traceparent(spans_of(SpanKind::producer).at(0).context);
  {
    const Client consumer = make_consumer_of("headers");
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    EXPECT_EQ(headers_of(message.get()), (HeaderList{{"tenant", "blue"}, {"traceparent", sent}}));
    const auto processing = kafka::process(message);
    const Span work = start_span("ship");
  }
  EXPECT_EQ(brief(), R"(
poll headers CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  link -> send headers
send headers PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  process headers CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    link -> send headers
    ship INTERNAL
)");
}

// --- transactions

class KafkaTransactionsOnBroker : public KafkaOnBroker {
 protected:
  Client make_transactional(const std::string& id, Properties properties = {}) {
    properties["transactional.id"] = id;
    properties["client.id"] = "checkout";
    rd_kafka_conf_t* conf = configuration(properties);
    silence(conf);
    EXPECT_TRUE(kafka::instrument(conf));
    Client producer = create(RD_KAFKA_PRODUCER, conf);
    expect_ok(rd_kafka_init_transactions(producer.get(), 30000));
    return producer;
  }
};

// What the consumer never sees has a send span, and nothing after it.
TEST_F(KafkaTransactionsOnBroker, OnlyCommittedMessagesAreProcessed) {
  ASSERT_NO_FATAL_FAILURE(create_topic("payments", 1));
  {
    const Client producer = make_transactional("payments");
    for (const bool commit : {false, true, false, true}) {
      expect_ok(rd_kafka_begin_transaction(producer.get()));
      for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(produce(producer.get(),
                          {.topic = "payments", .value = commit ? "committed" : "aborted", .key = "k"}),
                  0);
      }
      deliver(producer.get());
      expect_ok(commit ? rd_kafka_commit_transaction(producer.get(), 30000)
                       : rd_kafka_abort_transaction(producer.get(), 30000));
    }
  }
  EXPECT_EQ(process_all("payments", {{"isolation.level", "read_committed"}}),
            std::vector<std::string>(6, "committed"));

  // The aborted messages were delivered: their sends did not fail.
  std::map<std::string, SpanId> send_at;
  for (const testing::OwnedSpan& span : spans_of(SpanKind::producer)) {
    EXPECT_EQ(span.status, StatusCode::unset);
    send_at[span.attribute("messaging.kafka.offset")] = span.context.span_id;
  }
  EXPECT_EQ(send_at.size(), 12U);
  const std::vector<testing::OwnedSpan> processed = spans_of(SpanKind::consumer);
  EXPECT_EQ(processed.size(), 6U);
  for (const testing::OwnedSpan& span : processed) {
    EXPECT_EQ(span.parent_span_id, send_at[span.attribute("messaging.kafka.offset")]);
  }
  EXPECT_EQ(process_all("payments", {{"isolation.level", "read_uncommitted"}}).size(), 12U);
}

TEST_F(KafkaTransactionsOnBroker, WhatAnAbortTakesFromTheQueueHasFailed) {
  ASSERT_NO_FATAL_FAILURE(create_topic("withdrawn", 1));
  {
    const Client producer = make_transactional("withdrawn", {{"linger.ms", "20000"}});
    expect_ok(rd_kafka_begin_transaction(producer.get()));
    ASSERT_EQ(produce(producer.get(), {.topic = "withdrawn"}), 0);
    expect_ok(rd_kafka_abort_transaction(producer.get(), 30000));
  }
  EXPECT_EQ(tree({.without = {"messaging.system", "messaging.operation.name", "messaging.operation.type",
                              "messaging.client.id", "messaging.destination.partition.id", "server.address",
                              "server.port", "messaging.destination.name"}}),
            R"(
send withdrawn PRODUCER
  status ERROR
  error.type = _PURGE_QUEUE
)");
}

// The older of two producers with one transactional.id: what it sends is not delivered, and once the client
// knows, it takes no more messages. That refusal comes before the interceptors, so the wrapper has it.
TEST_F(KafkaTransactionsOnBroker, AFencedProducersSendsFail) {
  ASSERT_NO_FATAL_FAILURE(create_topic("fenced", 1));
  {
    const Client older = make_transactional("writer");
    const Client newer = make_transactional("writer");
    expect_ok(rd_kafka_begin_transaction(older.get()));
    ASSERT_EQ(produce(older.get(), {.topic = "fenced", .key = "late"}), 0);
    rd_kafka_error_t* error = rd_kafka_commit_transaction(older.get(), 30000);
    ASSERT_NE(error, nullptr);
    EXPECT_TRUE(rd_kafka_error_is_fatal(error)) << rd_kafka_error_string(error);
    rd_kafka_error_destroy(error);
    EXPECT_NE(kafka::Producer(older.get())
                  .producev(RD_KAFKA_V_TOPIC("fenced"), RD_KAFKA_V_PARTITION(0),
                            RD_KAFKA_V_VALUE(const_cast<char*>("order"), 5), RD_KAFKA_V_KEY("refused", 7),
                            RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_ok(rd_kafka_begin_transaction(newer.get()));
    ASSERT_EQ(produce(newer.get(), {.topic = "fenced", .key = "valid"}), 0);
    expect_ok(rd_kafka_commit_transaction(newer.get(), 30000));
  }
  EXPECT_EQ(process_all("fenced", {{"isolation.level", "read_committed"}}).size(), 1U);
  EXPECT_EQ(brief(), R"(
poll fenced CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = valid
  messaging.kafka.offset = 0
  link -> send fenced
send fenced CLIENT
  status ERROR
  error.type = _FATAL
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = refused
send fenced PRODUCER
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = valid
  messaging.kafka.offset = 0
  process fenced CONSUMER
    messaging.destination.partition.id = 0
    messaging.kafka.message.key = valid
    messaging.kafka.offset = 0
    link -> send fenced
send fenced PRODUCER
  status ERROR
  error.type = _PURGE_QUEUE
  messaging.destination.partition.id = 0
  messaging.kafka.message.key = late
)");
}

TEST_F(KafkaTransactionsOnBroker, TheCommitOfAFencedProducerIsAFailedSpan_Wrapper) {
  ASSERT_NO_FATAL_FAILURE(create_topic("fenced-commit", 1));
  {
    const Client older = make_transactional("committer");
    const Client newer = make_transactional("committer");
    const kafka::Producer producer(older.get());
    expect_ok(producer.begin_transaction());
    ASSERT_EQ(produce(older.get(), {.topic = "fenced-commit"}), 0);
    rd_kafka_error_t* error = producer.commit_transaction(30000);
    ASSERT_NE(error, nullptr);
    rd_kafka_error_destroy(error);
  }
  EXPECT_EQ(brief(), R"(
begin_transaction CLIENT
commit_transaction CLIENT
  status ERROR
  error.type = _FENCED
send fenced-commit PRODUCER
  status ERROR
  error.type = _PURGE_QUEUE
  messaging.destination.partition.id = 0
)");
}

// What is received, sent and committed in one transaction is one trace.
TEST_F(KafkaTransactionsOnBroker, ReceivedSentAndCommittedTogetherIsOneTrace_Wrapper) {
  ASSERT_NO_FATAL_FAILURE(create_topic("carts", 1));
  ASSERT_NO_FATAL_FAILURE(create_topic("bills", 1));
  {
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get(), {.topic = "carts"}), 0);
    deliver(producer.get());
  }
  {
    const Client consumer = make_consumer_of("carts");
    const Client client = make_transactional("biller");
    const kafka::Producer producer(client.get());
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    ASSERT_TRUE(message);
    const auto processing = kafka::process(message);
    expect_ok(producer.begin_transaction());
    ASSERT_EQ(produce(client.get(), {.topic = "bills"}), 0);
    rd_kafka_topic_partition_list_t* offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, "carts", 0)->offset = message->offset + 1;
    rd_kafka_consumer_group_metadata_t* group = rd_kafka_consumer_group_metadata(consumer.get());
    expect_ok(producer.send_offsets_to_transaction(offsets, group, 30000));
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
    expect_ok(producer.commit_transaction(30000));
  }
  EXPECT_EQ(process_all("bills", {{"isolation.level", "read_committed"}}).size(), 1U);
  EXPECT_EQ(tree({.attributes = false}), R"(
poll bills CLIENT
  link -> send bills
poll carts CLIENT
  link -> send carts
send carts PRODUCER
  process carts CONSUMER
    link -> send carts
    begin_transaction CLIENT
    commit_transaction CLIENT
    send bills PRODUCER
      process bills CONSUMER
        link -> send bills
    send_offsets_to_transaction CLIENT
)");
}

// --- compaction

TEST_F(KafkaOnBroker, ATombstoneOfACompactedTopicIsOneOnEverySpan) {
  ASSERT_NO_FATAL_FAILURE(create_topic("states", 1, {{"cleanup.policy", "compact"}}));
  {
    const Client producer = make_producer();
    ASSERT_EQ(produce(producer.get(), {.topic = "states", .value = "new", .key = "order-1"}), 0);
    ASSERT_EQ(produce(producer.get(), {.topic = "states", .value = nullptr, .key = "order-1"}), 0);
    // An empty value is a value.
    ASSERT_EQ(produce(producer.get(), {.topic = "states", .value = "", .key = "order-2"}), 0);
    deliver(producer.get());
  }
  process_all("states");
  for (const SpanKind kind : {SpanKind::producer, SpanKind::client, SpanKind::consumer}) {
    std::map<std::string, std::string> tombstones;
    for (const testing::OwnedSpan& span : spans_of(kind)) {
      tombstones[span.attribute("messaging.kafka.offset")] =
          span.attribute("messaging.kafka.message.tombstone");
    }
    EXPECT_EQ(tombstones, (std::map<std::string, std::string>{{"0", ""}, {"1", "true"}, {"2", ""}}));
  }
}

// --- a broker that dies and comes back

class KafkaRestartOfBroker : public KafkaOnBroker {
 protected:
  using Outcomes = std::map<std::string, std::string>;

  void SetUp() override {
    KafkaOnBroker::SetUp();
    if (broker_ != nullptr) start_recorder({.batch = {.queue_size = 65536}});
  }

  // One that notes what the delivery reports say, by key.
  Client make_noting_producer(Properties properties, Outcomes* outcomes) {
    properties["reconnect.backoff.max.ms"] = "200";
    rd_kafka_conf_t* conf = configuration(properties);
    silence(conf);
    rd_kafka_conf_set_opaque(conf, outcomes);
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
      const std::string key(static_cast<const char*>(message->key), message->key_len);
      const bool failed = message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
      const bool first =
          static_cast<Outcomes*>(opaque)->emplace(key, failed ? rd_kafka_err2name(message->err) : "").second;
      EXPECT_TRUE(first) << key << " is reported twice";
    });
    EXPECT_TRUE(kafka::instrument(conf));
    return create(RD_KAFKA_PRODUCER, conf);
  }

  static void send(rd_kafka_t* producer, const std::string& name, int from) {
    for (int i = from; i < from + each_time; ++i) {
      const std::string key = name + std::to_string(i);
      ASSERT_EQ(produce(producer, {.topic = topic, .key = key.c_str()}), 0);
    }
  }

  static constexpr const char* topic = "surviving";
  static constexpr int each_time = 200;
};

TEST_F(KafkaRestartOfBroker, EverySendHasItsOutcomeAndEveryProcessItsSend) {
  ASSERT_NO_FATAL_FAILURE(create_topic(topic, 1));
  std::map<std::string, int> received;
  std::mutex receiving;
  std::atomic<bool> enough{false};
  const auto count_received = [&] {
    const std::lock_guard guard(receiving);
    return received.size();
  };
  std::thread worker([&] {
    const Client consumer = make_consumer_of(topic, {{"reconnect.backoff.max.ms", "200"}});
    while (!enough) {
      const kafka::Message message = kafka::consume(consumer.get(), 50ms);
      if (!message || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      const auto processing = kafka::process(message);
      const std::lock_guard guard(receiving);
      ++received[{static_cast<const char*>(message->key), message->key_len}];
    }
  });
  // Also when an assertion leaves the test.
  const auto stop_worker = [&](void*) {
    enough = true;
    worker.join();
  };
  std::unique_ptr<void, decltype(stop_worker)> working(&worker, stop_worker);
  const auto wait_for_received = [&](std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (count_received() < count && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    EXPECT_GE(count_received(), count);
  };

  Outcomes outcomes;
  {
    // One waits for the broker, and repeats without writing twice; the other gives up.
    const Client patient = make_noting_producer({{"enable.idempotence", "true"}}, &outcomes);
    const Client impatient = make_noting_producer({{"message.timeout.ms", "700"}}, &outcomes);
    send(patient.get(), "patient", 0);
    send(impatient.get(), "impatient", 0);
    wait_for_received(each_time);
    send(patient.get(), "patient", each_time);
    send(impatient.get(), "impatient", each_time);
    broker_->stop(KafkaBroker::StopMode::kKill);
    send(patient.get(), "patient", 2 * each_time);
    send(impatient.get(), "impatient", 2 * each_time);
    EXPECT_EQ(rd_kafka_flush(impatient.get(), 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
    std::string why;
    ASSERT_TRUE(broker_->restart(KafkaBroker::StopMode::kKill, &why)) << why;
    send(patient.get(), "patient", 3 * each_time);
    EXPECT_EQ(rd_kafka_flush(patient.get(), 60000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  const auto delivered = static_cast<std::size_t>(std::count_if(
      outcomes.begin(), outcomes.end(), [](const auto& outcome) { return outcome.second.empty(); }));
  wait_for_received(delivered);
  working.reset();

  // Every message has one send span, which ended as its report says.
  Outcomes spans;
  std::map<std::string, const testing::OwnedSpan*> send_of;
  const std::vector<testing::OwnedSpan> sends = spans_of(SpanKind::producer);
  for (const testing::OwnedSpan& span : sends) {
    const std::string key = span.attribute("messaging.kafka.message.key");
    EXPECT_TRUE(spans.emplace(key, span.attribute("error.type")).second) << key << " has two sends";
    send_of[key] = &span;
  }
  EXPECT_EQ(spans, outcomes);
  EXPECT_EQ(outcomes.size(), 7U * each_time);
  for (int i = 0; i < 4 * each_time; ++i)
    EXPECT_EQ(outcomes["patient" + std::to_string(i)], "");
  for (int i = 2 * each_time; i < 3 * each_time; ++i)
    EXPECT_EQ(outcomes["impatient" + std::to_string(i)], "_MSG_TIMED_OUT");

  // Every reception has one process span in the trace of its send.
  std::map<std::string, int> processed;
  for (const testing::OwnedSpan& span : spans_of(SpanKind::consumer)) {
    const std::string key = span.attribute("messaging.kafka.message.key");
    ++processed[key];
    ASSERT_NE(send_of[key], nullptr) << key;
    EXPECT_EQ(span.parent_span_id, send_of[key]->context.span_id);
    EXPECT_EQ(span.context.trace_id, send_of[key]->context.trace_id);
    ASSERT_EQ(span.links.size(), 1U);
    EXPECT_EQ(span.links[0].context.span_id, send_of[key]->context.span_id);
  }
  EXPECT_EQ(processed, received);
  for (const auto& [key, outcome] : outcomes) {
    if (outcome.empty()) {
      EXPECT_GE(received[key], 1) << key;
    }
  }
  EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 0U);
}

// --- a group whose partitions move

class KafkaRebalanceOnBroker : public KafkaOnBroker {
 protected:
  using Place = std::pair<std::string, std::string>;  // partition and offset
  using Places = std::multiset<Place>;

  void SetUp() override {
    KafkaOnBroker::SetUp();
    if (broker_ != nullptr) start_recorder({.batch = {.queue_size = 65536}});
  }

  Client join_group(const std::string& strategy) {
    // A cooperative member of librdkafka 2.0.2 leaves without a word: the broker waits for its session to
    // end.
    const Properties properties{{"partition.assignment.strategy", strategy},
                                {"session.timeout.ms", "6000"},
                                {"heartbeat.interval.ms", "100"}};
    rd_kafka_conf_t* conf = consumer_configuration();
    for (const auto& [name, value] : properties)
      rd_kafka_conf_set(conf, name.c_str(), value.c_str(), nullptr, 0);
    EXPECT_TRUE(kafka::instrument(conf));
    Client consumer = create(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(consumer.get());
    rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic_.c_str(), RD_KAFKA_PARTITION_UA);
    EXPECT_EQ(rd_kafka_subscribe(consumer.get(), topics), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(topics);
    return consumer;
  }

  void send(rd_kafka_t* producer) {
    for (std::size_t i = 0; i < each_time; ++i) {
      const auto partition = static_cast<std::int32_t>(i % partitions);
      ASSERT_EQ(produce(producer, {.topic = topic_, .partition = partition}), 0);
    }
    deliver(producer);
  }

  void note(const rd_kafka_message_t& message, std::size_t who) {
    const std::lock_guard guard(mutex_);
    received_.emplace(std::to_string(message.partition), std::to_string(message.offset));
    ++received_by_[who];
  }
  template <class Condition>
  void wait_until(const char* what, Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < deadline) {
      {
        const std::lock_guard guard(mutex_);
        if (condition()) return;
      }
      std::this_thread::sleep_for(1ms);
    }
    FAIL() << "not within 60 s: " << what;
  }

  // Never commits, so everything that it processed comes again when its partitions move.
  void consume_in_batches(const std::string& strategy) {
    const Client consumer = join_group(strategy);
    while (!enough_) {
      const kafka::Batch batch = kafka::consume_batch(consumer.get(), 20, 20ms);
      for (const auto message : batch) {
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        const auto processing = kafka::process(message);
        note(*message, 0);
      }
    }
    EXPECT_EQ(rd_kafka_consumer_close(consumer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  // Commits all, without waiting for the answer.
  void consume_one_by_one(const std::string& strategy) {
    const Client consumer = join_group(strategy);
    while (!leave_) {
      const OwnedMessage message(rd_kafka_consumer_poll(consumer.get(), 20));
      if (message == nullptr || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      const auto processing = kafka::process(message.get());
      note(*message, 1);
      rd_kafka_commit_message(consumer.get(), message.get(), 1);
    }
    EXPECT_EQ(rd_kafka_consumer_close(consumer.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  // The first consumes alone, the second joins, then leaves again.
  void move_partitions(const std::string& strategy) {
    topic_ = "moving-" + strategy;
    ASSERT_NO_FATAL_FAILURE(create_topic(topic_, partitions));
    const Client producer = make_producer();
    send(producer.get());
    std::thread first([&] { consume_in_batches(strategy); });
    wait_until("the first consumer has everything", [&] { return received_by_[0] == each_time; });
    std::thread second([&] { consume_one_by_one(strategy); });
    wait_until("the second consumer has its share again", [&] { return received_by_[1] >= each_time / 4; });
    send(producer.get());
    wait_until("both together have all", [&] { return distinct() == 2 * each_time; });
    leave_ = true;
    second.join();
    send(producer.get());
    wait_until("the first consumer has the rest", [&] { return distinct() == 3 * each_time; });
    enough_ = true;
    first.join();
  }
  std::size_t distinct() const { return std::set<Place>(received_.begin(), received_.end()).size(); }

  void expect_a_process_span_for_each_reception() {
    std::map<Place, SpanId> sends;
    for (const testing::OwnedSpan& span : spans_of(SpanKind::producer))
      sends[place_of(span)] = span.context.span_id;
    EXPECT_EQ(sends.size(), 3 * each_time);
    Places processed;
    for (const testing::OwnedSpan& span : spans_of(SpanKind::consumer)) {
      processed.insert(place_of(span));
      EXPECT_EQ(span.parent_span_id, sends[place_of(span)]);
      ASSERT_EQ(span.links.size(), 1U);
      EXPECT_EQ(span.links[0].context.span_id, sends[place_of(span)]);
    }
    EXPECT_EQ(processed, received_);
    const std::size_t redelivered = received_.size() - distinct();
    EXPECT_GT(redelivered, 0U) << "no partition moved";
    EXPECT_EQ(processed.size(), 3 * each_time + redelivered);
    EXPECT_EQ(recorder_->counters().dropped_spans(), 0U);
  }
  static Place place_of(const testing::OwnedSpan& span) {
    return {span.attribute("messaging.destination.partition.id"), span.attribute("messaging.kafka.offset")};
  }

  static constexpr int partitions = 4;
  static constexpr std::size_t each_time = 400;
  std::string topic_;
  std::mutex mutex_;
  Places received_;
  std::size_t received_by_[2] = {};
  std::atomic<bool> leave_{false};
  std::atomic<bool> enough_{false};
};

TEST_F(KafkaRebalanceOnBroker, NoProcessSpanIsLostWhenAllPartitionsAreTakenAndGivenAnew) {
  ASSERT_NO_FATAL_FAILURE(move_partitions("range"));
  expect_a_process_span_for_each_reception();
}

TEST_F(KafkaRebalanceOnBroker, NoProcessSpanIsLostWhenSomePartitionsMove) {
  ASSERT_NO_FATAL_FAILURE(move_partitions("cooperative-sticky"));
  expect_a_process_span_for_each_reception();
}

}  // namespace
}  // namespace midtrace::test
