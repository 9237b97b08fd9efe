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

class Topic {
 public:
  explicit Topic(std::string_view name) : name_(name) {}
  ~Topic();
  Topic(const Topic&) = delete;
  Topic& operator=(const Topic&) = delete;

  // Empty for "several topics, or none in particular".
  const std::string& name() const noexcept { return name_; }

 private:
  friend class Topics;
  friend class Client;

  std::string name_;
  mutable std::array<std::atomic<const PreparedSpan*>, operation_count> prepared_{};
  Topic* next_ = nullptr;
};

class Topics {
 public:
  Topics() noexcept = default;
  ~Topics();
  Topics(const Topics&) = delete;
  Topics& operator=(const Topics&) = delete;

  // Beyond max_topics names, or without memory, the topic without a name.
  const Topic& find_or_add(std::string_view name) noexcept;

  static constexpr std::uint32_t max_topics = 4096;

 private:
  static constexpr std::size_t bucket_count = 256;

  Topic nameless_{std::string_view()};
  std::array<std::atomic<Topic*>, bucket_count> buckets_{};
  std::atomic<std::uint32_t> size_{0};
};

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
