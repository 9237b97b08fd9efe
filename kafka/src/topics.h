// The topics of one client, interned: a delivery report may not ask librdkafka for a topic's name, so it is
// kept from the send on, together with the span names and attributes that are the same for all messages of
// the topic.
//
// Topics are only added and live as long as the client's tracing state. Lookups take no lock. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/kafka/options.h>
#include <midtrace/trace/attribute.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

// What all spans of one operation on one topic have in common.
struct PreparedSpan {
  std::string name;
  std::vector<Attribute> attributes;  // views on the topic's and the client's strings
};

// What is not done for a topic.
struct TopicSwitches {
  bool untraced : 1 = false;      // Options::untraced_topics
  bool unpropagated : 1 = false;  // Options::unpropagated_topics
  bool headerless : 1 = false;    // the brokers know no headers

  bool any() const noexcept { return untraced || unpropagated || headerless; }
};

// Which topics have which switches. The patterns must live as long.
class TopicRules {
 public:
  TopicRules() noexcept = default;
  TopicRules(std::span<const std::string> untraced, std::span<const std::string> unpropagated,
             bool headerless) noexcept
      : untraced_(untraced), unpropagated_(unpropagated), headerless_(headerless) {}

  TopicSwitches of(std::string_view name) const noexcept;
  // False when no topic has any.
  bool any() const noexcept { return !untraced_.empty() || !unpropagated_.empty() || headerless_; }

 private:
  std::span<const std::string> untraced_;
  std::span<const std::string> unpropagated_;
  bool headerless_ = false;
};

class Topic {
 public:
  explicit Topic(std::string_view name, TopicSwitches switches = {}) : name_(name), switches_(switches) {}
  ~Topic();
  Topic(const Topic&) = delete;
  Topic& operator=(const Topic&) = delete;

  // Empty for "several topics, or none in particular".
  const std::string& name() const noexcept { return name_; }
  TopicSwitches switches() const noexcept { return switches_; }

 private:
  friend class Topics;
  friend class Client;

  std::string name_;
  TopicSwitches switches_;  // beside the name, which every send reads
  mutable std::array<std::atomic<const PreparedSpan*>, operation_count> prepared_{};
  Topic* next_ = nullptr;
};

class Topics {
 public:
  explicit Topics(const TopicRules& rules = {}) noexcept;
  ~Topics();
  Topics(const Topics&) = delete;
  Topics& operator=(const Topics&) = delete;

  // Beyond max_topics names, or without memory, a topic without a name and with the same switches.
  const Topic& find_or_add(std::string_view name) noexcept;

  static constexpr std::uint32_t max_topics = 4096;

 private:
  static constexpr std::size_t bucket_count = 256;

  const Topic& nameless(TopicSwitches switches) const noexcept;

  TopicRules rules_;
  // For the four ways in which the patterns may apply to a name that has no topic of its own.
  std::array<Topic, 4> nameless_;
  std::array<std::atomic<Topic*>, bucket_count> buckets_{};
  std::atomic<std::uint32_t> size_{0};
};

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
