// A lock for sections of a few dozen instructions. It never makes a blocking system call: a waiting thread
// yields.
#pragma once

#include <sched.h>

#include <atomic>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

class SpinLock {
 public:
  void lock() noexcept {
    for (unsigned attempt = 0; locked_.exchange(true, std::memory_order_acquire); ++attempt) {
      while (locked_.load(std::memory_order_relaxed)) {
        if (++attempt > spins_before_yield) sched_yield();
      }
    }
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

 private:
  static constexpr unsigned spins_before_yield = 64;
  std::atomic<bool> locked_{false};
};

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
