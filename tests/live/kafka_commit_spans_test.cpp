// The `commit` spans, as golden text: by the wrapper, by what librdkafka reports, and by both at once.

#include <librdkafka/rdkafkacpp.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

class KafkaCommitSpans : public KafkaFixture {
 protected:
  void SetUp() override {
    KafkaFixture::SetUp();
    const Client producer = make_bare_producer();
    produce_from_own_traces(producer.get(), std::vector<Sent>(3));
  }

  Client make_committer(kafka::Options options = {}, const Properties& properties = {},
                        const std::vector<std::string>& topics = {"orders"}) {
    rd_kafka_conf_t* conf = consumer_configuration();
    for (const auto& [name, value] : properties)
      EXPECT_EQ(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), nullptr, 0), RD_KAFKA_CONF_OK);
    options.poll_spans = kafka::PollSpans::off;
    EXPECT_TRUE(kafka::instrument(conf, std::move(options)));
    return assigned(create(RD_KAFKA_CONSUMER, conf), topics, 1);
  }

  using Offsets =
      std::unique_ptr<rd_kafka_topic_partition_list_t, void (*)(rd_kafka_topic_partition_list_t*)>;
  static Offsets offsets(const std::map<std::string, std::int64_t>& of_topics) {
    Offsets list(rd_kafka_topic_partition_list_new(2), rd_kafka_topic_partition_list_destroy);
    for (const auto& [topic, offset] : of_topics)
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), 0)->offset = offset;
    return list;
  }

  std::vector<testing::OwnedSpan> commits() {
    std::vector<testing::OwnedSpan> found;
    for (const testing::OwnedSpan& span : recorder_->spans()) {
      if (span.name.starts_with("commit")) found.push_back(span);
    }
    return found;
  }
  // Until that many commit spans have ended, by librdkafka's threads.
  bool commits_end(std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (commits().size() < count && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(2ms);
    return commits().size() == count;
  }
  // librdkafka answers in order, so nothing that was committed before is unanswered afterwards.
  void settle(rd_kafka_t* consumer) {
    const Offsets list = offsets({{"orders", 3}});
    ASSERT_EQ(rd_kafka_commit(consumer, list.get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
};

TEST_F(KafkaCommitSpans, ACommitInsideAProcessScopeIsItsChild) {
  {
    const Client consumer = make_committer();
    const OwnedMessage message = poll(consumer.get());
    const auto processing = kafka::process(message.get());
    EXPECT_EQ(kafka::commit_message(consumer.get(), message.get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(tree(), R"(
process orders CONSUMER
  messaging.client.id = fulfilment
  messaging.consumer.group.name = workers
  messaging.destination.name = orders
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  messaging.operation.name = process
  messaging.operation.type = process
  messaging.system = kafka
  server.address = 127.0.0.1
  server.port = PORT
  commit orders CLIENT
    messaging.client.id = fulfilment
    messaging.consumer.group.name = workers
    messaging.destination.name = orders
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 1
    messaging.operation.name = commit
    messaging.operation.type = settle
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
)");
}

TEST_F(KafkaCommitSpans, OfTheMessageADetachedSpanIsAboutEndsThatSpan) {
  {
    const Client consumer = make_committer();
    const OwnedMessage message = poll(consumer.get());
    kafka::ProcessSpan work = kafka::process(message.get()).detach();
    EXPECT_EQ(kafka::commit_message(consumer.get(), message.get(), work), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_FALSE(work.span().recording());
  }
  EXPECT_EQ(brief(), R"(
process orders CONSUMER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  midtrace.process.ended_by = commit
  commit orders CLIENT
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 1
)");
}

TEST_F(KafkaCommitSpans, ThatFailLeaveTheSpanOfTheWorkOpen) {
  {
    const Client consumer = make_committer();
    const OwnedMessage message = poll(consumer.get());
    kafka::ProcessSpan work = kafka::process(message.get()).detach();
    cluster_->fail_next(KafkaRequest::kOffsetCommit, {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED});
    EXPECT_EQ(kafka::commit_message(consumer.get(), message.get(), work),
              RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    EXPECT_TRUE(work.span().recording());
    EXPECT_EQ(kafka::commit_message(consumer.get(), message.get(), work), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(brief(), R"(
process orders CONSUMER
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 0
  midtrace.process.ended_by = commit
  commit orders CLIENT
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 1
  commit orders CLIENT
    status ERROR
    error.type = GROUP_AUTHORIZATION_FAILED
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 1
)");
}

TEST_F(KafkaCommitSpans, WithTheOldNamesBesideTheNewOnes) {
  setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "messaging/dup", 1);
  {
    const Client consumer = make_committer();
    unsetenv("OTEL_SEMCONV_STABILITY_OPT_IN");
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 2}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(tree(), R"(
commit orders CLIENT
  messaging.client.id = fulfilment
  messaging.client_id = fulfilment
  messaging.consumer.group.name = workers
  messaging.destination.name = orders
  messaging.destination.partition.id = 0
  messaging.kafka.consumer.group = workers
  messaging.kafka.destination.partition = 0
  messaging.kafka.message.offset = 2
  messaging.kafka.offset = 2
  messaging.operation = settle
  messaging.operation.name = commit
  messaging.operation.type = settle
  messaging.system = kafka
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(KafkaCommitSpans, OfSeveralTopicsAreNamedAfterNone) {
  ASSERT_TRUE(cluster_->create_topic("returns", 1));
  {
    const Client consumer = make_committer({}, {}, {"orders", "returns"});
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 1}, {"returns", 1}}).get(), 0),
              RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(brief(), "\ncommit CLIENT\n");
}

TEST_F(KafkaCommitSpans, OfWhatIsStoredLearnTheTopicFromTheReport) {
  {
    const Client consumer = make_committer();
    const OwnedMessage message = poll(consumer.get());
    EXPECT_EQ(kafka::commit(consumer.get(), nullptr, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(kafka::commit(consumer.get(), nullptr, 0), RD_KAFKA_RESP_ERR__NO_OFFSET) << "nothing is new";
  }
  EXPECT_EQ(brief(), R"(
commit CLIENT
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 1
)");
}

TEST_F(KafkaCommitSpans, AFailureIsTheSpansError) {
  {
    const Client consumer = make_committer();
    cluster_->fail_next(KafkaRequest::kOffsetCommit, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED});
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 1}}).get(), 0),
              RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 2}}).get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_TRUE(commits_end(2));
  }
  EXPECT_EQ(brief(), R"(
commit orders CLIENT
  status ERROR
  error.type = GROUP_AUTHORIZATION_FAILED
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 2
commit orders CLIENT
  status ERROR
  error.type = TOPIC_AUTHORIZATION_FAILED
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 1
)");
}

TEST_F(KafkaCommitSpans, ACallThatIsRefusedIsTheSpansError) {
  {
    const Client consumer = make_committer();
    rd_kafka_message_t event{};
    event.err = RD_KAFKA_RESP_ERR__PARTITION_EOF;
    EXPECT_EQ(kafka::commit_message(consumer.get(), &event, 1), RD_KAFKA_RESP_ERR__INVALID_ARG);
  }
  EXPECT_EQ(brief(), "\ncommit CLIENT\n  status ERROR\n  error.type = _INVALID_ARG\n");
}

TEST_F(KafkaCommitSpans, OneThatDoesNotWaitEndsWithItsAnswer) {
  {
    const Client consumer = make_committer();
    settle(consumer.get());
    ASSERT_TRUE(cluster_->delay_next(1, KafkaRequest::kOffsetCommit, 2s));
    const Span work = start_span("ship");
    const Scope scope = work.activate();
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 1}}).get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    recorder_->clock().advance(7ms);
    EXPECT_EQ(commits().size(), 0U) << "the broker has not answered";
    ASSERT_TRUE(commits_end(1));
  }
  ASSERT_EQ(commits().size(), 1U);
  EXPECT_EQ(commits()[0].end_unix_nanos - commits()[0].start_unix_nanos, 7000000);
  EXPECT_EQ(brief(), R"(
ship INTERNAL
  commit orders CLIENT
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 1
)");
}

