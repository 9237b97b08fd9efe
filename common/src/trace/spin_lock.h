// SpinLock: for sections of a few instructions that an application thread must not sleep in.
//
// It never enters the kernel except to yield. Usable with std::lock_guard.
#pragma once

#include <atomic>
#include <thread>

namespace midtrace {
inline namespace v1 {

class SpinLock {
 public:
  void lock() noexcept {
    for (unsigned spins = 0; flag_.exchange(true, std::memory_order_acquire);) {
      while (flag_.load(std::memory_order_relaxed)) {
        if (++spins % 64 == 0) std::this_thread::yield();
      }
    }
  }
  bool try_lock() noexcept { return !flag_.exchange(true, std::memory_order_acquire); }
  void unlock() noexcept { flag_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> flag_{false};
};

}  // namespace v1
}  // namespace midtrace
