// What is said of one message beside its topic: written on a span, or on the link that stands for the
// message.
//
// Reads public fields only, except topic_name(), which uses the message's topic handle, and
// describe_queue_time(), which asks a consumed message for its timestamp. Nothing throws but
// OnLink, for lack of memory. Any thread. Source: conventions 2.5, and the old names of `messaging/dup`.
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "client.h"

#include "messaging/text.h"

#include <midtrace/kafka/message.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/span.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

inline constexpr std::size_t max_key_bytes = 1024;

inline std::string_view key_text(const rd_kafka_message_t& message) noexcept {
  return {static_cast<const char*>(message.key), message.key_len};
}

inline bool captures_key(const Client& client, const rd_kafka_message_t& message) noexcept {
  return client.options().user.capture_message_key && message.key != nullptr &&
         message.key_len <= max_key_bytes && messaging::is_plain_text(key_text(message));
}

inline std::string_view partition_text(std::int32_t partition, std::array<char, 12>& buffer) noexcept {
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), partition);
  return {buffer.data(), static_cast<std::size_t>(result.ptr - buffer.data())};
}

// Calls `set(key, value)` for everything that describes one message beside its topic.
template <class Set>
void describe_partition(const Client& client, std::int32_t partition, std::array<char, 12>& buffer,
                        const Set& set) {
  if (partition < 0) return;
  set(semconv::messaging_destination_partition_id, partition_text(partition, buffer));
  if (client.options().old_names) {
    set(semconv::deprecated_messaging_kafka_destination_partition, partition);
  }
}

template <class Set>
void describe_offset(const Client& client, std::int64_t offset, const Set& set) {
  if (offset < 0) return;
  set(semconv::messaging_kafka_offset, offset);
  if (client.options().old_names) {
    set(semconv::deprecated_messaging_kafka_message_offset, offset);
  }
}

template <class Set>
void describe_key(const Client& client, const rd_kafka_message_t& message, const Set& set) {
  if (captures_key(client, message)) set(semconv::messaging_kafka_message_key, key_text(message));
}

template <class Set>
void describe_body(const Client& client, const rd_kafka_message_t& message, const Set& set) {
  if (client.options().user.capture_body_size) set(semconv::messaging_message_body_size, message.len);
}

template <class Set>
void describe_tombstone(const rd_kafka_message_t& message, const Set& set) {
  if (message.payload == nullptr) set(semconv::messaging_kafka_message_tombstone, true);
}

// From the message's own time, whichever its topic keeps, to the receipt. Never negative: that the clocks
// disagree is said beside it.
template <class Set>
void describe_queue_time(const Delivery& delivery, const Set& set) {
  if (delivery.received == 0) return;
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t milliseconds = rd_kafka_message_timestamp(delivery.message, &type);
  constexpr std::int64_t latest = std::numeric_limits<std::int64_t>::max() / 1000000;
  if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || milliseconds < 0 || milliseconds > latest) return;
  const std::int64_t nanos = tick_to_unix_nanos(delivery.received) - milliseconds * 1000000;
  set(semconv::midtrace_messaging_queue_time, nanos > 0 ? static_cast<double>(nanos) / 1e9 : 0.0);
  if (nanos < 0) set(semconv::midtrace_messaging_clock_skewed, true);
}

template <class Set>
void describe_lag(const Delivery& delivery, const Set& set) {
  if (delivery.lag >= 0) set(semconv::midtrace_messaging_lag, delivery.lag);
}

struct OnSpan {
  Span& span;
  template <class Type, class Value>
  void operator()(const AttributeKey<Type>& key, Value value) const {
    span.set(key, static_cast<Type>(value));
  }
};

struct OnLink {
  std::vector<Attribute>& attributes;
  template <class Type, class Value>
  void operator()(const AttributeKey<Type>& key, Value value) const {
    attributes.push_back({key, static_cast<Type>(value)});
  }
};

inline void set_cluster(const Client& client, Span& span) noexcept {
  if (const std::string_view cluster = client.cluster_id(); !cluster.empty()) {
    span.set(semconv::messaging_kafka_cluster_id, cluster);
  }
}

inline bool is_message(const Delivery& delivery) noexcept {
  return delivery.message != nullptr && delivery.message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

// One that spans are about.
inline bool is_traced(const Delivery& delivery) noexcept { return delivery.traced && is_message(delivery); }

inline std::string_view topic_name(const rd_kafka_message_t& message) noexcept {
  return message.rkt != nullptr ? std::string_view(rd_kafka_topic_name(message.rkt)) : std::string_view();
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
