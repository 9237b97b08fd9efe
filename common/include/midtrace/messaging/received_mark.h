// ReceivedMark: tells a thread which contexts were received, so that headers which are only passed on are
// recognised. A member of the modules' process scopes, not for applications.
//
// It may end on another thread; the mark then stays until newer ones displace it. Nothing throws.
#pragma once

#include <cstdint>
#include <memory>

namespace midtrace {
inline namespace v1 {
namespace messaging {

// The contexts of the messages of a batch.
class ReceivedContexts;

class ReceivedMark {
 public:
  // The fingerprint of a single message's context (0: none), or a batch.
  ReceivedMark(std::uint64_t single, const std::shared_ptr<const ReceivedContexts>& batch) noexcept;
  ~ReceivedMark() { end(); }
  ReceivedMark(const ReceivedMark&) = delete;
  ReceivedMark& operator=(const ReceivedMark&) = delete;
  void end() noexcept;

 private:
  bool marked_ = false;
};

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
