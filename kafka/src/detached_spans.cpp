#include "detached_spans.h"

#include <pthread.h>
#include <time.h>

#include <mutex>

#include "client.h"
#include "receive_spans.h"
#include "spin_lock.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

constinit SpinLock queues_lock;
constinit DetachedSpans* first_queue = nullptr;  // guarded by it

void end_abandoned(DetachedSpan& abandoned) noexcept {
  count(Counter::operations_timed_out);
  report(
      Severity::warning, "kafka.process_timeout",
      "A ProcessSpan was neither used nor ended for as long as Options::process_timeout allows, and midtrace "
      "ended it. Call its end() when the work is done, or raise the limit.");
  abandoned.span.set(semconv::midtrace_process_ended_by, StaticString("timeout"));
  abandoned.span.set_error("timeout", "neither used nor ended within process_timeout");
  finish_process_span(*abandoned.client, abandoned.topic, abandoned.span);
}

}  // namespace

bool DetachedSpan::begin(std::uint32_t added) noexcept {
  std::uint32_t state = state_.load(std::memory_order_relaxed);
  do {
    if ((state & timed_out) != 0) return false;
  } while (!state_.compare_exchange_weak(state, (added == pinned ? state | pinned : state + added) | used,
                                         std::memory_order_acq_rel, std::memory_order_relaxed));
  return true;
}

void DetachedSpan::finish(std::uint32_t uses) noexcept {
  std::uint32_t state = state_.load(std::memory_order_relaxed);
  while (!state_.compare_exchange_weak(state, ((state - uses) & ~pinned) | used, std::memory_order_release,
                                       std::memory_order_relaxed)) {
  }
}

DetachedSpans::~DetachedSpans() {
  if (!known_) return;
  const std::lock_guard guard(queues_lock);
  DetachedSpans** place = &first_queue;
  while (*place != this)
    place = &(*place)->next_queue_;
  *place = next_queue_;
}

std::int64_t DetachedSpans::monotonic_nanos() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

void DetachedSpans::append(DetachedSpan& span, std::int64_t now) noexcept {
  span.deadline_ = now < never - timeout_ ? now + timeout_ : never - 1;
  span.before_ = last_;
  span.after_ = nullptr;
  (last_ == nullptr ? first_ : last_->after_) = &span;
  last_ = &span;
  span.queued_ = true;
  due_.store(first_->deadline_, std::memory_order_relaxed);
}

void DetachedSpans::unlink(DetachedSpan& span) noexcept {
  (span.before_ == nullptr ? first_ : span.before_->after_) = span.after_;
  (span.after_ == nullptr ? last_ : span.after_->before_) = span.before_;
  span.queued_ = false;
  due_.store(first_ == nullptr ? never : first_->deadline_, std::memory_order_relaxed);
}

void DetachedSpans::forget_all() noexcept {
  for (DetachedSpans* queue = first_queue; queue != nullptr; queue = queue->next_queue_) {
    while (queue->first_ != nullptr)
      queue->unlink(*queue->first_);
  }
}

// Once: a child of a fork must not find the lock taken, and the collector is to look now and then.
bool DetachedSpans::begin_looking() noexcept {
  pthread_atfork([] { queues_lock.lock(); }, [] { queues_lock.unlock(); },
                 [] {
                   forget_all();
                   queues_lock.unlock();
                 });
  call_at_collection([]() noexcept { return look_at_all(); });
  return true;
}

void DetachedSpans::add(DetachedSpan& span, std::int64_t now) noexcept {
  static const bool looking = begin_looking();
  static_cast<void>(looking);
  const std::lock_guard guard(queues_lock);
  if (!known_) {
    next_queue_ = std::exchange(first_queue, this);
    known_ = true;
  }
  append(span, now);
}

void DetachedSpans::remove(DetachedSpan& span) noexcept {
  const std::lock_guard guard(queues_lock);
  if (span.queued_) unlink(span);
}

std::shared_ptr<DetachedSpan> DetachedSpans::next_abandoned(std::int64_t now) noexcept {
  while (first_ != nullptr && first_->deadline_ <= now) {
    // Whoever ends it takes it out of the queue before letting go of it, so it is still there.
    std::shared_ptr<DetachedSpan> oldest = first_->shared_from_this();
    unlink(*oldest);
    if (oldest->take_abandoned()) return oldest;
    append(*oldest, now);
  }
  return nullptr;
}

void DetachedSpans::look_at(std::int64_t now) noexcept {
  for (std::size_t ended = 0; ended < most_at_once && due_.load(std::memory_order_relaxed) <= now; ++ended) {
    std::shared_ptr<DetachedSpan> abandoned;
    {
      const std::lock_guard guard(queues_lock);
      abandoned = next_abandoned(now);
    }
    if (abandoned == nullptr) return;
    end_abandoned(*abandoned);
  }
}

bool DetachedSpans::look_at_all(std::int64_t now) noexcept {
  for (std::size_t ended = 0; ended < most_of_all; ++ended) {
    std::shared_ptr<DetachedSpan> abandoned;
    {
      const std::lock_guard guard(queues_lock);
      for (DetachedSpans* queue = first_queue; queue != nullptr && abandoned == nullptr;
           queue = queue->next_queue_) {
        abandoned = queue->next_abandoned(now);
      }
    }
    if (abandoned == nullptr) return false;
    end_abandoned(*abandoned);
  }
  return true;
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
