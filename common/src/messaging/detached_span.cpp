#include "detached_span.h"

#include <pthread.h>
#include <time.h>

#include <mutex>
#include <utility>

#include <midtrace/trace/instrumentation.h>

#include "../trace/spin_lock.h"

namespace midtrace {
inline namespace v1 {
namespace messaging {

namespace {

constinit SpinLock queues_lock;
constinit DetachedSpans* first_queue = nullptr;  // guarded by it

}  // namespace

DetachedSpan::~DetachedSpan() = default;

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
    abandoned->end_abandoned();
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
    abandoned->end_abandoned();
  }
  return true;
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