TEST_F(KafkaCommitSpans, SeveralAtOnceEndWithTheirOwnAnswers) {
  {
    const Client consumer = make_committer();
    settle(consumer.get());
    ASSERT_TRUE(cluster_->delay_next(1, KafkaRequest::kOffsetCommit, 100ms));
    for (const std::int64_t offset : {1, 2, 3})
      EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", offset}}).get(), 1),
                RD_KAFKA_RESP_ERR_NO_ERROR);
    // One that waits meanwhile is not mistaken for them.
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 2}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_TRUE(commits_end(4));
  }
  std::vector<std::string> offsets_committed;
  for (const testing::OwnedSpan& commit : commits())
    offsets_committed.push_back(commit.attribute("messaging.kafka.offset"));
  EXPECT_THAT(offsets_committed, ::testing::UnorderedElementsAre("1", "2", "3", "2"));
}

TEST_F(KafkaCommitSpans, OfWhatIsStoredWithoutWaitingEndWhenTheyReturn) {
  {
    const Client consumer = make_committer();
    const OwnedMessage message = poll(consumer.get());
    EXPECT_EQ(kafka::commit(consumer.get(), nullptr, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(commits().size(), 1U);
    // Nothing is stored since, and librdkafka will be silent: the answer of another is not taken for its own.
    EXPECT_EQ(kafka::commit(consumer.get(), nullptr, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(commits().size(), 2U);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 2}}).get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_TRUE(commits_end(3));
  }
  EXPECT_EQ(brief(), R"(
commit CLIENT
commit CLIENT
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 2
)");
}

TEST_F(KafkaCommitSpans, OfAConsumerThatIsNotInstrumentedEndWhenTheyReturn) {
  {
    const Client consumer = make_bare_consumer();
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 1}}).get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(commits().size(), 1U);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 2}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(brief(), R"(
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 1
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 2
)");
}

