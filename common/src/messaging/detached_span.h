// DetachedSpan: the span of a ProcessSpan that left its scope, where its holder and the time limit can both
// reach it. DetachedSpans: those of one client, in the order in which they are to be looked at again.
//
// A record belongs to one thread at a time, so one atomic word says who may touch it: the holder while it
// uses the span (an activation, or a reference that span() gave out), whoever ends it afterwards. The holder
// ends it by end_by_holder(), the time limit by take_abandoned(), and only one of them succeeds. A use since
// the last look postpones the limit: a span is abandoned when nothing was done with it for at least the
// client's timeout, and at most twice that plus the time until somebody looks.
//
// Nobody waits for the deadline. It is looked at when the client starts another process span, and by the
// collector thread; both see one relaxed load when there is nothing to do. Nothing throws; any thread. One
// lock guards the queues of all clients, for a few dozen instructions, also over a fork.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

class DetachedSpan : public std::enable_shared_from_this<DetachedSpan> {
 public:
  explicit DetachedSpan(Span taken) noexcept : span(std::move(taken)), context(span.context()) {}
  virtual ~DetachedSpan();
  DetachedSpan(const DetachedSpan&) = delete;
  DetachedSpan& operator=(const DetachedSpan&) = delete;

  // The span may be used until stop_using(); false when it timed out.
  bool use() noexcept { return begin(one_use); }
  void stop_using() noexcept { finish(one_use); }
  // The same for a reference of which nobody says when it is given back: until unpin(), or the next
  // stop_using().
  bool pin() noexcept { return begin(pinned); }
  void unpin() noexcept {
    if ((state_.load(std::memory_order_relaxed) & pinned) != 0) finish(0);
  }

  // True once: the span is the caller's, to be ended.
  bool end_by_holder() noexcept {
    return (state_.fetch_or(ended, std::memory_order_acq_rel) & (ended | timed_out)) == 0;
  }
  // The same when nobody uses it and nobody did since the last look.
  bool take_abandoned() noexcept {
    std::uint32_t untouched = 0;
    if (state_.compare_exchange_strong(untouched, timed_out, std::memory_order_acq_rel)) return true;
    state_.fetch_and(~used, std::memory_order_relaxed);
    return false;
  }

  // The time limit has taken it: counts and reports that, and ends the span.
  virtual void end_abandoned() noexcept = 0;

  Span span;                  // of whoever the state says
  const SpanContext context;  // its own, for whoever comes after its end

 private:
  friend class DetachedSpans;
  static constexpr std::uint32_t ended = 1;
  static constexpr std::uint32_t timed_out = 2;
  static constexpr std::uint32_t used = 4;
  static constexpr std::uint32_t pinned = 8;
  static constexpr std::uint32_t one_use = 16;

  bool begin(std::uint32_t added) noexcept;
  void finish(std::uint32_t uses) noexcept;

  std::atomic<std::uint32_t> state_{0};
  // Guarded by the lock of the queues.
  std::int64_t deadline_ = 0;
  DetachedSpan* before_ = nullptr;
  DetachedSpan* after_ = nullptr;
  bool queued_ = false;
};

class DetachedSpans {
 public:
  explicit DetachedSpans(std::int64_t timeout_nanos) noexcept : timeout_(timeout_nanos) {}
  ~DetachedSpans();
  DetachedSpans(const DetachedSpans&) = delete;
  DetachedSpans& operator=(const DetachedSpans&) = delete;

  // Without a limit nothing is ever added.
  bool limited() const noexcept { return timeout_ > 0; }
  void add(DetachedSpan& span, std::int64_t now = monotonic_nanos()) noexcept;
  void remove(DetachedSpan& span) noexcept;

  // Ends a few that were abandoned, when it is time to look.
  void look() noexcept {
    if (due_.load(std::memory_order_relaxed) != never) look_at(monotonic_nanos());
  }
  void look_at(std::int64_t now) noexcept;
  // Ends those that were abandoned, of all clients; a few hundred, and then true when there may be more.
  static bool look_at_all(std::int64_t now = monotonic_nanos()) noexcept;

  // Cheap and coarse: some milliseconds behind.
  static std::int64_t monotonic_nanos() noexcept;

 private:
  static constexpr std::int64_t never = INT64_MAX;
  static constexpr std::size_t most_at_once = 8;  // on an application's thread
  static constexpr std::size_t most_of_all = 256;

  static bool begin_looking() noexcept;
  // In the child of a fork: the spans are the parent's to end.
  static void forget_all() noexcept;

  // The next that was abandoned, or null. Under the lock.
  std::shared_ptr<DetachedSpan> next_abandoned(std::int64_t now) noexcept;
  void append(DetachedSpan& span, std::int64_t now) noexcept;
  void unlink(DetachedSpan& span) noexcept;

  const std::int64_t timeout_;
  std::atomic<std::int64_t> due_{never};  // when to look again
  DetachedSpan* first_ = nullptr;
  DetachedSpan* last_ = nullptr;
  DetachedSpans* next_queue_ = nullptr;
  bool known_ = false;  // among the queues of all clients
};

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
