// Work: the process span of one delivery, or of a batch of them, from process() until everything in it is
// settled and its scope has ended.
//
// It is held by the scope (or the ProcessSpan that left it) and by each unsettled delivery. Whoever lets go
// last ends the span; so the record is never touched by two threads: a settlement only leaves what it has to
// say, and the last holder writes it. The time limit may end it earlier (messaging::DetachedSpan). Any
// thread; nothing throws.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "endpoint.h"

#include "messaging/detached_span.h"

#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// How a delivery ended, mildest first: the worst is the span's. `none`: it was never settled.
enum class Settlement : std::uint8_t { none, ack, reject, nack, recover, channel_closed, connection_closed };

class Work final : public messaging::DetachedSpan {
 public:
  // Held once: by the scope.
  Work(Span taken, std::shared_ptr<Endpoint> endpoint, const Destination& destination) noexcept
      : DetachedSpan(std::move(taken)), endpoint_(std::move(endpoint)), destination_(destination) {}

  void hold() noexcept { holders_.fetch_add(1, std::memory_order_relaxed); }
  // A delivery is settled. `error_type` has static storage; empty: what the settlement implies.
  void settle(Settlement settlement, std::string_view error_type = {}) noexcept;
  // From now on the time limit applies, whenever it is not in use. Once.
  void watch() noexcept;
  // The scope has ended. `ended_by` is said when there was nothing to settle; empty: nothing is.
  void leave(StaticString ended_by) noexcept;

  void end_abandoned() noexcept override;

  // The application said that the work failed, so a settlement has nothing to add.
  void set_failed() noexcept { failed_.store(true, std::memory_order_relaxed); }
  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

  Endpoint& endpoint() const noexcept { return *endpoint_; }

 private:
  void release() noexcept;
  void finish() noexcept;

  const std::shared_ptr<Endpoint> endpoint_;
  const Destination& destination_;
  std::atomic<std::uint32_t> holders_{1};
  std::atomic<Settlement> settlement_{Settlement::none};
  std::atomic<const char*> error_{nullptr};  // of a closed channel or connection; static and terminated
  std::atomic<bool> failed_{false};
  bool watched_ = false;   // the scope's to write
  std::string_view left_;  // written before the scope lets go
};

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