TEST_F(KafkaCommitSpans, CommitQueueAnswersByItsQueueOrItsCallback) {
  {
    const Client consumer = make_committer();
    std::vector<rd_kafka_resp_err_t> answers;
    const auto callback = [](rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t*,
                             void* opaque) {
      static_cast<std::vector<rd_kafka_resp_err_t>*>(opaque)->push_back(error);
    };
    EXPECT_EQ(
        kafka::commit_queue(consumer.get(), offsets({{"orders", 1}}).get(), nullptr, callback, &answers),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(answers, std::vector{RD_KAFKA_RESP_ERR_NO_ERROR});

    rd_kafka_queue_t* queue = rd_kafka_queue_new(consumer.get());
    EXPECT_EQ(kafka::commit_queue(consumer.get(), offsets({{"orders", 2}}).get(), queue, nullptr, nullptr),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 10000);
    EXPECT_EQ(rd_kafka_event_type(event), RD_KAFKA_EVENT_OFFSET_COMMIT);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
  }
  EXPECT_EQ(brief(), R"(
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 1
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 2
)");
}

TEST_F(KafkaCommitSpans, AnOptionAlsoShowsTheCommitsOfOthers) {
  {
    const Client consumer = make_committer({.commit_spans = kafka::CommitSpans::on});
    const Span work = start_span("ship");
    const Scope scope = work.activate();
    // By librdkafka's own call, and by the wrapper in every way: nothing twice.
    const OwnedMessage message = poll(consumer.get());
    EXPECT_EQ(kafka::commit(consumer.get(), nullptr, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(rd_kafka_commit(consumer.get(), offsets({{"orders", 2}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 3}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 4}}).get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_TRUE(commits_end(4));
  }
  EXPECT_EQ(brief(), R"(
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 1
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 2
ship INTERNAL
  commit orders CLIENT
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 3
  commit orders CLIENT
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 4
)");
}

TEST_F(KafkaCommitSpans, AutomaticOnesAreShownByThatOptionOnly) {
  for (const kafka::CommitSpans spans : {kafka::CommitSpans::automatic, kafka::CommitSpans::on}) {
    start_recorder();
    const Client consumer = make_committer(
        {.commit_spans = spans}, {{"enable.auto.commit", "true"}, {"auto.commit.interval.ms", "3600000"}});
    const OwnedMessage message = poll(consumer.get());
    rd_kafka_consumer_close(consumer.get());
    EXPECT_EQ(brief(), spans == kafka::CommitSpans::automatic ? "\n" : R"(
commit orders CLIENT
  messaging.destination.partition.id = 0
  messaging.kafka.offset = 1
)");
  }
}

TEST_F(KafkaCommitSpans, AnOptionAndAModeMakeNone) {
  for (const kafka::Options& options :
       {kafka::Options{.commit_spans = kafka::CommitSpans::off},
        kafka::Options{.mode = ModuleMode::propagate, .commit_spans = kafka::CommitSpans::on},
        kafka::Options{.mode = ModuleMode::off}}) {
    const Client consumer = make_committer(options);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 1}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaCommitSpans, OfUntracedTopicsThereAreNone) {
  {
    const Client consumer =
        make_committer({.untraced_topics = {"ord*"}, .commit_spans = kafka::CommitSpans::on});
    const OwnedMessage message = poll(consumer.get());
    EXPECT_EQ(kafka::commit(consumer.get(), nullptr, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 2}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(rd_kafka_commit(consumer.get(), offsets({{"orders", 3}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaCommitSpans, OfSuppressedWorkAreNotShownByTheReportEither) {
  {
    const Client consumer = make_committer({.commit_spans = kafka::CommitSpans::on});
    const Scope quiet(suppressed(Context::current()));
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 1}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 2}}).get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 3}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaCommitSpans, HooksSeeThem) {
  std::vector<std::string> calls;
  kafka::Options options;
  const auto hook = [&calls](std::string when) {
    return [&calls, when](Span& span, const kafka::Call& call) {
      EXPECT_EQ(call.operation, kafka::Operation::commit);
      EXPECT_TRUE(call.messages.empty());
      span.set("app." + when, true);
      calls.push_back(when + " " + std::string(call.topic));
    };
  };
  options.on_start = hook("start");
  options.on_finish = hook("finish");
  {
    const Client consumer = make_committer(options);
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 1}}).get(), 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    const OwnedMessage message = poll(consumer.get());
    EXPECT_EQ(kafka::commit(consumer.get(), offsets({{"orders", 2}}).get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_TRUE(commits_end(2));
  }
  EXPECT_EQ(calls,
            (std::vector<std::string>{"start orders", "finish orders", "start orders", "finish orders"}));
}

class KafkaCppCommitSpans : public KafkaCommitSpans {
 protected:
  std::unique_ptr<RdKafka::KafkaConsumer> make_cpp_committer() {
    const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string why;
    for (const auto& [name, value] : Properties{{"bootstrap.servers", cluster_->bootstrap_servers()},
                                                {"client.id", "fulfilment"},
                                                {"group.id", "workers"},
                                                {"enable.auto.commit", "false"}}) {
      EXPECT_EQ(conf->set(name, value, why), RdKafka::Conf::CONF_OK) << why;
    }
    EXPECT_TRUE(kafka::instrument(*conf, {.poll_spans = kafka::PollSpans::off}));
    std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(conf.get(), why));
    EXPECT_NE(consumer, nullptr) << why;
    const std::unique_ptr<RdKafka::TopicPartition> partition(
        RdKafka::TopicPartition::create("orders", 0, RdKafka::Topic::OFFSET_BEGINNING));
    EXPECT_EQ(consumer->assign({partition.get()}), RdKafka::ERR_NO_ERROR);
    return consumer;
  }
  static std::unique_ptr<RdKafka::Message> next(RdKafka::KafkaConsumer& consumer) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      std::unique_ptr<RdKafka::Message> message(consumer.consume(100));
      if (message->err() == RdKafka::ERR_NO_ERROR) return message;
    }
    ADD_FAILURE() << "no message came within 10 s";
    return nullptr;
  }
  struct Answers : RdKafka::OffsetCommitCb {
    void offset_commit_cb(RdKafka::ErrorCode error, std::vector<RdKafka::TopicPartition*>&) override {
      errors.push_back(error);
    }
    std::vector<RdKafka::ErrorCode> errors;
  };
};

TEST_F(KafkaCppCommitSpans, EveryFormOfTheCppApiHasOne) {
  {
    const auto consumer = make_cpp_committer();
    const std::unique_ptr<RdKafka::Message> messages[] = {next(*consumer), next(*consumer), next(*consumer)};
    kafka::ProcessSpan work = kafka::process(*messages[0]).detach();
    EXPECT_EQ(kafka::commitSync(*consumer, messages[0].get(), work), RdKafka::ERR_NO_ERROR);
    EXPECT_FALSE(work.span().recording());
    EXPECT_EQ(kafka::commitAsync(*consumer, messages[1].get()), RdKafka::ERR_NO_ERROR);
    ASSERT_TRUE(commits_end(2));

    const std::unique_ptr<RdKafka::TopicPartition> partition(
        RdKafka::TopicPartition::create("orders", 0, 10));
    std::vector<RdKafka::TopicPartition*> offsets{partition.get()};
    EXPECT_EQ(kafka::commitSync(*consumer, offsets), RdKafka::ERR_NO_ERROR);
    partition->set_offset(11);
    EXPECT_EQ(kafka::commitAsync(*consumer, offsets), RdKafka::ERR_NO_ERROR);
    ASSERT_TRUE(commits_end(4));
    Answers answers;
    partition->set_offset(12);
    EXPECT_EQ(kafka::commitSync(*consumer, offsets, &answers), RdKafka::ERR_NO_ERROR);
    EXPECT_EQ(answers.errors, std::vector{RdKafka::ERR_NO_ERROR});
    // Nothing is stored beyond that.
    EXPECT_EQ(kafka::commitSync(*consumer), RdKafka::ERR__NO_OFFSET);
    EXPECT_EQ(kafka::commitSync(*consumer, &answers), RdKafka::ERR__NO_OFFSET);
    EXPECT_EQ(kafka::commitAsync(*consumer), RdKafka::ERR_NO_ERROR);
    consumer->close();
  }
  std::vector<std::string> seen;
  for (const testing::OwnedSpan& commit : commits())
    seen.push_back(commit.name + " " + commit.attribute("messaging.kafka.offset"));
  EXPECT_THAT(seen, ::testing::UnorderedElementsAre("commit orders 1", "commit orders 2", "commit orders 10",
                                                    "commit orders 11", "commit orders 12", "commit ",
                                                    "commit ", "commit "));
}

}  // namespace
}  // namespace midtrace::test
