// Statistics: what a client measures itself, as values instead of JSON: queue depth, traffic, round trip and
// throttle times of each broker, the lag of each partition.
//
// librdkafka makes them every `statistics.interval.ms` (0, its default: never) from what it knows; nothing is
// asked of a broker. instrument() keeps the newest by itself when the interval is set before and the
// application has no callback for them. Where it has one, the callback hands them on:
//
//   int on_statistics(rd_kafka_t* client, char* json, size_t length, void*) {
//     midtrace::kafka::take_statistics(client, json, length);
//     return 0;
//   }
//
// and in the C++ API, in RdKafka::EventCb::event_cb, take_statistics(*client, event) for every event. As for
// any callback, the client must be polled.
//
// take_statistics() copies the text (at most 8 MiB) and is done; statistics() reads it on the thread that
// asks, and only once. What is longer, or is no JSON of librdkafka's, is counted
// (Counter::statistics_dropped) and reported, and the earlier statistics stay. Members that this header does
// not have are passed over. Nothing throws; any thread.
//
// Shapes: counts are those since the client began, except where they are of a queue at this moment; times are
// in microseconds unless they say otherwise; -1 is unknown, of offsets also -1001. Source: librdkafka,
// STATISTICS.md.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace midtrace {
inline namespace v1 {
namespace kafka {

// Of the values of one interval.
struct WindowStatistics {
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::int64_t avg = 0;
  std::int64_t sum = 0;
  std::int64_t cnt = 0;
  std::int64_t stddev = 0;
  std::int64_t p50 = 0;
  std::int64_t p75 = 0;
  std::int64_t p90 = 0;
  std::int64_t p95 = 0;
  std::int64_t p99 = 0;
  std::int64_t p99_99 = 0;
};

struct BrokerStatistics {
  std::string name;      // host:port/id, or the name of a logical one such as GroupCoordinator
  std::string nodename;  // host:port
  std::string source;    // learned, configured, internal or logical
  std::string state;     // UP, DOWN, ...
  std::int64_t nodeid = -1;
  std::int64_t stateage = 0;
  std::int64_t outbuf_cnt = 0;      // requests that wait to be sent
  std::int64_t outbuf_msg_cnt = 0;  // messages in them
  std::int64_t waitresp_cnt = 0;    // requests that wait for their answer
  std::int64_t waitresp_msg_cnt = 0;
  std::int64_t tx = 0;  // requests
  std::int64_t txbytes = 0;
  std::int64_t txerrs = 0;
  std::int64_t txretries = 0;
  std::int64_t req_timeouts = 0;
  std::int64_t rx = 0;  // answers
  std::int64_t rxbytes = 0;
  std::int64_t rxerrs = 0;
  std::int64_t connects = 0;
  std::int64_t disconnects = 0;
  WindowStatistics int_latency;     // in the producer's queue
  WindowStatistics outbuf_latency;  // between queue and socket
  WindowStatistics rtt;             // between request and answer
  WindowStatistics throttle;        // in milliseconds
};

struct PartitionStatistics {
  std::string topic;
  std::string fetch_state;      // none, active, ...
  std::int64_t partition = -1;  // -1: messages without a partition yet
  std::int64_t broker = -1;
  std::int64_t leader = -1;
  bool desired = false;       // the application asked for it
  bool unknown = false;       // not in the cluster's metadata
  std::int64_t msgq_cnt = 0;  // messages that wait in the producer, first queue
  std::int64_t msgq_bytes = 0;
  std::int64_t xmit_msgq_cnt = 0;  // and second
  std::int64_t xmit_msgq_bytes = 0;
  std::int64_t fetchq_cnt = 0;  // messages that were fetched and wait for the application
  std::int64_t fetchq_size = 0;
  std::int64_t next_offset = -1;
  std::int64_t app_offset = -1;  // of the last message that the application got, + 1
  std::int64_t stored_offset = -1;
  std::int64_t committed_offset = -1;
  std::int64_t eof_offset = -1;
  std::int64_t lo_offset = -1;
  std::int64_t hi_offset = -1;
  std::int64_t ls_offset = -1;
  std::int64_t consumer_lag = -1;         // from what is committed to the end that consumers see
  std::int64_t consumer_lag_stored = -1;  // from what is stored
  std::int64_t txmsgs = 0;
  std::int64_t txbytes = 0;
  std::int64_t rxmsgs = 0;
  std::int64_t rxbytes = 0;
  std::int64_t msgs_inflight = 0;
};

struct TopicStatistics {
  std::string topic;
  std::int64_t age = 0;           // milliseconds
  std::int64_t metadata_age = 0;  // milliseconds
  WindowStatistics batchsize;     // bytes
  WindowStatistics batchcnt;      // messages
};

struct GroupStatistics {
  std::string state;
  std::string join_state;
  std::string rebalance_reason;
  std::int64_t stateage = 0;       // milliseconds
  std::int64_t rebalance_age = 0;  // milliseconds
  std::int64_t rebalance_cnt = 0;
  std::int64_t assignment_size = 0;
};

struct Statistics {
  std::string name;  // rdkafka#producer-1
  std::string client_id;
  std::string type;           // producer or consumer
  std::int64_t ts = 0;        // when they were made, on librdkafka's monotonic clock
  std::int64_t time = 0;      // the same in Unix seconds
  std::int64_t age = 0;       // of the client
  std::int64_t replyq = 0;    // operations that wait for the application to poll
  std::int64_t msg_cnt = 0;   // messages in the producer's queues
  std::int64_t msg_size = 0;  // bytes in them
  std::int64_t msg_max = 0;   // the most of them that fit
  std::int64_t msg_size_max = 0;
  std::int64_t metadata_cache_cnt = 0;
  std::int64_t tx = 0;  // requests to brokers
  std::int64_t tx_bytes = 0;
  std::int64_t rx = 0;  // answers
  std::int64_t rx_bytes = 0;
  std::int64_t txmsgs = 0;  // messages produced
  std::int64_t txmsg_bytes = 0;
  std::int64_t rxmsgs = 0;  // messages consumed
  std::int64_t rxmsg_bytes = 0;
  std::vector<BrokerStatistics> brokers;        // the first 10 000
  std::vector<TopicStatistics> topics;          // the first 10 000
  std::vector<PartitionStatistics> partitions;  // of all topics, the first 100 000
  std::optional<GroupStatistics> group;         // of a consumer with a group
  bool truncated = false;                       // there were more
};

inline constexpr std::size_t max_statistics_bytes = 8U * 1024 * 1024;

// Keeps the text as the client's newest statistics.
void take_statistics(rd_kafka_t* client, const char* json, std::size_t length) noexcept;
// The newest statistics of the client; null when there are none yet.
std::shared_ptr<const Statistics> statistics(rd_kafka_t* client) noexcept;

// The reading alone: null for what is no such JSON, or when there is no memory.
std::shared_ptr<const Statistics> parse_statistics(std::string_view json) noexcept;

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
