// The messages of one poll or process span: what they have in common goes on the span, what differs on one
// link for each message that carried a context.
//
// Where these are more than a span keeps, messages of the same context share one link, which says so
// (midtrace.links.shared) and nothing of its messages; contexts that are sampled come first, each kind in the
// order of the messages. What has no place even so is counted, exactly: the contexts that have no link.
//
// Linear in the number of messages, whatever their headers say: the hash is seeded anew each time.
//
// Uses the messages' topic handles. make_links() may throw for lack of memory. Any thread; the buffers are
// the thread's own. Source: conventions 2.4 (fan-in attributes).
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "client.h"
#include "thread_state.h"

#include <midtrace/kafka/message.h>
#include <midtrace/trace/span.h>
#include <midtrace/trace/tracer.h>

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

struct FanIn {
  std::span<const Link> links;     // of the span itself, valid until the buffers are used again
  std::span<const Link> overflow;  // for spans beside it, with LinkOverflow::chain
  std::uint32_t dropped = 0;
};

// Spans beside the process span at the most, whatever the limits.
inline constexpr std::size_t max_chained_spans = 1024;

// How many of the links go on one span where none may be lost: at most so many, and no more than find room
// below the default of SpanLimits::span_bytes. One at least.
std::size_t links_that_fit(std::span<const Link> links, std::size_t most) noexcept;

FanIn make_links(const Client& client, std::span<const Delivery> deliveries, const InCommon& common,
                 LinkBuffers& buffers, LinkOverflow overflow = LinkOverflow::drop,
                 std::size_t limit = module_link_limit());
// Frees what a huge batch has blown up.
void release_large(LinkBuffers& buffers) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
