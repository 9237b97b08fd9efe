// Channel: what tracing knows of one AMQP channel: its mode, publishes without a confirm, deliveries without
// a settlement, consumers, and the message whose content is being read.
//
// The unacked deliveries are guarded by the Session's lock, because process() may come from any thread; the
// rest belongs to the connection's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "endpoint.h"
#include "outstanding.h"
#include "tag_ring.h"
#include "work.h"

#include <midtrace/amqp/library.h>
#include <midtrace/context/context.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// What few publishes have, so that the others stay small.
struct RarePublish {
  SpanContext linked;  // the context that the headers held already; invalid: none
  Span started;        // a whole span, for what a record is needed: hooks, captured headers
  bool has_span = false;
  std::string message_id;
  std::string conversation_id;
};

// A sampled publish that waits for its confirm.
struct OpenPublish {
  PendingSpan pending;
  const Destination* destination = nullptr;
  std::unique_ptr<RarePublish> rare;
  std::uint64_t carried = 0;    // the span id that went out, by which a returned message is known
  std::int64_t body_size = -1;  // where it is captured
  std::uint16_t returned = 0;   // the reply code of its basic.return
  bool mandatory = false;
  SpanKind kind = SpanKind::producer;
};

// The ids of a message whose settlement will have a span, as far as can be told when it comes.
struct DeliveryIds {
  std::string message;
  std::string conversation;
};

// A delivery that is not settled yet.
struct Unacked {
  const Destination* destination = nullptr;
  SpanContext creation;
  Baggage baggage;
  std::uint64_t print = 0;
  std::uint64_t received = 0;                    // in ticks; 0: not asked
  std::shared_ptr<Work> work;                    // once process() was called
  std::unique_ptr<DeliveryIds> ids;              // null: none, or not kept
  Settlement in_transaction = Settlement::none;  // settled, unless the transaction is rolled back
  bool redelivered = false;
};

struct Consumer {
  std::string tag;
  std::string queue;
  bool no_ack = false;
  bool cancelled = false;  // but its last deliveries may still come
};

// The message of which the content comes next.
struct Announced {
  enum class By : std::uint8_t { nothing, deliver, get, returned };
  By by = By::nothing;
  const Destination* destination = nullptr;
  std::uint64_t delivery_tag = 0;
  std::uint64_t start_tick = 0;
  std::uint64_t publish = 0;     // returned: the sequence number that it is taken for; 0: none
  std::uint16_t reply_code = 0;  // returned
  bool redelivered = false;
  bool no_ack = false;
};

struct Channel {
  // Deliveries beyond are not remembered: settling them has neither destination nor links.
  static constexpr std::size_t max_unacked = 65536;
  // Publishes beyond end when the call returns.
  static constexpr std::size_t max_open_publishes = 131072;
  static constexpr std::size_t max_consumers = 1024;
  static constexpr std::size_t max_cancelled = 16;  // of them

  bool confirming = false;
  bool transaction = false;
  Outstanding outstanding;
  // What was outstanding when the channel was closed before, while confirms of that may still be read.
  Outstanding predecessor;
  TagRing<OpenPublish> publishes{max_open_publishes};
  TagRing<Unacked> unacked{max_unacked};
  std::uint64_t last_returned = 0;  // sequence number of the publish that came back last
  // How many open publishes may be looked at to find the returned ones. Every publish adds to it, so that the
  // search stays linear when the broker returns what is not found: unsampled, or with a context of its own.
  std::uint64_t search_credit = 0;
  std::vector<Consumer> consumers;
  std::string declared;  // the queue that an empty name means: the last one declared
  Announced announced;
  // The last delivery that is not to be settled, which nothing else remembers.
  std::uint64_t last_no_ack_tag = 0;
  const Destination* last_no_ack = nullptr;

  const Consumer* consumer(std::string_view tag) const noexcept {
    for (const Consumer& known : consumers) {
      if (known.tag == tag) return &known;
    }
    return nullptr;
  }
};

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
