// The transaction API: one span for each call, what it says when a call fails, and what becomes of the
// messages. The mock cluster runs transactions but hides nothing of aborted ones.

#include "live/kafka_fixture.h"

#include <librdkafka/rdkafkacpp.h>

#include <string>

namespace midtrace::test {
namespace {

struct DestroyError {
  void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
};
using Error = std::unique_ptr<rd_kafka_error_t, DestroyError>;

// An error with its text, for assertions.
std::string text_of(rd_kafka_error_t* error) {
  const Error owned(error);
  return error != nullptr ? rd_kafka_error_string(error) : "";
}

class KafkaTransactions : public KafkaFixture {
 protected:
  Client make_transactional(Properties properties = {}, kafka::Options options = {}) {
    properties.emplace("transactional.id", "checkout-1");
    return make_producer(std::move(options), std::move(properties));
  }

  struct DestroyGroup {
    void operator()(rd_kafka_consumer_group_metadata_t* group) const {
      rd_kafka_consumer_group_metadata_destroy(group);
    }
  };
  using Group = std::unique_ptr<rd_kafka_consumer_group_metadata_t, DestroyGroup>;
  struct DestroyList {
    void operator()(rd_kafka_topic_partition_list_t* list) const {
      rd_kafka_topic_partition_list_destroy(list);
    }
  };
  using Offsets = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;

