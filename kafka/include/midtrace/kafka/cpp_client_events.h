// client_events.h for the callbacks of librdkafka's C++ API.
#pragma once

#include <librdkafka/rdkafkacpp.h>

#include <vector>

#include <midtrace/kafka/client_events.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

// In RdKafka::RebalanceCb::rebalance_cb().
inline RebalanceSpan rebalance_span(RdKafka::KafkaConsumer& consumer, RdKafka::ErrorCode error,
                                    const std::vector<RdKafka::TopicPartition*>& partitions) noexcept {
  return RebalanceSpan(consumer.c_ptr(), static_cast<rd_kafka_resp_err_t>(error), partitions.size());
}

// In RdKafka::EventCb::event_cb(), which is not told whose event it is: better with the client, where that is
// known. Anything but an error is left alone.
inline void record_error(const RdKafka::Event& event) {
  if (event.type() == RdKafka::Event::EVENT_ERROR)
    record_error(nullptr, static_cast<rd_kafka_resp_err_t>(event.err()), event.str());
}
inline void record_error(RdKafka::Handle& client, const RdKafka::Event& event) {
  if (event.type() == RdKafka::Event::EVENT_ERROR)
    record_error(client.c_ptr(), static_cast<rd_kafka_resp_err_t>(event.err()), event.str());
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
