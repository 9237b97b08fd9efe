// Patience: until when the exporter may wait, which another thread may shorten at any moment.
//
// export_batch waits on the collector thread; give_up_at() comes from the thread that shuts tracing down, and
// ends a pause at once. forget() may be called when nobody waits; renew_in_child() in a forked child, where
// another thread of the parent may have held the lock.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>

namespace midtrace {
inline namespace v1 {
namespace otlp {

class Patience {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void give_up_at(Time limit) noexcept {
    const std::lock_guard guard(mutex_);
    limit_ = std::min(limit_, limit);
    changed_.notify_all();
  }
  void forget() noexcept {
    const std::lock_guard guard(mutex_);
    limit_ = Time::max();
  }
  // The earlier of `deadline` and what another thread said.
  Time until(Time deadline) noexcept {
    const std::lock_guard guard(mutex_);
    return std::min(deadline, limit_);
  }
  // Waits for so long; false, at once, when that is or becomes longer than there is time.
  bool pause(std::chrono::steady_clock::duration length, Time deadline) noexcept {
    const Time now = std::chrono::steady_clock::now();
    if (length >= deadline - now) return false;
    const Time end = now + length;
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, end, [&] { return limit_ <= end; });
    return limit_ > end;
  }
  void renew_in_child() noexcept {
    new (&mutex_) std::mutex;
    new (&changed_) std::condition_variable;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Time limit_ = Time::max();
};

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
