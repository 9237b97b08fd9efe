#include "fan_in.h"

#include <array>

#include "describe.h"

#include <midtrace/semconv/attributes.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

constexpr std::size_t max_kept_links = 16384;

bool same_topic(const rd_kafka_message_t& a, const rd_kafka_message_t& b) noexcept {
  return a.rkt == b.rkt || topic_name(a) == topic_name(b);
}

}  // namespace

InCommon find_common(std::span<const Delivery> deliveries) noexcept {
  InCommon common;
  for (const Delivery& delivery : deliveries) {
    if (!is_message(delivery)) continue;
    if (!delivery.traced) {
      ++common.untraced;
      continue;
    }
    const rd_kafka_message_t& message = *delivery.message;
    ++common.messages;
    if (delivery.creation.span.valid()) ++common.contexts;
    common.last = &delivery;
    if (common.first == nullptr) {
      common.first = &message;
      continue;
    }
    const rd_kafka_message_t& first = *common.first;
    common.topic = common.topic && same_topic(first, message);
    common.partition = common.partition && message.partition == first.partition;
    common.key = common.key && (message.key == nullptr) == (first.key == nullptr) &&
                 key_text(message) == key_text(first);
    common.tombstone = common.tombstone && (message.payload == nullptr) == (first.payload == nullptr);
  }
  common.partition = common.partition && common.topic;
  return common;
}

void describe_common(const Client& client, const InCommon& common, Span& span) noexcept {
  if (common.first == nullptr) return;
  const OnSpan set{span};
  std::array<char, 12> buffer;
  if (common.partition) describe_partition(client, common.first->partition, buffer, set);
  if (common.key) describe_key(client, *common.first, set);
  if (common.tombstone) describe_tombstone(*common.first, set);
  if (common.messages == 1) {
    describe_offset(client, common.first->offset, set);
    describe_body(client, *common.first, set);
    describe_queue_time(*common.last, set);
  }
  if (common.partition) describe_lag(*common.last, set);
}

std::span<const Link> make_links(const Client& client, std::span<const Delivery> deliveries,
                                 const InCommon& common, LinkBuffers& buffers) {
  constexpr std::size_t attributes_per_link = 10;
  buffers.links.clear();
  buffers.attributes.clear();
  buffers.partitions.clear();
  buffers.links.reserve(common.contexts + 1);
  if (common.messages > 1) {
    buffers.attributes.reserve(common.contexts * attributes_per_link);  // views into it must stay valid
    buffers.partitions.reserve(common.contexts);
  }
  for (const Delivery& delivery : deliveries) {
    if (!is_traced(delivery) || !delivery.creation.span.valid()) continue;
    const std::size_t begin = buffers.attributes.size();
    if (common.messages > 1) {
      const rd_kafka_message_t& message = *delivery.message;
      const OnLink set{buffers.attributes};
      if (!common.topic) set(semconv::messaging_destination_name, topic_name(message));
      if (!common.partition) {
        buffers.partitions.emplace_back();
        describe_partition(client, message.partition, buffers.partitions.back(), set);
      }
      describe_offset(client, message.offset, set);
      if (!common.key) describe_key(client, message, set);
      if (!common.tombstone) describe_tombstone(message, set);
      describe_body(client, message, set);
      describe_queue_time(delivery, set);
    }
    buffers.links.push_back(
        {delivery.creation.span,
         std::span<const Attribute>(buffers.attributes.data() + begin, buffers.attributes.size() - begin)});
  }
  return buffers.links;
}

void release_large(LinkBuffers& buffers) noexcept {
  if (buffers.links.capacity() > max_kept_links) buffers = LinkBuffers();
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
