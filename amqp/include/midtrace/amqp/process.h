// process(): the span of the work that a delivery, or a prefetched batch of deliveries, causes.
//
//   auto processing = midtrace::amqp::process(amqp, envelope);
//   handle(envelope.message);  // spans that start here are its children, publishes carry its context
//   amqp.basic_ack(envelope.channel, envelope.delivery_tag, false);
//
// A CONSUMER span `process <destination>`, current on this thread until the scope ends; an exception that
// leaves the scope makes it an error. A single delivery without a current span continues the message's trace
// and links to it; with a current span, and for batches, the messages are linked (Options::relation). The
// message's baggage is current too; for a batch only Options::batch_baggage.
//
// The span lives until every delivery in it is settled and the scope has ended, whichever is later, so it may
// outlive its scope. midtrace.process.ended_by says what ended it:
//
//   ack, nack, reject             the last settlement; nack and reject make it an error, unless it has one
//   recover                       basic_recover(); an error
//   channel_closed                the channel closed before; an error, with the broker's reason where it gave
//   one connection_closed             likewise timeout                       nobody: it was not in use for
//   Options::settle_timeout; an error, and counted
//                                 (Counter::operations_timed_out). The delivery can still be settled.
//   end, destroyed, exception     there was nothing to settle (no_ack), and a ProcessSpan ended, left its
//                                 scope, or was left by an exception
//
// A ProcessScope stays on its thread and cannot be moved. detach() turns it into a ProcessSpan, which is
// current nowhere, may be moved to another thread and made current there; destroying it says that the work is
// done, not that the deliveries are settled. process() and what it gives may be used on any thread; the
// Connection must outlive the call, not the span. Nothing here throws. Source: OpenTelemetry messaging
// conventions, consumer spans; conventions 2.4.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <midtrace/amqp/connection.h>
#include <midtrace/amqp/library.h>
#include <midtrace/context/context.h>
#include <midtrace/messaging/received_mark.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {

namespace detail {

class Work;

struct StartedProcess {
  std::shared_ptr<Work> work;  // null when nothing is recorded
  Context around;              // baggage and suppression; without a recording span the whole context
  bool current = false;        // whether there is anything to make current
  std::uint64_t print = 0;     // of the one message's context
  std::shared_ptr<const messaging::ReceivedContexts> batch = {};
};

}  // namespace detail

// Makes a ProcessSpan current on this thread while it lives.
class [[nodiscard]] ProcessActivation {
 public:
  ProcessActivation(const ProcessActivation&) = delete;
  ProcessActivation& operator=(const ProcessActivation&) = delete;
  ~ProcessActivation() { end(); }

 private:
  friend class ProcessSpan;
  friend class ProcessScope;
  explicit ProcessActivation(const detail::StartedProcess& started) noexcept;
  void end() noexcept;

  std::shared_ptr<detail::Work> used_;
  messaging::ReceivedMark mark_;
  Scope scope_;
};

class [[nodiscard]] ProcessSpan {
 public:
  ProcessSpan() noexcept = default;
  ProcessSpan(ProcessSpan&& other) noexcept;
  ProcessSpan& operator=(ProcessSpan&& other) noexcept;
  ~ProcessSpan();

  // Valid until the ProcessSpan is moved, ended or destroyed. A span that was asked for is in use, so that
  // the time limit does not end it, until the ProcessSpan is moved or an activation of it ends. One that is
  // over records nothing.
  Span& span() noexcept;
  // Status error and `error.type`.
  void set_error(std::string_view error_type, std::string_view description = {}) noexcept;
  // The ProcessSpan must live longer than the activation.
  ProcessActivation activate() const noexcept { return ProcessActivation(started_); }
  // The work is done. The span ends with the last settlement, or now when there is nothing to settle.
  void end() noexcept;

 private:
  friend class ProcessScope;
  explicit ProcessSpan(detail::StartedProcess started) noexcept;
  void finish(StaticString ended_by) noexcept;
  void destroy() noexcept;

  detail::StartedProcess started_;
  Span nothing_;        // what span() refers to when nothing records
  int exceptions_ = 0;  // in flight when it came here
  bool detached_ = false;
  bool failed_ = false;
};

class [[nodiscard]] ProcessScope {
 public:
  explicit ProcessScope(detail::StartedProcess started) noexcept;
  ProcessScope(const ProcessScope&) = delete;
  ProcessScope& operator=(const ProcessScope&) = delete;
  ~ProcessScope();

  Span& span() noexcept { return span_.span(); }
  void set_error(std::string_view error_type, std::string_view description = {}) noexcept {
    span_.set_error(error_type, description);
  }
  // Ends the scope, not the work.
  ProcessSpan detach() noexcept;

 private:
  ProcessSpan span_;
  ProcessActivation activation_;
};

namespace detail {

StartedProcess start_process(const Connection& connection, std::span<const amqp_envelope_t> envelopes,
                             bool batch) noexcept;
StartedProcess start_process(const Connection& connection, amqp_channel_t channel, std::uint64_t delivery_tag,
                             const amqp_message_t& message) noexcept;

}  // namespace detail

// One delivery of consume_message().
inline ProcessScope process(const Connection& connection, const amqp_envelope_t& envelope) noexcept {
  return ProcessScope(detail::start_process(connection, {&envelope, 1U}, false));
}

// Several deliveries handled as one: one span, one link for each message that carried a context.
inline ProcessScope process(const Connection& connection,
                            std::span<const amqp_envelope_t> envelopes) noexcept {
  return ProcessScope(detail::start_process(connection, envelopes, true));
}

// A delivery that came otherwise: by basic_get() and read_message(), or by frames.
inline ProcessScope process(const Connection& connection, amqp_channel_t channel, std::uint64_t delivery_tag,
                            const amqp_message_t& message) noexcept {
  return ProcessScope(detail::start_process(connection, channel, delivery_tag, message));
}

}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
