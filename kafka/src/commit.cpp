#include <midtrace/kafka/commit.h>

#include <utility>

#include "client.h"
#include "commit_spans.h"
#include "open_commits.h"
#include "spans.h"

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

CommitCall::CommitCall(rd_kafka_t* consumer, const CommitContent* content, Kind kind) noexcept
    : client_(find_or_add_client(consumer)), consumer_(consumer), kind_(kind) {
  if (client_ == nullptr) return;
  Client& client = *client_;
  const ReadyOptions& options = client.options();
  if (options.mode != ModuleMode::on || options.user.commit_spans == CommitSpans::off ||
      client.committed_elsewhere()) {
    client_ = nullptr;
    return;
  }
  const bool waits = kind == Kind::waits;
  const bool reported_anyway = options.user.commit_spans == CommitSpans::on && client.reports_commits();
  if (content == nullptr && !waits && reported_anyway) {  // which report is its own, nobody could say
    client_ = nullptr;
    return;
  }
  client.learn_name(consumer);
  topic_ = &client.topic(content != nullptr ? content->topic() : std::string_view(), thread_state());
  if (content != nullptr) {
    partition_ = content->partition();
    offset_ = content->offset();
  }
  const Context ambient = Context::current();
  if (tracing(client, ambient)) span_ = start_commit_span(client, *topic_, ambient);

  const bool something = content != nullptr && content->partitions() > 0;
  if (!client.reports_commits() || !(something || waits)) return;
  // Before the call, because the report may come before it returns.
  OpenCommit open;
  open.print = content != nullptr ? content->print() : 0;
  open.waits = waits;
  open.facts = {topic_, partition_, offset_};
  if (!waits) open.span = std::move(span_);
  OpenCommits::List displaced;
  number_ = client.open_commits().add(open, displaced);
  if (number_ == 0 && !waits) span_ = std::move(open.span);
  abandon_commits(client, displaced, RD_KAFKA_RESP_ERR__DESTROY);
}

rd_kafka_resp_err_t CommitCall::finish(rd_kafka_resp_err_t error) noexcept {
  if (client_ == nullptr) return error;
  Client& client = *client_;
  client.learn_cluster_id(consumer_);
  CommitFacts facts{topic_, partition_, offset_, error};
  if (number_ != 0 && (kind_ == Kind::waits || error != RD_KAFKA_RESP_ERR_NO_ERROR)) {
    OpenCommits::List taken;
    if (client.open_commits().take(number_, taken)) {
      OpenCommit& open = taken.front();
      if (kind_ == Kind::asynchronous) span_ = std::move(open.span);
      if (open.answered) {
        facts = open.facts;
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) facts.error = error;
      }
    }
  }
  finish_commit_span(client, *topic_, span_, facts);
  client_ = nullptr;
  return error;
}

// Without finish() the application's callback has thrown.
CommitCall::~CommitCall() { finish(RD_KAFKA_RESP_ERR__FAIL); }

namespace {

CommitCall::Kind kind_of(bool asynchronous) noexcept {
  return asynchronous ? CommitCall::Kind::asynchronous : CommitCall::Kind::waits;
}

}  // namespace

}  // namespace detail

rd_kafka_resp_err_t commit(rd_kafka_t* consumer, const rd_kafka_topic_partition_list_t* offsets,
                           int async) noexcept {
  detail::CommitContent content;
  if (offsets != nullptr) content.add(*offsets);
  detail::CommitCall call(consumer, offsets != nullptr ? &content : nullptr, detail::kind_of(async != 0));
  return call.finish(rd_kafka_commit(consumer, offsets, async));
}

rd_kafka_resp_err_t commit_message(rd_kafka_t* consumer, const rd_kafka_message_t* message,
                                   int async) noexcept {
  detail::CommitContent content;
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->rkt != nullptr)
    content.add(rd_kafka_topic_name(message->rkt), message->partition, message->offset + 1);
  detail::CommitCall call(consumer, &content, detail::kind_of(async != 0));
  return call.finish(rd_kafka_commit_message(consumer, message, async));
}

rd_kafka_resp_err_t commit_queue(rd_kafka_t* consumer, const rd_kafka_topic_partition_list_t* offsets,
                                 rd_kafka_queue_t* queue, CommitCallback* callback, void* opaque) {
  detail::CommitContent content;
  if (offsets != nullptr) content.add(*offsets);
  detail::CommitCall call(consumer, offsets != nullptr ? &content : nullptr,
                          detail::kind_of(queue != nullptr));
  return call.finish(rd_kafka_commit_queue(consumer, offsets, queue, callback, opaque));
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
