#include "commit_spans.h"

#include <array>

#include "describe.h"
#include "error_names.h"
#include "spans.h"

#include <midtrace/kafka/commit.h>
#include <midtrace/trace/attribute.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

// One partition's failure is the commit's, also when librdkafka calls the whole a success.
rd_kafka_resp_err_t worst(const rd_kafka_topic_partition_list_t* offsets,
                          rd_kafka_resp_err_t error) noexcept {
  for (int index = 0; offsets != nullptr && index < offsets->cnt; ++index) {
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) break;
    error = offsets->elems[index].err;
  }
  return error;
}

}  // namespace

void CommitContent::add(std::string_view topic, std::int32_t partition, std::int64_t offset) noexcept {
  if (offset < 0) return;
  if (partitions_ == 0) {
    topic_ = topic;
    partition_ = partition;
    offset_ = offset;
  } else if (topic != topic_) {
    several_topics_ = true;
  }
  ++partitions_;
  std::uint64_t mixed =
      (static_cast<std::uint64_t>(attribute_name_hash(topic)) << 32U) | static_cast<std::uint32_t>(partition);
  mixed *= 0xD6E8FEB86659FD93U;
  mixed = (mixed ^ (mixed >> 32U) ^ static_cast<std::uint64_t>(offset)) * 0x9E3779B97F4A7C15U;
  print_ += (mixed ^ (mixed >> 29U)) * 0xBF58476D1CE4E5B9U;
}

void CommitContent::add(const rd_kafka_topic_partition_list_t& offsets) noexcept {
  for (int index = 0; index < offsets.cnt; ++index) {
    const rd_kafka_topic_partition_t& each = offsets.elems[index];
    add(each.topic, each.partition, each.offset);
  }
}

Span start_commit_span(const Client& client, const Topic& topic, const Context& parent) noexcept {
  if (topic.switches().untraced) return {};
  const PreparedSpan* prepared = client.prepared(topic, Operation::commit);
  if (prepared == nullptr) return {};
  Span span = client.options().tracer.start(
      prepared->name, {.kind = SpanKind::client, .parent = &parent, .attributes = prepared->attributes});
  if (const Hook& hook = client.options().user.on_start; hook && span.recording()) {
    run_hook(hook, span, {Operation::commit, topic.name(), {}});
  }
  return span;
}

void finish_commit_span(const Client& client, const Topic& topic, Span& span,
                        const CommitFacts& facts) noexcept {
  if (!span.recording()) return;
  if (facts.topic != nullptr && facts.topic->switches().untraced) return span.discard();
  const Topic* named = &topic;
  if (facts.topic != nullptr && topic.name().empty() && !facts.topic->name().empty()) {
    if (const PreparedSpan* prepared = client.prepared(*facts.topic, Operation::commit);
        prepared != nullptr) {
      named = facts.topic;
      span.set_name(prepared->name);
      span.set(prepared->attributes);
    }
  }
  const OnSpan set{span};
  std::array<char, 12> buffer;
  describe_partition(client, facts.partition, buffer, set);
  describe_offset(client, facts.offset, set);
  set_cluster(client, span);
  if (facts.error != RD_KAFKA_RESP_ERR_NO_ERROR && facts.error != RD_KAFKA_RESP_ERR__NO_OFFSET) {
    span.set_error(error_name(facts.error));
  }
  if (const Hook& hook = client.options().user.on_finish) {
    run_hook(hook, span, {Operation::commit, named->name(), {}});
  }
  span.end();
}

void abandon_commits(const Client& client, OpenCommits::List& commits, rd_kafka_resp_err_t error) noexcept {
  for (OpenCommit& commit : commits) {
    if (!commit.span.recording()) continue;
    count(Counter::operations_lost);
    commit.facts.error = error;
    finish_commit_span(client, *commit.facts.topic, commit.span, commit.facts);
  }
}

void commit_reported(Client& client, const rd_kafka_t* handle, const rd_kafka_topic_partition_list_t* offsets,
                     rd_kafka_resp_err_t error) noexcept {
  client.learn_name(handle);
  CommitContent content;
  if (offsets != nullptr) content.add(*offsets);
  CommitFacts facts{&client.topic(content.topic(), existing_thread_state()), content.partition(),
                    content.offset(), worst(offsets, error)};
  OpenCommits::List taken;
  switch (client.open_commits().report(content.print(), facts, taken)) {
    case OpenCommits::Reported::taken:
      finish_commit_span(client, *taken.front().facts.topic, taken.front().span, facts);
      break;
    case OpenCommits::Reported::waits:
      break;
    case OpenCommits::Reported::unknown:
      if (client.options().user.commit_spans == CommitSpans::on && client.options().mode == ModuleMode::on) {
        Span span = start_commit_span(client, *facts.topic, Context());
        finish_commit_span(client, *facts.topic, span, facts);
      }
      break;
  }
}

bool end_open_commits(Client& client) noexcept {
  OpenCommits::List open;
  client.open_commits().take_all(open);
  abandon_commits(client, open, RD_KAFKA_RESP_ERR__DESTROY);
  return !open.empty();
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
