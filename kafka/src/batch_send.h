// BatchSend: the one `send` span of a produce_batch() call whose messages have `create` spans
// (Options::batch_create_spans).
//
// It is shared by the call and by the open sends of the batch's sampled messages, and ends its span when the
// last of them is done: whatever the size of the batch it is one span and a count. Any thread.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>

#include "client.h"
#include "topics.h"
#include "trace/spin_lock.h"

#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

class BatchSend {
 public:
  explicit BatchSend(const Topic& topic) noexcept : topic_(topic) {}

  const Topic& topic() const noexcept { return topic_; }

  // One more has to be done. Only while the call, or another message, is not done yet.
  void add() noexcept;
  // The first error is the span's.
  void note(rd_kafka_resp_err_t error) noexcept;
  void done(const Client& client, rd_kafka_resp_err_t error) noexcept;
  // Gives it its span. By the thread of the call, before that is done.
  void set_span(Span span) noexcept { span_ = std::move(span); }

 private:
  const Topic& topic_;  // owned by the client
  SpinLock lock_;
  std::size_t open_ = 1;  // the call itself
  rd_kafka_resp_err_t error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  Span span_;
};

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
