// The choke point of everything received: `poll` and `process` spans start and end here, and nowhere else.
//
// Nothing throws; any thread. Source: conventions 2.4.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <span>

#include "client.h"
#include "thread_state.h"
#include "topics.h"

#include <midtrace/context/context.h>
#include <midtrace/kafka/message.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

// A `poll` span around a call that returned these messages, of which errors and events are left out.
// `start_tick` 0 makes it of zero length. Uses the messages' topic handles.
void record_poll(const Client& client, std::span<const Delivery> deliveries, bool batch,
                 std::uint64_t start_tick, ThreadState* thread) noexcept;

struct StartedProcess {
  Span span;
  Context around;  // what is current around the span; the whole context when there is no span
  const Topic* topic = nullptr;
  bool current = false;  // whether anything is to be made current
};

// A `process` span. Uses the messages' topic handles.
StartedProcess start_process_span(const Client& client, std::span<const Delivery> deliveries, bool batch,
                                  ThreadState* thread) noexcept;
void finish_process_span(const Client& client, const Topic& topic, Span& span) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
