#include "topics.h"

#include <algorithm>
#include <new>

#include "trace/glob.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

TopicSwitches TopicRules::of(std::string_view name) const noexcept {
  const auto among = [name](std::span<const std::string> patterns) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [name](const std::string& pattern) { return matches_glob(name, pattern); });
  };
  return {among(untraced_), among(unpropagated_), headerless_};
}

Topic::~Topic() {
  for (const auto& prepared : prepared_)
    delete prepared.load(std::memory_order_relaxed);
}

Topics::Topics(const TopicRules& rules) noexcept
    : rules_(rules),
      nameless_{Topic({}, {false, false, rules.of({}).headerless}),
                Topic({}, {true, false, rules.of({}).headerless}),
                Topic({}, {false, true, rules.of({}).headerless}),
                Topic({}, {true, true, rules.of({}).headerless})} {}

const Topic& Topics::nameless(TopicSwitches switches) const noexcept {
  return nameless_[(switches.untraced ? 1U : 0U) + (switches.unpropagated ? 2U : 0U)];
}

Topics::~Topics() {
  for (const auto& bucket : buckets_) {
    Topic* topic = bucket.load(std::memory_order_relaxed);
    while (topic != nullptr) {
      Topic* next = topic->next_;
      delete topic;
      topic = next;
    }
  }
}

const Topic& Topics::find_or_add(std::string_view name) noexcept {
  if (name.empty()) return nameless({});
  std::atomic<Topic*>& bucket = buckets_[attribute_name_hash(name) % bucket_count];
  Topic* first = bucket.load(std::memory_order_acquire);
  const auto find = [name](Topic* from, const Topic* until) -> Topic* {
    for (Topic* topic = from; topic != until; topic = topic->next_) {
      if (topic->name_ == name) return topic;
    }
    return nullptr;
  };
  if (Topic* known = find(first, nullptr); known != nullptr) return *known;
  if (size_.load(std::memory_order_relaxed) >= max_topics) return nameless(rules_.of(name));

  Topic* added = nullptr;
  try {
    added = new Topic(name, rules_.of(name));
  } catch (...) {
    return nameless(rules_.of(name));
  }
  const Topic* seen = first;
  added->next_ = first;
  while (!bucket.compare_exchange_weak(added->next_, added, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
    if (Topic* known = find(added->next_, seen); known != nullptr) {
      delete added;
      return *known;
    }
    seen = added->next_;
  }
  size_.fetch_add(1, std::memory_order_relaxed);
  return *added;
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
