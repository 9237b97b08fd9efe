// consume() and consume_batch(): librdkafka's consumer calls in a `poll` span.
//
// The span is of kind CLIENT, lasts as long as the call, and has one link for each message that carried a
// context. It is made when the call returns messages; an empty poll makes none unless Options::empty_polls
// asks for it. Errors and events that librdkafka delivers as messages (PARTITION_EOF and the like) are handed
// on and make no span.
//
// Any consumer will do: one from an instrumented configuration uses its options, another the defaults. One
// thread at a time per consumer, as for the calls themselves. Nothing throws.
#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <midtrace/kafka/message.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

// rd_kafka_consumer_poll(). A negative timeout waits without limit. Empty when the time ran out.
Message consume(rd_kafka_t* consumer, std::chrono::milliseconds timeout) noexcept;

// rd_kafka_consume_batch_queue() on the consumer's own queue: returns when `max_messages` are there or the
// time ran out.
Batch consume_batch(rd_kafka_t* consumer, std::size_t max_messages,
                    std::chrono::milliseconds timeout) noexcept;
// The same on a queue of the consumer, for applications that forward partitions to queues of their own.
Batch consume_batch(rd_kafka_t* consumer, rd_kafka_queue_t* queue, std::size_t max_messages,
                    std::chrono::milliseconds timeout) noexcept;

namespace detail {

// librdkafka counts in int milliseconds, with -1 for no limit.
int timeout_ms(std::chrono::milliseconds timeout) noexcept;

// Brackets one poll: the time before it, the silence of our own interceptor during it, its span afterwards.
class PollCall {
 public:
  // loop: a batch that many calls of librdkafka fill.
  enum class Kind : std::uint8_t { one, batch, loop };

  PollCall(rd_kafka_t* consumer, Kind kind) noexcept;
  ~PollCall();
  PollCall(const PollCall&) = delete;
  PollCall& operator=(const PollCall&) = delete;

  // Reads the context of a message that the library handed out. Null is allowed.
  Delivery receive(const rd_kafka_message_t* message) noexcept;
  // Makes the span. Once, after the last receive().
  void finish(std::span<Delivery> deliveries) noexcept;
  const std::shared_ptr<Client>& client() const noexcept { return client_; }

 private:
  std::shared_ptr<Client> client_;
  rd_kafka_t* consumer_;
  std::uint64_t tick_ = 0;
  std::uint64_t received_ = 0;
  Kind kind_;
  bool marked_ = false;
};

}  // namespace detail

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
