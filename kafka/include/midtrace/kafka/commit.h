// commit(), commit_message() and commit_queue(): librdkafka's commits in a `commit` span.
//
// They take the parameters and return the values of the functions of their names. The span is of kind CLIENT,
// a child of the current one, and named after the topic when there is just one. A commit that waits ends its
// span when it returns. One that does not wait ends it with the broker's answer when the consumer is
// instrumented, and else when it returns; so does one without offsets (a null list: what is stored), because
// librdkafka answers that with silence when there was nothing to commit.
// RD_KAFKA_RESP_ERR__NO_OFFSET is no error. What is unanswered when the client closes ends with `_DESTROY`.
//
// `messaging.kafka.offset` is the offset that was committed, the one to be read next, when there is just one
// partition. Commits of other callers and automatic ones: Options::commit_spans. Storing offsets
// (rd_kafka_offset_store() and the like) stays inside the client, so it has no span and no wrapper.
//
// Any thread. Nothing throws but the callback that commit_queue() is given. Source: conventions 2.2, 2.4
// (settle).
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <midtrace/kafka/process.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

// rd_kafka_commit(). Null `offsets`: what is stored for the current assignment.
rd_kafka_resp_err_t commit(rd_kafka_t* consumer, const rd_kafka_topic_partition_list_t* offsets,
                           int async) noexcept;

// rd_kafka_commit_message().
rd_kafka_resp_err_t commit_message(rd_kafka_t* consumer, const rd_kafka_message_t* message,
                                   int async) noexcept;

using CommitCallback = void(rd_kafka_t* consumer, rd_kafka_resp_err_t error,
                            rd_kafka_topic_partition_list_t* offsets, void* opaque);

// rd_kafka_commit_queue(). Waits when there is no queue.
rd_kafka_resp_err_t commit_queue(rd_kafka_t* consumer, const rd_kafka_topic_partition_list_t* offsets,
                                 rd_kafka_queue_t* queue, CommitCallback* callback, void* opaque);

namespace detail {

class Client;
class Topic;

// The offsets of one commit, added up. Only a view of the topic is kept.
class CommitContent {
 public:
  // Logical offsets, which are not sent, do not count.
  void add(std::string_view topic, std::int32_t partition, std::int64_t offset) noexcept;
  void add(const rd_kafka_topic_partition_list_t& offsets) noexcept;

  std::size_t partitions() const noexcept { return partitions_; }
  // Empty when there are several.
  std::string_view topic() const noexcept { return several_topics_ ? std::string_view() : topic_; }
  // Of the only partition, else negative.
  std::int32_t partition() const noexcept { return partitions_ == 1 ? partition_ : -1; }
  std::int64_t offset() const noexcept { return partitions_ == 1 ? offset_ : -1; }
  // The same for the same offsets in whatever order; 0 when there are none.
  std::uint64_t print() const noexcept { return partitions_ == 0 ? 0 : print_ | 1U; }

 private:
  std::string_view topic_;
  std::uint64_t print_ = 0;
  std::int64_t offset_ = -1;
  std::size_t partitions_ = 0;
  std::int32_t partition_ = -1;
  bool several_topics_ = false;
};

// Brackets one commit.
class CommitCall {
 public:
  enum class Kind : std::uint8_t { waits, asynchronous };

  // Null `content`: what is stored.
  CommitCall(rd_kafka_t* consumer, const CommitContent* content, Kind kind) noexcept;
  ~CommitCall();
  CommitCall(const CommitCall&) = delete;
  CommitCall& operator=(const CommitCall&) = delete;

  // To be called with what the call returned, which it returns.
  rd_kafka_resp_err_t finish(rd_kafka_resp_err_t error) noexcept;

 private:
  std::shared_ptr<Client> client_;  // null: not traced
  rd_kafka_t* consumer_;
  const Topic* topic_ = nullptr;  // owned by the client
  Span span_;                     // unless it waits for the answer
  std::int64_t offset_ = -1;
  std::uint64_t number_ = 0;  // among the client's open commits; 0: not there
  std::int32_t partition_ = -1;
  Kind kind_;
};

}  // namespace detail

// Commits the message that `work` was about, waits for the answer, and ends `work` by it. The commit is its
// child. When it fails `work` goes on, so that it can be tried again.
inline rd_kafka_resp_err_t commit_message(rd_kafka_t* consumer, const rd_kafka_message_t* message,
                                          ProcessSpan& work) noexcept {
  rd_kafka_resp_err_t error;
  {
    const ProcessActivation activation = work.activate();
    error = commit_message(consumer, message, 0);
  }
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) work.end_by_commit();
  return error;
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
