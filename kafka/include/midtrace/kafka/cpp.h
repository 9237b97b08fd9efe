// The same calls for librdkafka's C++ API, over the same implementation.
//
// A program needs librdkafka++ for them; everything else of this module needs librdkafka only. Functions of
// the same names have the contracts of their C forms, the threads and the specification too. They throw what
// librdkafka++ and its allocations throw, and nothing of their own.
#pragma once

#include <librdkafka/rdkafkacpp.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <midtrace/kafka/consumer.h>
#include <midtrace/kafka/cpp_client_events.h>
#include <midtrace/kafka/cpp_commit.h>
#include <midtrace/kafka/instrument.h>
#include <midtrace/kafka/process.h>
#include <midtrace/kafka/producer.h>
#include <midtrace/kafka/statistics.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

// A global configuration (RdKafka::Conf::CONF_GLOBAL); anything else returns false.
inline bool instrument(RdKafka::Conf& conf, Options options = {}) noexcept {
  return instrument(conf.c_ptr_global(), std::move(options));
}

namespace detail {

template <>
struct MessageApi<RdKafka::Message> {
  static void destroy(RdKafka::Message* message) noexcept { delete message; }
};

template <class Produce>
RdKafka::ErrorCode produce_traced(RdKafka::Producer& producer, const RefusedMessage& message,
                                  Produce&& produce) {
  const std::shared_ptr<Client> client = find_producer(producer.c_ptr());
  SendCall call(client);
  const RdKafka::ErrorCode error = produce();
  if (error != RdKafka::ERR_NO_ERROR) call.failed(static_cast<rd_kafka_resp_err_t>(error), message);
  return error;
}

inline std::string_view topic_name(RdKafka::Topic* topic) noexcept {
  return topic != nullptr ? std::string_view(rd_kafka_topic_name(topic->c_ptr())) : std::string_view();
}

}  // namespace detail

// RdKafka::Producer::produce() in its five forms; see Producer for what they add.
inline RdKafka::ErrorCode produce(RdKafka::Producer& producer, RdKafka::Topic* topic, std::int32_t partition,
                                  int msgflags, void* payload, std::size_t length, const std::string* key,
                                  void* msg_opaque) {
  return detail::produce_traced(
      producer,
      {detail::topic_name(topic), partition, payload, length, key != nullptr ? key->data() : nullptr,
       key != nullptr ? key->size() : 0},
      [&] { return producer.produce(topic, partition, msgflags, payload, length, key, msg_opaque); });
}

inline RdKafka::ErrorCode produce(RdKafka::Producer& producer, RdKafka::Topic* topic, std::int32_t partition,
                                  int msgflags, void* payload, std::size_t length, const void* key,
                                  std::size_t key_length, void* msg_opaque) {
  return detail::produce_traced(
      producer, {detail::topic_name(topic), partition, payload, length, key, key_length}, [&] {
        return producer.produce(topic, partition, msgflags, payload, length, key, key_length, msg_opaque);
      });
}

inline RdKafka::ErrorCode produce(RdKafka::Producer& producer, const std::string& topic,
                                  std::int32_t partition, int msgflags, void* payload, std::size_t length,
                                  const void* key, std::size_t key_length, std::int64_t timestamp,
                                  void* msg_opaque) {
  return detail::produce_traced(producer, {topic, partition, payload, length, key, key_length}, [&] {
    return producer.produce(topic, partition, msgflags, payload, length, key, key_length, timestamp,
                            msg_opaque);
  });
}

// Takes the headers over when it succeeds, as librdkafka does.
inline RdKafka::ErrorCode produce(RdKafka::Producer& producer, const std::string& topic,
                                  std::int32_t partition, int msgflags, void* payload, std::size_t length,
                                  const void* key, std::size_t key_length, std::int64_t timestamp,
                                  RdKafka::Headers* headers, void* msg_opaque) {
  return detail::produce_traced(producer, {topic, partition, payload, length, key, key_length}, [&] {
    return producer.produce(topic, partition, msgflags, payload, length, key, key_length, timestamp, headers,
                            msg_opaque);
  });
}

inline RdKafka::ErrorCode produce(RdKafka::Producer& producer, RdKafka::Topic* topic, std::int32_t partition,
                                  const std::vector<char>* payload, const std::vector<char>* key,
                                  void* msg_opaque) {
  return detail::produce_traced(
      producer,
      {detail::topic_name(topic), partition, payload != nullptr ? payload->data() : nullptr,
       payload != nullptr ? payload->size() : 0, key != nullptr ? key->data() : nullptr,
       key != nullptr ? key->size() : 0},
      [&] { return producer.produce(topic, partition, payload, key, msg_opaque); });
}

