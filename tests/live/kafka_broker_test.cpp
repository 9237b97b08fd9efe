// The real Kafka broker of the test support works: what the live tests of the kafka module stand on, checked
// without the module. Plain librdkafka only, so that a failure here means the broker or its set-up, never the
// tracing.
#include "support/kafka_broker.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "live/kafka_broker_fixture.h"

namespace midtrace::test {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

using Settings = std::vector<std::pair<std::string, std::string>>;

struct Destroy {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
  void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
};
using Client = std::unique_ptr<rd_kafka_t, Destroy>;
using Message = std::unique_ptr<rd_kafka_message_t, Destroy>;
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy>;
using Error = std::unique_ptr<rd_kafka_error_t, Destroy>;

Client make_client(rd_kafka_type_t type, const std::string& bootstrap, const Settings& settings) {
  std::array<char, 512> error{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), nullptr, 0);
  for (const auto& [name, value] : settings) {
    EXPECT_EQ(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error.data(), error.size()),
              RD_KAFKA_CONF_OK)
        << error.data();
  }
  // A broker that restarts is part of these tests; its refused connections are no news.
  rd_kafka_conf_set_log_cb(conf, nullptr);
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int, const char*, void*) {});
  if (type == RD_KAFKA_PRODUCER) {
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* failures) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && failures != nullptr) ++*static_cast<int*>(failures);
    });
  }
  rd_kafka_t* client = rd_kafka_new(type, conf, error.data(), error.size());
  EXPECT_NE(client, nullptr) << error.data();
  if (client != nullptr && type == RD_KAFKA_CONSUMER) rd_kafka_poll_set_consumer(client);
  return Client(client);
}

struct Record {
  std::string key;
  std::optional<std::string> value;  // nothing: a tombstone
  std::string header;
};

