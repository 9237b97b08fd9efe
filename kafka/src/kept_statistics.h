// The newest statistics of one client: as text until somebody asks, then as values.
//
// Any thread; texts are copied, read and freed outside the lock. take() may throw for lack of memory.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "trace/spin_lock.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {

struct Statistics;

namespace detail {

class KeptStatistics {
 public:
  struct Text {
    std::string json;
    std::uint64_t number = 0;  // 0: none
  };

  void take(std::string_view json) {
    std::string copy(json);
    const std::lock_guard guard(lock_);
    text_.json.swap(copy);
    text_.number = ++taken_;
  }
  // What nobody has read yet.
  Text take_text() noexcept {
    const std::lock_guard guard(lock_);
    return std::exchange(text_, Text());
  }
  void keep(std::shared_ptr<const Statistics> read, std::uint64_t number) noexcept {
    const std::lock_guard guard(lock_);
    if (number <= number_) return;
    number_ = number;
    values_.swap(read);
  }
  std::shared_ptr<const Statistics> values() const noexcept {
    const std::lock_guard guard(lock_);
    return values_;
  }

 private:
  mutable SpinLock lock_;
  Text text_;
  std::shared_ptr<const Statistics> values_;
  std::uint64_t taken_ = 0;
  std::uint64_t number_ = 0;  // of the values
};

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
