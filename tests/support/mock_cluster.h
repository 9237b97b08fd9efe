// librdkafka's built-in mock cluster: real sockets and the real protocol inside the test process, no JVM.
//
// Good for delivery, injected errors, broker loss and slow answers. Not for: abort visibility and fencing
// (aborted messages stay visible), compaction, topic administration, and many messages: a partition keeps
// only the newest 5 MiB. Prefer assign() to subscribe(), which costs a fixed 3 s here. Use KafkaBroker for
// the rest.
//
// Errors: start() answers nullptr with one line in `why_not` (which may be null), the other functions answer
// false; nothing throws. Threads: all functions may be called from any thread while clients run. Destroy
// every client of the cluster before it, or they spend their time reconnecting.
#ifndef MIDTRACE_TESTS_SUPPORT_MOCK_CLUSTER_H_
#define MIDTRACE_TESTS_SUPPORT_MOCK_CLUSTER_H_

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

namespace midtrace::test {

// The request types of the Kafka protocol that the mock can be told to fail, by their number on the wire.
enum class KafkaRequest : std::int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kInitProducerId = 22,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kTxnOffsetCommit = 28,
};

class MockCluster {
 public:
  // Brokers get the ids 1 to `brokers`.
  static std::unique_ptr<MockCluster> start(int brokers, std::string* why_not);

  ~MockCluster();
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  std::string bootstrap_servers() const;

  // Topics also appear by themselves when a client asks for them, with the mock's defaults.
  bool create_topic(const std::string& name, int partitions, int replication = 1);

  // The next requests of this type, on any broker, fail with these errors, one each and in this order.
  // RD_KAFKA_RESP_ERR__TRANSPORT closes the connection instead of answering.
  void fail_next(KafkaRequest request, std::initializer_list<rd_kafka_resp_err_t> errors);
  void fail_next(KafkaRequest request, rd_kafka_resp_err_t error, int times);
  void fail_next_produce(std::initializer_list<rd_kafka_resp_err_t> errors);
  void clear_errors(KafkaRequest request);

  // The next request of this type on one broker is answered after `delay`, with `error` or none.
  bool delay_next(int broker, KafkaRequest request, std::chrono::milliseconds delay,
                  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR);

  // The error of a topic in metadata answers, e.g. RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED.
  void set_topic_error(const std::string& topic, rd_kafka_resp_err_t error);

  bool set_leader(const std::string& topic, int partition, int broker);
  bool set_broker_down(int broker);
  bool set_broker_up(int broker);
  bool set_round_trip(int broker, std::chrono::milliseconds time);
  bool set_group_coordinator(const std::string& group, int broker);
  bool set_transaction_coordinator(const std::string& transactional_id, int broker);

  // For what is not wrapped here.
  rd_kafka_mock_cluster_t* handle() const { return cluster_; }

 private:
  MockCluster(rd_kafka_t* keeper, rd_kafka_mock_cluster_t* cluster) : keeper_(keeper), cluster_(cluster) {}

  rd_kafka_t* keeper_;  // the library hangs the cluster on a client, which has no other purpose
  rd_kafka_mock_cluster_t* cluster_;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_MOCK_CLUSTER_H_
