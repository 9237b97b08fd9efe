// The messages of one poll or process span: what they have in common goes on the span, what differs on one
// link for each message that carried a context.
//
// Uses the messages' topic handles. make_links() may throw for lack of memory. Any thread; the buffers are
// the thread's own. Source: conventions 2.4 (fan-in attributes).
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <span>

#include "client.h"
#include "thread_state.h"

#include <midtrace/kafka/message.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

struct InCommon {
  std::size_t messages = 0;  // that are traced; all that follows is about these
  std::size_t untraced = 0;  // of topics without spans
  std::size_t contexts = 0;
  const rd_kafka_message_t* first = nullptr;
  const Delivery* last = nullptr;
  bool topic = true;
  bool partition = true;
  bool key = true;
  bool tombstone = true;
};

InCommon find_common(std::span<const Delivery> deliveries) noexcept;

// Writes what all messages share. With one message that is everything.
void describe_common(const Client& client, const InCommon& common, Span& span) noexcept;

// One link for each message that carried a context. Valid until the buffers are used again.
std::span<const Link> make_links(const Client& client, std::span<const Delivery> deliveries,
                                 const InCommon& common, LinkBuffers& buffers);
// Frees what a huge batch has blown up.
void release_large(LinkBuffers& buffers) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
