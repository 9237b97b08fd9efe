// ClientSet: the clients that are traced already, by address.
//
// Claims happen when a client is created, so a short linear list behind a spin lock does. Any thread.
#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

#include "spin_lock.h"

namespace midtrace {
inline namespace v1 {

class ClientSet {
 public:
  // True for the first to claim; also when there is no memory to remember it.
  bool claim(const void* client) noexcept {
    std::lock_guard guard(lock_);
    if (std::find(clients_.begin(), clients_.end(), client) != clients_.end()) return false;
    try {
      clients_.push_back(client);
    } catch (...) {
      return true;
    }
    return true;
  }
  void release(const void* client) noexcept {
    std::lock_guard guard(lock_);
    clients_.erase(std::remove(clients_.begin(), clients_.end(), client), clients_.end());
  }

  // Around a fork.
  void lock() noexcept { lock_.lock(); }
  void unlock() noexcept { lock_.unlock(); }

 private:
  SpinLock lock_;
  std::vector<const void*> clients_;
};

inline ClientSet& own_clients() noexcept {
  static ClientSet& clients = *new ClientSet;  // never destroyed: clients may outlive statics
  return clients;
}

}  // namespace v1
}  // namespace midtrace
