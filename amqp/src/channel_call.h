// ChannelCall: the span around one call on a channel that moves no message: declare, bind, open, ... and the
// transaction's end.
//
// Those of Options::channel_spans are named after the protocol's method and what it is about
// (`queue.declare orders`), without names that are generated. On the connection's thread; nothing throws.
#pragma once

#include <string_view>

#include "session.h"

#include <midtrace/amqp/library.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

class ChannelCall {
 public:
  // `session` may be null. `name`: of the queue or exchange; may be empty.
  ChannelCall(Session* session, amqp_channel_t channel, std::string_view method,
              amqp_bytes_t name = {}) noexcept;
  // tx.commit and tx.rollback, which have spans without the option.
  ChannelCall(Session* session, amqp_channel_t channel, Operation operation) noexcept;
  ~ChannelCall();
  ChannelCall(const ChannelCall&) = delete;
  ChannelCall& operator=(const ChannelCall&) = delete;

  // What rabbitmq-c answered: null when it failed, and then amqp_get_rpc_reply() says why.
  template <class Reply>
  Reply* answered(Reply* reply) noexcept {
    if (reply == nullptr) failed();
    return reply;
  }
  amqp_rpc_reply_t answered(amqp_rpc_reply_t reply) noexcept;

 private:
  void failed() noexcept;

  Session* session_;
  amqp_channel_t channel_;
  Operation operation_ = Operation::channel;
  Span span_;
};

// A span of a call by its method's name; one that does not record without Options::channel_spans.
Span start_channel_span(const Session& session, std::string_view method, std::string_view name) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
