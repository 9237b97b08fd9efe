// The commits of RdKafka::KafkaConsumer in a `commit` span: commit.h in the C++ API's forms, named as there.
//
//   midtrace::kafka::commitSync(*consumer, *message);
//
// Any thread. They throw what a callback of the application throws, and nothing else.
#pragma once

#include <librdkafka/rdkafkacpp.h>

#include <vector>

#include <midtrace/kafka/commit.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

inline CommitContent content_of(const std::vector<RdKafka::TopicPartition*>& offsets) {
  CommitContent content;
  for (const RdKafka::TopicPartition* each : offsets) {
    const std::string& topic = each->topic();
    content.add(topic, each->partition(), each->offset());
  }
  return content;
}

inline CommitContent content_of(RdKafka::Message& message) {
  CommitContent content;
  if (const rd_kafka_message_t* handle = message.c_ptr(); message.err() == RdKafka::ERR_NO_ERROR)
    content.add(rd_kafka_topic_name(handle->rkt), handle->partition, handle->offset + 1);
  return content;
}

template <class Commit>
RdKafka::ErrorCode commit_traced(RdKafka::KafkaConsumer& consumer, const CommitContent* content,
                                 CommitCall::Kind kind, const Commit& commit) {
  CommitCall call(consumer.c_ptr(), content, kind);
  return static_cast<RdKafka::ErrorCode>(call.finish(static_cast<rd_kafka_resp_err_t>(commit())));
}

}  // namespace detail

// What is stored for the current assignment.
inline RdKafka::ErrorCode commitSync(RdKafka::KafkaConsumer& consumer) {
  return detail::commit_traced(consumer, nullptr, detail::CommitCall::Kind::waits,
                               [&] { return consumer.commitSync(); });
}
inline RdKafka::ErrorCode commitAsync(RdKafka::KafkaConsumer& consumer) {
  return detail::commit_traced(consumer, nullptr, detail::CommitCall::Kind::asynchronous,
                               [&] { return consumer.commitAsync(); });
}
inline RdKafka::ErrorCode commitSync(RdKafka::KafkaConsumer& consumer, RdKafka::OffsetCommitCb* callback) {
  return detail::commit_traced(consumer, nullptr, detail::CommitCall::Kind::waits,
                               [&] { return consumer.commitSync(callback); });
}

// One message, which must not be null.
inline RdKafka::ErrorCode commitSync(RdKafka::KafkaConsumer& consumer, RdKafka::Message* message) {
  const detail::CommitContent content = detail::content_of(*message);
  return detail::commit_traced(consumer, &content, detail::CommitCall::Kind::waits,
                               [&] { return consumer.commitSync(message); });
}
// The message that `work` was about: its child, which ends it when it succeeds (commit_message() in
// commit.h).
inline RdKafka::ErrorCode commitSync(RdKafka::KafkaConsumer& consumer, RdKafka::Message* message,
                                     ProcessSpan& work) {
  RdKafka::ErrorCode error;
  {
    const ProcessActivation activation = work.activate();
    error = commitSync(consumer, message);
  }
  if (error == RdKafka::ERR_NO_ERROR) work.end_by_commit();
  return error;
}
inline RdKafka::ErrorCode commitAsync(RdKafka::KafkaConsumer& consumer, RdKafka::Message* message) {
  const detail::CommitContent content = detail::content_of(*message);
  return detail::commit_traced(consumer, &content, detail::CommitCall::Kind::asynchronous,
                               [&] { return consumer.commitAsync(message); });
}

// These offsets; commits that wait write each partition's error into them.
inline RdKafka::ErrorCode commitSync(RdKafka::KafkaConsumer& consumer,
                                     std::vector<RdKafka::TopicPartition*>& offsets) {
  const detail::CommitContent content = detail::content_of(offsets);
  return detail::commit_traced(consumer, &content, detail::CommitCall::Kind::waits,
                               [&] { return consumer.commitSync(offsets); });
}
inline RdKafka::ErrorCode commitAsync(RdKafka::KafkaConsumer& consumer,
                                      const std::vector<RdKafka::TopicPartition*>& offsets) {
  const detail::CommitContent content = detail::content_of(offsets);
  return detail::commit_traced(consumer, &content, detail::CommitCall::Kind::asynchronous,
                               [&] { return consumer.commitAsync(offsets); });
}
inline RdKafka::ErrorCode commitSync(RdKafka::KafkaConsumer& consumer,
                                     std::vector<RdKafka::TopicPartition*>& offsets,
                                     RdKafka::OffsetCommitCb* callback) {
  const detail::CommitContent content = detail::content_of(offsets);
  return detail::commit_traced(consumer, &content, detail::CommitCall::Kind::waits,
                               [&] { return consumer.commitSync(offsets, callback); });
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
