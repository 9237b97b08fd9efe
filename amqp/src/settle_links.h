// SettleLinks: the links of one settlement, in buffers that are used again.
//
// What makes the messages differ goes on the links: the delivery tag, and the destination where it is not the
// span's. add() and make() may throw for lack of memory. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "channel.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/attribute.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

class SettleLinks {
 public:
  void clear() noexcept {
    if (settled_.capacity() > max_kept) settled_ = std::vector<Settled>();
    settled_.clear();
  }
  std::size_t size() const noexcept { return settled_.size(); }
  void add(const Unacked& entry, std::uint64_t tag) {
    settled_.push_back({entry.creation, entry.destination,
                        static_cast<std::int64_t>(tag & std::numeric_limits<std::int64_t>::max())});
  }

  // Valid until the next make().
  std::span<const Link> make(bool destinations_differ, bool several) {
    links_.clear();
    attributes_.clear();
    links_.reserve(settled_.size());
    if (several) attributes_.reserve(settled_.size() * 2);  // links refer to them
    for (const Settled& settled : settled_) {
      const std::size_t begin = attributes_.size();
      if (several) {
        attributes_.push_back({semconv::messaging_rabbitmq_message_delivery_tag, settled.tag});
        if (destinations_differ && !settled.destination->name().empty())
          attributes_.push_back({semconv::messaging_destination_name, settled.destination->name()});
      }
      links_.push_back({settled.creation, std::span<const Attribute>(attributes_).subspan(begin)});
    }
    return links_;
  }

 private:
  static constexpr std::size_t max_kept = 2048;
  struct Settled {
    SpanContext creation;
    const Destination* destination;
    std::int64_t tag;
  };
  std::vector<Settled> settled_;
  std::vector<Link> links_;
  std::vector<Attribute> attributes_;
};

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
