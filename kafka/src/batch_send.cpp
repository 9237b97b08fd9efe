#include "batch_send.h"

#include <mutex>

#include "send_spans.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

void BatchSend::add() noexcept {
  const std::lock_guard guard(lock_);
  ++open_;
}

void BatchSend::note(rd_kafka_resp_err_t error) noexcept {
  const std::lock_guard guard(lock_);
  if (error_ == RD_KAFKA_RESP_ERR_NO_ERROR) error_ = error;
}

void BatchSend::done(const Client& client, rd_kafka_resp_err_t error) noexcept {
  {
    const std::lock_guard guard(lock_);
    if (error_ == RD_KAFKA_RESP_ERR_NO_ERROR) error_ = error;
    if (--open_ > 0) return;
  }
  finish_batch_send(client, topic_, span_, error_);
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
