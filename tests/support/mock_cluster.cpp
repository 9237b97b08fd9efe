#include "support/mock_cluster.h"

#include <array>
#include <vector>

namespace midtrace::test {

namespace {

std::int16_t number(KafkaRequest request) { return static_cast<std::int16_t>(request); }

bool done(rd_kafka_resp_err_t error) { return error == RD_KAFKA_RESP_ERR_NO_ERROR; }

}  // namespace

std::unique_ptr<MockCluster> MockCluster::start(int brokers, std::string* why_not) {
  const auto fail = [why_not](const char* text) {
    if (why_not != nullptr) *why_not = text;
    return nullptr;
  };
  std::array<char, 512> error{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "client.id", "midtrace-test-mock", nullptr, 0);
  rd_kafka_conf_set_log_cb(conf, nullptr);
  rd_kafka_t* keeper = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size());
  if (keeper == nullptr) {
    rd_kafka_conf_destroy(conf);
    return fail(error.data());
  }
  rd_kafka_mock_cluster_t* cluster = rd_kafka_mock_cluster_new(keeper, brokers);
  if (cluster == nullptr) {
    rd_kafka_destroy(keeper);
    return fail("the mock cluster did not start");
  }
  return std::unique_ptr<MockCluster>(new MockCluster(keeper, cluster));
}

MockCluster::~MockCluster() {
  rd_kafka_mock_cluster_destroy(cluster_);
  rd_kafka_destroy(keeper_);
}

std::string MockCluster::bootstrap_servers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }

bool MockCluster::create_topic(const std::string& name, int partitions, int replication) {
  return done(rd_kafka_mock_topic_create(cluster_, name.c_str(), partitions, replication));
}

void MockCluster::fail_next(KafkaRequest request, std::initializer_list<rd_kafka_resp_err_t> errors) {
  rd_kafka_mock_push_request_errors_array(cluster_, number(request), errors.size(), errors.begin());
}

void MockCluster::fail_next(KafkaRequest request, rd_kafka_resp_err_t error, int times) {
  const std::vector<rd_kafka_resp_err_t> errors(times > 0 ? static_cast<std::size_t>(times) : 0U, error);
  rd_kafka_mock_push_request_errors_array(cluster_, number(request), errors.size(), errors.data());
}

void MockCluster::fail_next_produce(std::initializer_list<rd_kafka_resp_err_t> errors) {
  fail_next(KafkaRequest::kProduce, errors);
}

void MockCluster::clear_errors(KafkaRequest request) {
  rd_kafka_mock_clear_request_errors(cluster_, number(request));
}

bool MockCluster::delay_next(int broker, KafkaRequest request, std::chrono::milliseconds delay,
                             rd_kafka_resp_err_t error) {
  return done(rd_kafka_mock_broker_push_request_error_rtts(cluster_, broker, number(request), 1, error,
                                                           static_cast<int>(delay.count())));
}

void MockCluster::set_topic_error(const std::string& topic, rd_kafka_resp_err_t error) {
  rd_kafka_mock_topic_set_error(cluster_, topic.c_str(), error);
}

bool MockCluster::set_leader(const std::string& topic, int partition, int broker) {
  return done(rd_kafka_mock_partition_set_leader(cluster_, topic.c_str(), partition, broker));
}

bool MockCluster::set_broker_down(int broker) {
  return done(rd_kafka_mock_broker_set_down(cluster_, broker));
}

bool MockCluster::set_broker_up(int broker) { return done(rd_kafka_mock_broker_set_up(cluster_, broker)); }

bool MockCluster::set_round_trip(int broker, std::chrono::milliseconds time) {
  return done(rd_kafka_mock_broker_set_rtt(cluster_, broker, static_cast<int>(time.count())));
}

bool MockCluster::set_group_coordinator(const std::string& group, int broker) {
  return done(rd_kafka_mock_coordinator_set(cluster_, "group", group.c_str(), broker));
}

bool MockCluster::set_transaction_coordinator(const std::string& transactional_id, int broker) {
  return done(rd_kafka_mock_coordinator_set(cluster_, "transaction", transactional_id.c_str(), broker));
}

}  // namespace midtrace::test
