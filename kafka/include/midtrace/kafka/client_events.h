// What librdkafka tells a client's callbacks, in traces: a rebalance as a span, an error as an event. Nothing
// of it is seen by interceptors, so the callbacks call these.
//
//   void rebalance_cb(rd_kafka_t* consumer, rd_kafka_resp_err_t error,
//                     rd_kafka_topic_partition_list_t* partitions, void*) {
//     const midtrace::kafka::RebalanceSpan rebalance(consumer, error, partitions);
//     ...  // assign or unassign; commits and the application's own spans are its children
//   }
//
// RebalanceSpan is an INTERNAL span `rebalance`, a child of the current one, with what happens
// (`midtrace.kafka.rebalance.kind`: assign, revoke, or lost when the group went on without this member) and
// to how many partitions; any other error is its error. It is current on this thread while it lives and must
// be ended where it was made.
//
// record_error() puts an event `midtrace.kafka.error` on the current span, with `error.type` and the first
// 256 bytes of the reason, in which librdkafka may name hosts. Without a current span there is nothing to put
// it on. The status of the span stays: the client goes on by itself.
//
// Options::mode other than on makes neither. Nothing throws.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <memory>
#include <string_view>

#include <midtrace/context/context.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {
class Client;
}

class [[nodiscard]] RebalanceSpan {
 public:
  RebalanceSpan(rd_kafka_t* consumer, rd_kafka_resp_err_t error,
                const rd_kafka_topic_partition_list_t* partitions) noexcept
      : RebalanceSpan(consumer, error,
                      partitions != nullptr ? static_cast<std::size_t>(partitions->cnt) : std::size_t{0}) {}
  RebalanceSpan(rd_kafka_t* consumer, rd_kafka_resp_err_t error, std::size_t partition_count) noexcept;
  ~RebalanceSpan();
  RebalanceSpan(const RebalanceSpan&) = delete;
  RebalanceSpan& operator=(const RebalanceSpan&) = delete;

  Span& span() noexcept { return span_; }

 private:
  std::shared_ptr<detail::Client> client_;
  Span span_;
  Scope scope_;
};

// For an error callback, or an error event. Of a fatal error (RD_KAFKA_RESP_ERR__FATAL) the cause is
// recorded. `client` may be null where it is not at hand: then MIDTRACE_KAFKA decides, and `_FATAL` stays.
void record_error(rd_kafka_t* client, rd_kafka_resp_err_t error, std::string_view reason) noexcept;

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
