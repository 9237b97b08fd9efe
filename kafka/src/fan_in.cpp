#include "fan_in.h"

#include <algorithm>
#include <array>
#include <bit>

#include "describe.h"

#include "messaging/received.h"

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

namespace {

bool carries_context(const Delivery& delivery) noexcept {
  return is_traced(delivery) && delivery.creation.span.valid();
}

// The contexts that differ, those that are sampled first. The hash's highest bits are the slot.
void find_distinct(std::span<const Delivery> deliveries, std::size_t contexts, LinkBuffers& buffers) {
  const std::size_t capacity = std::bit_ceil(contexts * 2);
  const int shift = 64 - std::countr_zero(capacity);
  const std::uint64_t seed =
      messaging::seeded_hash(current_tick(), reinterpret_cast<std::uintptr_t>(buffers.slots.data()));
  std::vector<LinkBuffers::Distinct>& distinct = buffers.distinct;
  buffers.slots.assign(capacity, 0);
  distinct.clear();
  distinct.reserve(contexts);
  const auto context_of = [deliveries](const LinkBuffers::Distinct& of) -> const SpanContext& {
    return deliveries[of.delivery].creation.span;
  };
  for (std::size_t index = 0; index < deliveries.size(); ++index) {
    if (!carries_context(deliveries[index])) continue;
    const SpanContext& context = deliveries[index].creation.span;
    const std::uint64_t hash = messaging::seeded_hash(
        context.span_id.value ^
            messaging::seeded_hash(context.trace_id.low ^ messaging::seeded_hash(context.trace_id.high, seed),
                                   seed),
        seed);
    std::size_t slot = hash >> shift;
    for (; buffers.slots[slot] != 0; slot = (slot + 1) & (capacity - 1)) {
      const SpanContext& known = context_of(distinct[buffers.slots[slot] - 1]);
      if (known.span_id == context.span_id && known.trace_id == context.trace_id) break;
    }
    if (buffers.slots[slot] != 0) {
      distinct[buffers.slots[slot] - 1].shared = true;
    } else {
      distinct.push_back({static_cast<std::uint32_t>(index), false});
      buffers.slots[slot] = static_cast<std::uint32_t>(distinct.size());
    }
  }
  std::stable_partition(distinct.begin(), distinct.end(), [&context_of](const LinkBuffers::Distinct& one) {
    return context_of(one).sampled();
  });
}

// Makes links in buffers that have room for them, because the links refer to what is in the buffers.
class LinkMaker {
 public:
  LinkMaker(const Client& client, const InCommon& common, LinkBuffers& buffers, std::size_t links)
      : client_(client), common_(common), buffers_(buffers) {
    constexpr std::size_t attributes_per_link = 10;
    buffers.links.clear();
    buffers.attributes.clear();
    buffers.partitions.clear();
    buffers.links.reserve(links + 1);
    if (common.messages < 2) return;
    buffers.attributes.reserve(links * attributes_per_link);
    buffers.partitions.reserve(links);
  }

  void add(const Delivery& delivery, bool shared) {
    const std::size_t begin = buffers_.attributes.size();
    if (shared) {
      OnLink{buffers_.attributes}(semconv::midtrace_links_shared, true);
    } else if (common_.messages > 1) {
      describe(delivery);
    }
    buffers_.links.push_back(
        {delivery.creation.span,
         std::span<const Attribute>(buffers_.attributes.data() + begin, buffers_.attributes.size() - begin)});
  }

 private:
  void describe(const Delivery& delivery) {
    const rd_kafka_message_t& message = *delivery.message;
    const OnLink set{buffers_.attributes};
    if (!common_.topic) set(semconv::messaging_destination_name, topic_name(message));
    if (!common_.partition) {
      buffers_.partitions.emplace_back();
      describe_partition(client_, message.partition, buffers_.partitions.back(), set);
    }
    describe_offset(client_, message.offset, set);
    if (!common_.key) describe_key(client_, message, set);
    if (!common_.tombstone) describe_tombstone(message, set);
    describe_body(client_, message, set);
    describe_queue_time(delivery, set);
  }

  const Client& client_;
  const InCommon& common_;
  LinkBuffers& buffers_;
};

}  // namespace

std::size_t links_that_fit(std::span<const Link> links, std::size_t most) noexcept {
  constexpr std::size_t room = 192U * 1024;  // the rest is for the span's attributes and what slabs waste
  constexpr std::size_t link_bytes = 88;
  constexpr std::size_t attribute_bytes = 24;
  most = std::min(most, links.size());
  std::size_t bytes = 0;
  for (std::size_t index = 0; index < most; ++index) {
    bytes += link_bytes;
    for (const Attribute& attribute : links[index].attributes)
      bytes += attribute_bytes + attribute.value.size();
    if (bytes > room && index > 0) return index;
  }
  return most;
}

FanIn make_links(const Client& client, std::span<const Delivery> deliveries, const InCommon& common,
                 LinkBuffers& buffers, LinkOverflow overflow, std::size_t limit) {
  if (common.contexts <= limit) {
    LinkMaker maker(client, common, buffers, common.contexts);
    for (const Delivery& delivery : deliveries) {
      if (carries_context(delivery)) maker.add(delivery, false);
    }
    const std::span<const Link> links = buffers.links;
    const std::size_t own =
        overflow == LinkOverflow::chain ? links_that_fit(links, links.size()) : links.size();
    return {links.first(own), links.subspan(own), 0};
  }
  find_distinct(deliveries, common.contexts, buffers);
  const std::size_t distinct = buffers.distinct.size();
  const std::size_t chained = overflow == LinkOverflow::chain ? limit * max_chained_spans : 0;
  // One at least, for the sampler; where none is kept the span itself drops and counts it.
  const std::size_t given = std::max<std::size_t>(limit, 1);
  const std::size_t made = std::min(distinct, given + chained);
  LinkMaker maker(client, common, buffers, made);
  for (std::size_t index = 0; index < made; ++index) {
    const LinkBuffers::Distinct& one = buffers.distinct[index];
    maker.add(deliveries[one.delivery], one.shared);
  }
  const std::span<const Link> links = buffers.links;
  const std::size_t own = chained != 0 ? links_that_fit(links, given) : std::min(made, given);
  return {links.first(own), links.subspan(own), static_cast<std::uint32_t>(distinct - made)};
}

void release_large(LinkBuffers& buffers) noexcept {
  if (std::max(buffers.links.capacity(), buffers.distinct.capacity()) > max_kept_links)
    buffers = LinkBuffers();
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
