// The choke point of commits: `commit` spans start and end here, and nowhere else.
//
// Nothing throws; any thread. Source: conventions 2.2, 2.4 (settle).
#pragma once

#include <librdkafka/rdkafka.h>

#include "client.h"
#include "open_commits.h"
#include "thread_state.h"
#include "topics.h"

#include <midtrace/context/context.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

// Only after Client::learn_name().
Span start_commit_span(const Client& client, const Topic& topic, const Context& parent) noexcept;
// `topic` is the one it was started with; the facts may know more.
void finish_commit_span(const Client& client, const Topic& topic, Span& span,
                        const CommitFacts& facts) noexcept;
// No answer came, and none will.
void abandon_commits(const Client& client, OpenCommits::List& commits, rd_kafka_resp_err_t error) noexcept;

// What librdkafka's on_commit reports: ends the span that waits for it, or makes one of zero length where
// Options::commit_spans asks for it.
void commit_reported(Client& client, const rd_kafka_t* handle, const rd_kafka_topic_partition_list_t* offsets,
                     rd_kafka_resp_err_t error) noexcept;
// Ends what is open when the client is gone; whether there was any.
bool end_open_commits(Client& client) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