rd_kafka_resp_err_t produce(rd_kafka_t* producer, const std::string& topic, const Record& record) {
  // The array form: the macros of rd_kafka_producev use a GNU extension.
  std::array<rd_kafka_vu_t, 6> arguments{};
  arguments[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  arguments[0].u.cstr = topic.c_str();
  arguments[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  arguments[1].u.i32 = 0;
  arguments[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  arguments[2].u.i = RD_KAFKA_MSG_F_COPY;
  arguments[3].vtype = RD_KAFKA_VTYPE_KEY;
  arguments[3].u.mem = {const_cast<char*>(record.key.data()), record.key.size()};
  arguments[4].vtype = RD_KAFKA_VTYPE_VALUE;
  if (record.value) arguments[4].u.mem = {const_cast<char*>(record.value->data()), record.value->size()};
  arguments[5].vtype = RD_KAFKA_VTYPE_HEADER;
  arguments[5].u.header = {"number", record.header.data(), static_cast<ssize_t>(record.header.size())};
  const std::size_t count = record.header.empty() ? 5 : 6;
  const Error error(rd_kafka_produceva(producer, arguments.data(), count));
  return error ? rd_kafka_error_code(error.get()) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

void expect_flushed(rd_kafka_t* producer) {
  EXPECT_EQ(rd_kafka_flush(producer, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(rd_kafka_outq_len(producer), 0);
}

Record to_record(const rd_kafka_message_t& message) {
  Record record;
  if (message.key != nullptr) record.key.assign(static_cast<const char*>(message.key), message.key_len);
  if (message.payload != nullptr)
    record.value.emplace(static_cast<const char*>(message.payload), message.len);
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
      rd_kafka_header_get_last(headers, "number", &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    record.header.assign(static_cast<const char*>(value), size);
  }
  return record;
}

// All records of partition 0 from the beginning to its end as it is now.
std::vector<Record> read_all(const std::string& bootstrap, const std::string& topic, Settings settings = {}) {
  settings.insert(settings.end(), {{"group.id", "reader"},
                                   {"enable.auto.commit", "false"},
                                   {"enable.partition.eof", "true"},
                                   {"auto.offset.reset", "earliest"}});
  std::vector<Record> records;
  const Client consumer = make_client(RD_KAFKA_CONSUMER, bootstrap, settings);
  if (!consumer) return records;
  const Partitions list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
  EXPECT_EQ(rd_kafka_assign(consumer.get(), list.get()), RD_KAFKA_RESP_ERR_NO_ERROR);
  const auto deadline = steady_clock::now() + seconds(30);
  while (steady_clock::now() < deadline) {
    const Message message(rd_kafka_consumer_poll(consumer.get(), 500));
    if (!message) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      rd_kafka_consumer_close(consumer.get());
      return records;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) records.push_back(to_record(*message));
  }
  ADD_FAILURE() << "no end of " << topic << " in 30 s, " << records.size() << " records read";
  return records;
}

// The local addresses, as the kernel writes them, that a process listens on: "0100007F:1F90" is
// 127.0.0.1:8080.
std::vector<std::string> listening_addresses(pid_t pid) {
  std::set<std::string> sockets;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), error);
    if (target.starts_with("socket:[")) sockets.insert(target.substr(8, target.size() - 9));
  }
  std::vector<std::string> addresses;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream stream(table);
    for (std::string line; std::getline(stream, line);) {
      std::istringstream words(line);
      std::array<std::string, 10> word;  // 1: local address, 3: state, 9: inode
      for (std::string& each : word)
        words >> each;
      if (word[3] == "0A" && sockets.count(word[9]) != 0) addresses.push_back(word[1]);
    }
  }
  return addresses;
}

class KafkaBrokerTest : public OnKafkaBroker<testing::Test> {
 protected:
  Client make_producer(Settings settings = {}) {
    settings.emplace_back("linger.ms", "1");
    return make_client(RD_KAFKA_PRODUCER, broker_->bootstrap_servers(), settings);
  }
};

TEST_F(KafkaBrokerTest, ListensOnTheLoopbackAddressOnlyAndKnowsItsCluster) {
  EXPECT_EQ(broker_->bootstrap_servers(), "127.0.0.1:" + std::to_string(broker_->port()));
  const std::vector<std::string> addresses = listening_addresses(broker_->pid());
  EXPECT_EQ(addresses.size(), 2U) << "one for clients, one for the controller";
  for (const std::string& address : addresses)
    EXPECT_TRUE(address.starts_with("0100007F:")) << address;
  const Client producer = make_producer();
  ASSERT_TRUE(producer);
  char* id = rd_kafka_clusterid(producer.get(), 10000);
  ASSERT_NE(id, nullptr);
  EXPECT_EQ(std::string(id), broker_->cluster_id());
  rd_kafka_mem_free(producer.get(), id);
}

TEST_F(KafkaBrokerTest, CarriesHundredMessagesWithTheirHeaders) {
  ASSERT_NO_FATAL_FAILURE(create_topic("hundred", 1));
  const Client producer = make_producer();
  ASSERT_TRUE(producer);
  for (int i = 0; i < 100; ++i) {
    const std::string number = std::to_string(i);
    ASSERT_EQ(produce(producer.get(), "hundred", {"key-" + number, "value-" + number, number}),
              RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  expect_flushed(producer.get());

  const std::vector<Record> records = read_all(broker_->bootstrap_servers(), "hundred");
  ASSERT_EQ(records.size(), 100U);
  for (int i = 0; i < 100; ++i) {
    const std::string number = std::to_string(i);
    const Record& record = records[static_cast<std::size_t>(i)];
    EXPECT_EQ(record.key, "key-" + number);
    EXPECT_EQ(record.value, "value-" + number);
    EXPECT_EQ(record.header, number);
  }
}

TEST_F(KafkaBrokerTest, RefusesATopicTwiceAndAWrongConfig) {
  ASSERT_NO_FATAL_FAILURE(create_topic("once", 3));
  std::string why;
  EXPECT_FALSE(broker_->create_topic("once", 3, {}, &why));
  EXPECT_NE(why.find("already exists"), std::string::npos) << why;
  EXPECT_FALSE(broker_->create_topic("odd", 1, {{"no.such.config", "1"}}, &why));
  EXPECT_NE(why.find("odd"), std::string::npos) << why;
}

// Compaction leaves the active segment alone, so every round appends one more record, which rolls the
// segment.
TEST_F(KafkaBrokerTest, CompactsAwayWhatATombstoneDeletes) {
  ASSERT_NO_FATAL_FAILURE(create_topic("compacted", 1,
                                       {{"cleanup.policy", "compact"},
                                        {"segment.ms", "100"},
                                        {"min.cleanable.dirty.ratio", "0.01"},
                                        {"delete.retention.ms", "100"}}));
  const Client producer = make_producer();
  ASSERT_TRUE(producer);
  ASSERT_EQ(produce(producer.get(), "compacted", {"deleted", "first", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(produce(producer.get(), "compacted", {"kept", "old", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(produce(producer.get(), "compacted", {"kept", "new", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_EQ(produce(producer.get(), "compacted", {"deleted", std::nullopt, ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  expect_flushed(producer.get());
  const std::vector<Record> before = read_all(broker_->bootstrap_servers(), "compacted");
  ASSERT_EQ(before.size(), 4U);
  EXPECT_EQ(before[3].key, "deleted");
  EXPECT_FALSE(before[3].value.has_value());

  std::multimap<std::string, std::optional<std::string>> seen;
  const auto deadline = steady_clock::now() + seconds(60);
  do {
    ASSERT_EQ(produce(producer.get(), "compacted", {"roll", "x", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_flushed(producer.get());
    rd_kafka_poll(producer.get(), 300);
    seen.clear();
    for (Record& record : read_all(broker_->bootstrap_servers(), "compacted"))
      seen.emplace(record.key, record.value);
  } while ((seen.count("deleted") != 0 || seen.count("kept") != 1) && steady_clock::now() < deadline);
  EXPECT_EQ(seen.count("deleted"), 0U) << "neither the value nor, in the end, its tombstone";
  ASSERT_EQ(seen.count("kept"), 1U);
  EXPECT_EQ(seen.find("kept")->second, "new");
}

// What the mock cluster cannot do.
TEST_F(KafkaBrokerTest, HidesAbortedTransactionsAndFencesTheOlderProducer) {
  ASSERT_NO_FATAL_FAILURE(create_topic("transactions", 1));
  const Settings transactional{{"transactional.id", "writer"}};
  const Client first = make_producer(transactional);
  ASSERT_TRUE(first);
  const auto expect_ok = [](rd_kafka_error_t* raw) {
    const Error error(raw);
    EXPECT_EQ(error, nullptr) << rd_kafka_error_string(error.get());
  };
  expect_ok(rd_kafka_init_transactions(first.get(), 30000));
  expect_ok(rd_kafka_begin_transaction(first.get()));
  ASSERT_EQ(produce(first.get(), "transactions", {"k", "aborted", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  expect_flushed(first.get());
  expect_ok(rd_kafka_abort_transaction(first.get(), 30000));
  expect_ok(rd_kafka_begin_transaction(first.get()));
  ASSERT_EQ(produce(first.get(), "transactions", {"k", "committed", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  expect_ok(rd_kafka_commit_transaction(first.get(), 30000));

  const std::vector<Record> committed =
      read_all(broker_->bootstrap_servers(), "transactions", {{"isolation.level", "read_committed"}});
  ASSERT_EQ(committed.size(), 1U);
  EXPECT_EQ(committed[0].value, "committed");
  EXPECT_EQ(read_all(broker_->bootstrap_servers(), "transactions", {{"isolation.level", "read_uncommitted"}})
                .size(),
            2U);

  const Client second = make_producer(transactional);
  ASSERT_TRUE(second);
  expect_ok(rd_kafka_init_transactions(second.get(), 30000));
  expect_ok(rd_kafka_begin_transaction(first.get()));
  ASSERT_EQ(produce(first.get(), "transactions", {"k", "fenced", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  const Error fenced(rd_kafka_commit_transaction(first.get(), 30000));
  ASSERT_NE(fenced, nullptr);
  EXPECT_TRUE(rd_kafka_error_is_fatal(fenced.get())) << rd_kafka_error_string(fenced.get());
}

TEST_F(KafkaBrokerTest, RestartsWithItsDataOnTheSamePort) {
  ASSERT_NO_FATAL_FAILURE(create_topic("lasting", 1));
  const Client producer = make_producer();
  ASSERT_TRUE(producer);
  ASSERT_EQ(produce(producer.get(), "lasting", {"k", "before", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  expect_flushed(producer.get());

  const std::string servers = broker_->bootstrap_servers();
  const pid_t pid = broker_->pid();
  std::string why;
  ASSERT_TRUE(broker_->restart(KafkaBroker::StopMode::kOrderly, &why)) << why;
  EXPECT_EQ(broker_->bootstrap_servers(), servers);
  EXPECT_NE(broker_->pid(), pid);

  // The same client, which was connected to the broker that went away.
  ASSERT_EQ(produce(producer.get(), "lasting", {"k", "after", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  expect_flushed(producer.get());
  const std::vector<Record> records = read_all(servers, "lasting");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].value, "before");
  EXPECT_EQ(records[1].value, "after");
}

TEST_F(KafkaBrokerTest, ComesBackAfterItWasKilled) {
  ASSERT_NO_FATAL_FAILURE(create_topic("survivor", 1));
  const Client producer = make_producer();
  ASSERT_TRUE(producer);
  ASSERT_EQ(produce(producer.get(), "survivor", {"k", "written", ""}), RD_KAFKA_RESP_ERR_NO_ERROR);
  expect_flushed(producer.get());
  std::string why;
  ASSERT_TRUE(broker_->restart(KafkaBroker::StopMode::kKill, &why)) << why;
  EXPECT_EQ(read_all(broker_->bootstrap_servers(), "survivor").size(), 1U);
}

}  // namespace
}  // namespace midtrace::test
