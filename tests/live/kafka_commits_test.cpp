// librdkafka's own commit calls on an instrumented consumer: they make no spans unless Options::commit_spans
// asks for them, and they are librdkafka's own in what they do and return.

#include "live/kafka_fixture.h"

namespace midtrace::test {
namespace {

class KafkaCommits : public KafkaFixture {
 protected:
  void SetUp() override {
    KafkaFixture::SetUp();
    const Client producer = make_producer();
    produce_from_own_traces(producer.get(), std::vector<Sent>(3));
  }

  Client make_committing_consumer(const Properties& properties = {}) {
    rd_kafka_conf_t* conf = consumer_configuration();
    for (const auto& [name, value] : properties)
      EXPECT_EQ(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), nullptr, 0), RD_KAFKA_CONF_OK);
    EXPECT_TRUE(kafka::instrument(conf));
    rd_kafka_conf_set_opaque(conf, &reports_);
    rd_kafka_conf_set_offset_commit_cb(
        conf, [](rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t*, void* reports) {
          static_cast<std::vector<rd_kafka_resp_err_t>*>(reports)->push_back(error);
        });
    return assigned(create(RD_KAFKA_CONSUMER, conf), {"orders"}, 1);
  }

  static std::int64_t committed(rd_kafka_t* consumer) {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "orders", 0);
    EXPECT_EQ(rd_kafka_committed(consumer, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    const std::int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return offset;
  }
  // Polls until a commit is reported to the callback, as those that wait are as well.
  template <class Poll>
  rd_kafka_resp_err_t next_report(const Poll& poll_once) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (reports_.empty() && std::chrono::steady_clock::now() < deadline)
      poll_once();
    if (reports_.empty()) return RD_KAFKA_RESP_ERR__TIMED_OUT;
    const rd_kafka_resp_err_t report = reports_.front();
    reports_.erase(reports_.begin());
    return report;
  }

  // The first message and waiting, the second without waiting, and then all that was received.
  template <class Poll>
  void commit_in_every_way(rd_kafka_t* consumer, const rd_kafka_message_t* first,
                           const rd_kafka_message_t* second, const Poll& poll_once) {
    EXPECT_EQ(rd_kafka_commit_message(consumer, first, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(committed(consumer), 1);
    EXPECT_EQ(next_report(poll_once), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(rd_kafka_commit_message(consumer, second, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(next_report(poll_once), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(committed(consumer), 2);
    EXPECT_EQ(rd_kafka_commit(consumer, nullptr, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(committed(consumer), 3);
  }

  std::vector<rd_kafka_resp_err_t> reports_;
};

constexpr std::string_view no_commits_tree = R"(
poll orders CLIENT
  link -> send orders
poll orders CLIENT
  link -> send orders
poll orders CLIENT
  link -> send orders
send orders PRODUCER
send orders PRODUCER
send orders PRODUCER
)";

TEST_F(KafkaCommits, TheApplicationsCommitsWorkAndMakeNoSpans_Interceptors) {
  {
    const Client consumer = make_committing_consumer();
    const auto poll_nothing = [&] { EXPECT_EQ(rd_kafka_consumer_poll(consumer.get(), 10), nullptr); };
    const OwnedMessage messages[] = {poll(consumer.get()), poll(consumer.get()), poll(consumer.get())};
    commit_in_every_way(consumer.get(), messages[0].get(), messages[1].get(), poll_nothing);
  }
  EXPECT_EQ(tree({.attributes = false}), no_commits_tree);
}

TEST_F(KafkaCommits, TheApplicationsCommitsWorkAndMakeNoSpans_Wrapper) {
  {
    const Client consumer = make_committing_consumer();
    const auto poll_nothing = [&] { EXPECT_FALSE(kafka::consume(consumer.get(), 10ms)); };
    std::vector<kafka::Message> messages;
    for (int i = 0; i < 3; ++i)
      messages.push_back(kafka::consume(consumer.get(), 10s));
    commit_in_every_way(consumer.get(), messages[0].get(), messages[1].get(), poll_nothing);
  }
  EXPECT_EQ(tree({.attributes = false}), no_commits_tree);
}

TEST_F(KafkaCommits, AFailedCommitIsTheApplicationsAndNotTheProcessSpans) {
  {
    const Client consumer = make_committing_consumer();
    const kafka::Message message = kafka::consume(consumer.get(), 10s);
    const auto processing = kafka::process(message);
    const SpanContext before = Context::current().span;
    cluster_->fail_next(KafkaRequest::kOffsetCommit, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    EXPECT_EQ(rd_kafka_commit_message(consumer.get(), message.get(), 0),
              RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    EXPECT_EQ(Context::current().span.span_id, before.span_id);
  }
  EXPECT_EQ(tree({.attributes = false}), R"(
poll orders CLIENT
  link -> send orders
send orders PRODUCER
send orders PRODUCER
send orders PRODUCER
  process orders CONSUMER
    link -> send orders
)");
}

TEST_F(KafkaCommits, AutomaticCommitsMakeNoSpans) {
  {
    const Client consumer =
        make_committing_consumer({{"enable.auto.commit", "true"}, {"auto.commit.interval.ms", "10"}});
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(kafka::consume(consumer.get(), 10s));
    EXPECT_EQ(next_report([&] { EXPECT_FALSE(kafka::consume(consumer.get(), 10ms)); }),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_consumer_close(consumer.get());
  }
  EXPECT_EQ(tree({.attributes = false}), no_commits_tree);
}

}  // namespace
}  // namespace midtrace::test