namespace detail {

template <class Call>
RdKafka::Error* transaction_traced(RdKafka::Producer& producer, Operation operation, Call&& call) {
  const std::shared_ptr<Client> client = find_producer(producer.c_ptr());
  TransactionCall span(producer.c_ptr(), client, operation);
  RdKafka::Error* const error = call();
  if (error != nullptr) span.failed(static_cast<rd_kafka_resp_err_t>(error->code()));
  return error;
}

}  // namespace detail

// The transaction API of RdKafka::Producer; see Producer for the spans. The caller owns the error, as in
// librdkafka. The C++ API does not tell the consumer group of the offsets.
inline RdKafka::Error* init_transactions(RdKafka::Producer& producer, int timeout_ms) {
  return detail::transaction_traced(producer, Operation::init_transactions,
                                    [&] { return producer.init_transactions(timeout_ms); });
}

inline RdKafka::Error* begin_transaction(RdKafka::Producer& producer) {
  return detail::transaction_traced(producer, Operation::begin_transaction,
                                    [&] { return producer.begin_transaction(); });
}

inline RdKafka::Error* send_offsets_to_transaction(RdKafka::Producer& producer,
                                                   const std::vector<RdKafka::TopicPartition*>& offsets,
                                                   const RdKafka::ConsumerGroupMetadata* group_metadata,
                                                   int timeout_ms) {
  return detail::transaction_traced(producer, Operation::send_offsets_to_transaction, [&] {
    return producer.send_offsets_to_transaction(offsets, group_metadata, timeout_ms);
  });
}

inline RdKafka::Error* commit_transaction(RdKafka::Producer& producer, int timeout_ms) {
  return detail::transaction_traced(producer, Operation::commit_transaction,
                                    [&] { return producer.commit_transaction(timeout_ms); });
}

inline RdKafka::Error* abort_transaction(RdKafka::Producer& producer, int timeout_ms) {
  return detail::transaction_traced(producer, Operation::abort_transaction,
                                    [&] { return producer.abort_transaction(timeout_ms); });
}

// RdKafka::KafkaConsumer::consume(): never empty; a timeout is a message with ERR__TIMED_OUT, as in
// librdkafka.
inline BasicMessage<RdKafka::Message> consume(RdKafka::KafkaConsumer& consumer,
                                              std::chrono::milliseconds timeout) {
  detail::PollCall call(consumer.c_ptr(), detail::PollCall::Kind::one);
  detail::OwnedMessage<RdKafka::Message> message(consumer.consume(detail::timeout_ms(timeout)));
  detail::Delivery delivery = call.receive(message->c_ptr());
  call.finish({&delivery, 1U});
  return detail::Access::message(std::move(message), std::move(delivery), call.client());
}

// consume() until `max_messages` are there or the time ran out.
inline BasicBatch<RdKafka::Message> consume_batch(RdKafka::KafkaConsumer& consumer, std::size_t max_messages,
                                                  std::chrono::milliseconds timeout) {
  BasicBatch<RdKafka::Message> batch;
  std::chrono::milliseconds remaining(detail::timeout_ms(timeout));  // as far as librdkafka counts
  const auto deadline = std::chrono::steady_clock::now() + remaining;
  detail::PollCall call(consumer.c_ptr(), detail::PollCall::Kind::loop);
  while (batch.size() < max_messages && detail::Access::make_room(batch)) {
    detail::OwnedMessage<RdKafka::Message> message(consumer.consume(detail::timeout_ms(remaining)));
    if (message->err() == RdKafka::ERR__TIMED_OUT) break;
    detail::Delivery delivery = call.receive(message->c_ptr());
    detail::Access::append(batch, std::move(message), std::move(delivery));
    if (timeout.count() < 0) continue;
    remaining =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (remaining.count() < 0) remaining = std::chrono::milliseconds(0);
  }
  call.finish(detail::Access::deliveries(batch));
  detail::Access::client(batch) = call.client();
  return batch;
}

// Reads the headers through the C API, so the application must not have called headers() on the message
// before.
inline ProcessScope process(RdKafka::Message& message) noexcept {
  return process(static_cast<const rd_kafka_message_t*>(message.c_ptr()));
}

// Of an RdKafka::EventCb: keeps the statistics, when the event has some, and says whether it had.
inline bool take_statistics(RdKafka::Handle& client, const RdKafka::Event& event) {
  if (event.type() != RdKafka::Event::EVENT_STATS) return false;
  const std::string json = event.str();
  take_statistics(client.c_ptr(), json.data(), json.size());
  return true;
}
inline std::shared_ptr<const Statistics> statistics(RdKafka::Handle& client) noexcept {
  return statistics(client.c_ptr());
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