  static Offsets one_offset() {
    Offsets offsets(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(offsets.get(), "orders", 0)->offset = 1;
    return offsets;
  }
};

constexpr std::string_view committed_tree = R"(
checkout INTERNAL
  abort_transaction CLIENT
    messaging.client.id = checkout
    messaging.operation.name = abort_transaction
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
  begin_transaction CLIENT
    messaging.client.id = checkout
    messaging.operation.name = begin_transaction
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
  begin_transaction CLIENT
    messaging.client.id = checkout
    messaging.operation.name = begin_transaction
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
  commit_transaction CLIENT
    messaging.client.id = checkout
    messaging.operation.name = commit_transaction
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
  init_transactions CLIENT
    messaging.client.id = checkout
    messaging.operation.name = init_transactions
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
  send orders PRODUCER
    messaging.client.id = checkout
    messaging.destination.name = orders
    messaging.destination.partition.id = 0
    messaging.kafka.offset = 0
    messaging.operation.name = send
    messaging.operation.type = send
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
  send_offsets_to_transaction CLIENT
    messaging.client.id = checkout
    messaging.consumer.group.name = workers
    messaging.operation.name = send_offsets_to_transaction
    messaging.operation.type = settle
    messaging.system = kafka
    server.address = 127.0.0.1
    server.port = PORT
)";

TEST_F(KafkaTransactions, EachCallHasASpan) {
  {
    const Client client = make_transactional();
    const kafka::Producer producer(client.get());
    const Span checkout = start_span("checkout");
    const Scope scope = checkout.activate();
    EXPECT_EQ(text_of(producer.init_transactions(10000)), "");
    EXPECT_EQ(text_of(producer.begin_transaction()), "");
    ASSERT_EQ(produce(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    const Group group(rd_kafka_consumer_group_metadata_new("workers"));
    EXPECT_EQ(text_of(producer.send_offsets_to_transaction(one_offset().get(), group.get(), 10000)), "");
    EXPECT_EQ(text_of(producer.commit_transaction(10000)), "");
    EXPECT_EQ(text_of(producer.begin_transaction()), "");
    EXPECT_EQ(text_of(producer.abort_transaction(10000)), "");
  }
  EXPECT_EQ(tree(), committed_tree);
}

TEST_F(KafkaTransactions, MessagesOfAnAbortedOneEndWithTheirReports) {
  {
    const Client client = make_transactional({{"linger.ms", "30000"}});
    const kafka::Producer producer(client.get());
    ASSERT_EQ(text_of(producer.init_transactions(10000)), "");
    ASSERT_EQ(text_of(producer.begin_transaction()), "");
    ASSERT_EQ(produce(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_EQ(produce(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
    recorder_->clear();
    ASSERT_EQ(text_of(producer.abort_transaction(10000)), "");
    EXPECT_EQ(brief(), R"(
abort_transaction CLIENT
send orders PRODUCER
  status ERROR
  error.type = _PURGE_QUEUE
send orders PRODUCER
  status ERROR
  error.type = _PURGE_QUEUE
)");
    recorder_->clear();
  }
  EXPECT_EQ(tree(), "\n") << "nothing was left to end with the client";
}

TEST_F(KafkaTransactions, AFailedCallGivesItsErrorToTheCaller) {
  const Client client = make_transactional();
  const kafka::Producer producer(client.get());
  const Error too_early(producer.begin_transaction());
  ASSERT_NE(too_early, nullptr);
  EXPECT_EQ(rd_kafka_error_code(too_early.get()), RD_KAFKA_RESP_ERR__STATE);
  const Error also_too_early(producer.commit_transaction(100));
  ASSERT_NE(also_too_early, nullptr);
  EXPECT_EQ(rd_kafka_error_code(also_too_early.get()), RD_KAFKA_RESP_ERR__STATE);
  EXPECT_EQ(brief(), R"(
begin_transaction CLIENT
  status ERROR
  error.type = _STATE
commit_transaction CLIENT
  status ERROR
  error.type = _STATE
)");
}

TEST_F(KafkaTransactions, ABrokersErrorHasTheProtocolsNameAndWhatItMeansStays) {
  const Client client = make_transactional();
  const kafka::Producer producer(client.get());
  ASSERT_EQ(text_of(producer.init_transactions(10000)), "");
  ASSERT_EQ(text_of(producer.begin_transaction()), "");
  ASSERT_EQ(produce(client.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver(client.get());
  recorder_->clear();
  cluster_->fail_next(KafkaRequest::kEndTxn, {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH});
  const Error fenced(producer.commit_transaction(10000));
  ASSERT_NE(fenced, nullptr);
  EXPECT_TRUE(rd_kafka_error_is_fatal(fenced.get()));
  EXPECT_EQ(brief(), R"(
commit_transaction CLIENT
  status ERROR
  error.type = _FENCED
)");
}

TEST_F(KafkaTransactions, HooksAreToldTheOperation) {
  std::vector<kafka::Operation> started;
  std::vector<kafka::Operation> finished;
  const Client client = make_transactional(
      {}, {.on_start = [&](Span&, const kafka::Call& call) { started.push_back(call.operation); },
           .on_finish = [&](Span&, const kafka::Call& call) { finished.push_back(call.operation); }});
  const kafka::Producer producer(client.get());
  EXPECT_EQ(text_of(producer.init_transactions(10000)), "");
  EXPECT_EQ(text_of(producer.begin_transaction()), "");
  EXPECT_EQ(text_of(producer.abort_transaction(10000)), "");
  const std::vector<kafka::Operation> all{kafka::Operation::init_transactions,
                                          kafka::Operation::begin_transaction,
                                          kafka::Operation::abort_transaction};
  EXPECT_EQ(started, all);
  EXPECT_EQ(finished, all);
}

TEST_F(KafkaTransactions, MakeNoSpansWhereNothingIsTraced) {
  {
    const Client client = make_transactional({}, {.mode = ModuleMode::propagate});
    EXPECT_EQ(text_of(kafka::Producer(client.get()).init_transactions(10000)), "");
  }
  {
    const Client client = make_transactional();
    const Scope scope(suppressed(Context::current()));
    EXPECT_EQ(text_of(kafka::Producer(client.get()).init_transactions(10000)), "");
  }
  {
    const Client client = make_bare_producer({{"transactional.id", "checkout-1"}});
    EXPECT_EQ(text_of(kafka::Producer(client.get()).init_transactions(10000)), "");
  }
  EXPECT_EQ(tree(), "\n");
}

TEST_F(KafkaTransactions, OfTheCppApiAreTheSame) {
  const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  std::string why;
  for (const auto& [name, value] : Properties{{"bootstrap.servers", cluster_->bootstrap_servers()},
                                              {"log_level", "0"},
                                              {"client.id", "checkout"},
                                              {"transactional.id", "checkout-1"}})
    ASSERT_EQ(conf->set(name, value, why), RdKafka::Conf::CONF_OK) << why;
  const std::unique_ptr<RdKafka::Conf> consumer_conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  for (const auto& [name, value] : Properties{
           {"bootstrap.servers", cluster_->bootstrap_servers()}, {"log_level", "0"}, {"group.id", "workers"}})
    ASSERT_EQ(consumer_conf->set(name, value, why), RdKafka::Conf::CONF_OK) << why;
  ASSERT_TRUE(kafka::instrument(*conf));
  {
    const std::unique_ptr<RdKafka::KafkaConsumer> consumer(
        RdKafka::KafkaConsumer::create(consumer_conf.get(), why));
    ASSERT_NE(consumer, nullptr) << why;
    const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(conf.get(), why));
    ASSERT_NE(producer, nullptr) << why;
    const std::unique_ptr<RdKafka::Error> too_early(kafka::begin_transaction(*producer));
    ASSERT_NE(too_early, nullptr);
    EXPECT_EQ(too_early->code(), RdKafka::ERR__STATE);
    recorder_->clear();
    EXPECT_EQ(kafka::init_transactions(*producer, 10000), nullptr);
    EXPECT_EQ(kafka::begin_transaction(*producer), nullptr);
    EXPECT_EQ(kafka::commit_transaction(*producer, 10000), nullptr);
    EXPECT_EQ(kafka::begin_transaction(*producer), nullptr);
    const std::unique_ptr<RdKafka::ConsumerGroupMetadata> group(consumer->groupMetadata());
    ASSERT_NE(group, nullptr);
    const std::unique_ptr<RdKafka::TopicPartition> offset(RdKafka::TopicPartition::create("orders", 0, 1));
    EXPECT_EQ(kafka::send_offsets_to_transaction(*producer, {offset.get()}, group.get(), 10000), nullptr);
    EXPECT_EQ(kafka::abort_transaction(*producer, 10000), nullptr);
  }
  EXPECT_EQ(brief(), R"(
abort_transaction CLIENT
begin_transaction CLIENT
begin_transaction CLIENT
commit_transaction CLIENT
init_transactions CLIENT
send_offsets_to_transaction CLIENT
)");
}

}  // namespace
}  // namespace midtrace::test
