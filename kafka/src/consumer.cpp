#include <midtrace/kafka/consumer.h>

#include <algorithm>
#include <limits>

#include "client.h"
#include "describe.h"
#include "headers.h"
#include "receive_spans.h"
#include "received.h"

#include "messaging/thread_state.h"

#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

namespace {

// What one call asks for at the most, so that a "give me everything" reserves no absurd memory.
constexpr std::size_t max_batch = 100000;

// Without asking the broker: every fetch tells where the partition ends.
std::int64_t lag_behind(rd_kafka_t* consumer, const rd_kafka_message_t& message) noexcept {
  std::int64_t low = -1;
  std::int64_t high = -1;
  if (message.rkt == nullptr ||
      rd_kafka_get_watermark_offsets(consumer, rd_kafka_topic_name(message.rkt), message.partition, &low,
                                     &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      high < 0 || message.offset < 0)
    return -1;
  return std::max<std::int64_t>(high - message.offset - 1, 0);
}

}  // namespace

int timeout_ms(std::chrono::milliseconds timeout) noexcept {
  if (timeout.count() < 0) return -1;
  return static_cast<int>(
      std::min<std::chrono::milliseconds::rep>(timeout.count(), std::numeric_limits<int>::max()));
}

PollCall::PollCall(rd_kafka_t* consumer, Kind kind) noexcept
    : client_(find_or_add_client(consumer)), consumer_(consumer), kind_(kind) {
  if (client_ == nullptr || client_->options().mode == ModuleMode::off) return;
  if (ThreadState* thread = thread_state(); thread != nullptr) {
    ++thread->wrapper_depth;
    marked_ = true;
  }
  client_->learn_name(consumer);
  tick_ = current_tick();
}

PollCall::~PollCall() {
  if (!marked_) return;
  if (ThreadState* thread = existing_thread_state(); thread != nullptr) --thread->wrapper_depth;
}

Delivery PollCall::receive(const rd_kafka_message_t* message) noexcept {
  Delivery delivery{message};
  if (!marked_ || message == nullptr || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return delivery;
  delivery = take_in(*client_, message);
  if (client_->options().user.capture_queue_time) {
    if (received_ == 0 || kind_ == Kind::loop) received_ = current_tick();
    delivery.received = received_;
  }
  if (messaging::ThreadState* thread = messaging::thread_state(); thread != nullptr)
    thread->remember(delivery.print, message, client_->id(), delivery.received);
  return delivery;
}

void PollCall::finish(std::span<Delivery> deliveries) noexcept {
  if (!marked_) return;
  client_->learn_cluster_id(consumer_);
  if (client_->options().user.capture_lag) {
    const auto last = std::find_if(deliveries.rbegin(), deliveries.rend(), is_message);
    if (last != deliveries.rend()) last->lag = lag_behind(consumer_, *last->message);
  }
  if (client_->polled_elsewhere()) return;
  record_poll(*client_, deliveries, kind_ != Kind::one, tick_, thread_state());
}

}  // namespace detail

Message consume(rd_kafka_t* consumer, std::chrono::milliseconds timeout) noexcept {
  detail::PollCall call(consumer, detail::PollCall::Kind::one);
  detail::OwnedMessage<rd_kafka_message_t> message(
      rd_kafka_consumer_poll(consumer, detail::timeout_ms(timeout)));
  detail::Delivery delivery = call.receive(message.get());
  call.finish({&delivery, 1});
  if (message == nullptr) return {};
  return detail::Access::message(std::move(message), std::move(delivery), call.client());
}

Batch consume_batch(rd_kafka_t* consumer, rd_kafka_queue_t* queue, std::size_t max_messages,
                    std::chrono::milliseconds timeout) noexcept {
  Batch batch;
  max_messages = std::min(max_messages, detail::max_batch);
  std::unique_ptr<rd_kafka_message_t*[]> messages;
  // Everything is allocated before the call, so that no message is lost for want of memory.
  try {
    messages = std::make_unique<rd_kafka_message_t*[]>(max_messages);
  } catch (...) {
    return batch;
  }
  if (!detail::Access::reserve(batch, max_messages)) return batch;

  detail::PollCall call(consumer, detail::PollCall::Kind::batch);
  const ssize_t count =
      rd_kafka_consume_batch_queue(queue, detail::timeout_ms(timeout), messages.get(), max_messages);
  for (ssize_t index = 0; index < count; ++index) {
    detail::OwnedMessage<rd_kafka_message_t> message(messages[static_cast<std::size_t>(index)]);
    detail::Delivery delivery = call.receive(message.get());
    detail::Access::append(batch, std::move(message), std::move(delivery));
  }
  call.finish(detail::Access::deliveries(batch));
  detail::Access::client(batch) = call.client();
  return batch;
}

Batch consume_batch(rd_kafka_t* consumer, std::size_t max_messages,
                    std::chrono::milliseconds timeout) noexcept {
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer);
  if (queue == nullptr) return {};
  Batch batch = consume_batch(consumer, queue, max_messages, timeout);
  rd_kafka_queue_destroy(queue);
  return batch;
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
