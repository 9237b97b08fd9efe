// Connection::wait_for_confirms(), which rabbitmq-c 0.11 lacks.
//
// amqp_consume_message() is the only call that looks at the next frame without taking it, when it is not a
// delivery. So where the connection has consumers it reads: a delivery is put aside whole for
// consume_message(), anything else is then taken as a frame. A broker that delivers faster than we read keeps
// neither the call nor its memory going: there is a limit to the deliveries that are read after the timeout,
// and to those that are put aside.
#include <time.h>

#include <algorithm>
#include <cstdint>

#include "frames.h"
#include "publish.h"
#include "session.h"
#include "table.h"

#include <midtrace/amqp/connection.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {

namespace {

constexpr std::int64_t nanos_per_second = 1000000000;
// More than any prefetch limit lets a consumer have.
constexpr std::size_t max_kept_envelopes = 65536;
// What a call reads that does not want to wait, or no longer, to come to the confirms behind it.
constexpr int max_late_deliveries = 1024;

std::int64_t now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * nanos_per_second + time.tv_nsec;
}

// What is left of a timeout.
class Deadline {
 public:
  explicit Deadline(const struct timeval* timeout) noexcept : unlimited_(timeout == nullptr) {
    constexpr std::int64_t longest = 1000000000;  // seconds
    if (!unlimited_)
      end_ = now() + std::clamp<std::int64_t>(timeout->tv_sec, 0, longest) * nanos_per_second +
             std::clamp<std::int64_t>(timeout->tv_usec, 0, longest) * 1000;
  }
  const struct timeval* left() noexcept {
    if (unlimited_) return nullptr;
    const std::int64_t nanos = std::max<std::int64_t>(end_ - now(), 0);
    left_ = {static_cast<time_t>(nanos / nanos_per_second),
             static_cast<suseconds_t>(nanos % nanos_per_second / 1000)};
    return &left_;
  }

  // Asked after each delivery: whether that was the last that may be read.
  bool over() noexcept { return !unlimited_ && now() >= end_ && ++late_deliveries_ >= max_late_deliveries; }

 private:
  bool unlimited_;
  std::int64_t end_ = 0;
  int late_deliveries_ = 0;
  struct timeval left_ {};
};

}  // namespace

namespace detail {

namespace {

// Reads on until a frame other than a delivery comes.
int next_frame(Session& session, Deadline& deadline, amqp_frame_t& frame) {
  session.before_read();
  if (!session.has_consumers()) {
    return amqp_simple_wait_frame_noblock(session.state(), &frame, deadline.left());
  }
  for (;; session.before_read()) {
    if (session.kept_envelopes.size() >= max_kept_envelopes) return AMQP_STATUS_UNEXPECTED_STATE;
    // Its place first, so that no delivery is lost without memory.
    try {
      session.kept_envelopes.emplace_back();
    } catch (...) {
      return AMQP_STATUS_NO_MEMORY;
    }
    amqp_envelope_t envelope;
    const amqp_rpc_reply_t reply = amqp_consume_message(session.state(), &envelope, deadline.left(), 0);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
      session.kept_envelopes.back() = envelope;
      if (deadline.over()) return AMQP_STATUS_TIMEOUT;
      continue;
    }
    session.kept_envelopes.pop_back();
    if (reply.reply_type != AMQP_RESPONSE_LIBRARY_EXCEPTION) {
      // A channel.close or connection.close between a delivery and its content, which was taken.
      frame = amqp_frame_t{};
      frame.frame_type = AMQP_FRAME_METHOD;
      frame.channel = reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD ? amqp_channel_t{0} : envelope.channel;
      frame.payload.method = reply.reply;
      return AMQP_STATUS_OK;
    }
    if (reply.library_error != AMQP_STATUS_UNEXPECTED_STATE) return reply.library_error;
    const struct timeval at_once {};
    return amqp_simple_wait_frame_noblock(session.state(), &frame, &at_once);
  }
}

// True when the frame was of this call's kind.
bool take_confirm(Session& session, amqp_channel_t waited_for, const amqp_frame_t& frame, Confirms& result,
                  const ReturnedMessage& returned_message, int& status) {
  if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.decoded == nullptr) return false;
  Channel* const channel = session.channel(frame.channel);
  if (channel == nullptr) return false;
  const amqp_method_t& method = frame.payload.method;
  if (method.id == AMQP_BASIC_ACK_METHOD || method.id == AMQP_BASIC_NACK_METHOD) {
    const bool refused = method.id == AMQP_BASIC_NACK_METHOD;
    const std::uint64_t before = channel->outstanding.count();
    saw_frame(session, frame, 0);
    if (frame.channel == waited_for && channel->confirming)
      (refused ? result.nacked : result.acked) += before - channel->outstanding.count();
    return true;
  }
  if (method.id != AMQP_BASIC_RETURN_METHOD) return false;
  saw_frame(session, frame, 0);
  amqp_message_t message;
  const amqp_rpc_reply_t reply = amqp_read_message(session.state(), frame.channel, &message, 0);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
    session.learn(frame.channel, reply);
    status = reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? reply.library_error
                                                                 : int{AMQP_STATUS_CONNECTION_CLOSED};
    return true;
  }
  returned_content(*channel, &message.properties);
  if (frame.channel == waited_for) ++result.returned;
  if (returned_message) {
    try {
      returned_message(*static_cast<const amqp_basic_return_t*>(method.decoded), message);
    } catch (...) {
      count(Counter::hook_failures);
      report(Severity::warning, "amqp.hook",
             "The function for returned messages threw an exception, which was swallowed.");
    }
  }
  amqp_destroy_message(&message);
  return true;
}

}  // namespace

}  // namespace detail

Confirms Connection::wait_for_confirms(amqp_channel_t channel, const struct timeval* timeout,
                                       const ReturnedMessage& returned) noexcept {
  Confirms result;
  detail::Channel* const waited = session_ != nullptr ? session_->existing_channel(channel) : nullptr;
  if (waited == nullptr || !waited->confirming || session_->has_kept_frame) {
    result.status = AMQP_STATUS_UNEXPECTED_STATE;
    return result;
  }
  Deadline deadline(timeout);
  while (waited->outstanding.count() > 0) {
    amqp_frame_t frame;
    result.status = detail::next_frame(*session_, deadline, frame);
    if (result.status != AMQP_STATUS_OK) {
      session_->learn(result.status);
      return result;
    }
    if (!detail::take_confirm(*session_, channel, frame, result, returned, result.status)) {
      session_->keep(frame);
      result.status = AMQP_STATUS_UNEXPECTED_STATE;
    }
    if (!waited->confirming) result.status = AMQP_STATUS_UNEXPECTED_STATE;  // the broker counts otherwise
    if (result.status != AMQP_STATUS_OK) return result;
  }
  // What was given up may have been refused.
  if (waited->outstanding.take_given_up() != 0) result.status = AMQP_STATUS_NO_MEMORY;
  return result;
}

std::uint64_t Connection::unconfirmed(amqp_channel_t channel) const noexcept {
  const detail::Channel* known = session_ != nullptr ? session_->existing_channel(channel) : nullptr;
  return known != nullptr ? known->outstanding.count() : 0;
}

}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
