// process(): the span of the work that a message, or a batch of messages, causes.
//
//   auto processing = midtrace::kafka::process(message);
//   handle(*message);  // spans that start here are its children, sends carry its context
//
// A CONSUMER span `process <topic>`, current on this thread until the scope ends; an exception that leaves
// the scope makes it an error. A single message without a current span continues the message's trace and
// links to it; with a current span, and for batches, the messages are linked (Options::relation). The
// message's baggage is current too; for a batch only Options::batch_baggage.
//
// A ProcessScope stays on its thread and cannot be moved. detach() turns it into a ProcessSpan, which is
// current nowhere, may be moved to another thread or into a coroutine and made current there. It ends once,
// and says how in midtrace.process.ended_by:
//
//   end        by end()
//   commit     by end_by_commit(), when the message's offset was committed
//   destroyed  with the ProcessSpan, or when another was assigned to it
//   exception  the same, while an exception unwinds the stack; it is an error then
//   timeout    by nobody: it was not used for Options::process_timeout; an error, and counted
//              (Counter::operations_timed_out)
//
// The span of a scope that was not detached says nothing of the kind. After its end, by whomever, a
// ProcessSpan does nothing more, but its context can still be made current. Nothing here throws. Source:
// OpenTelemetry messaging conventions, consumer spans.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <midtrace/context/context.h>
#include <midtrace/kafka/message.h>
#include <midtrace/messaging/received_mark.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

class DetachedSpan;

}  // namespace messaging

namespace kafka {

namespace detail {

class Topic;
struct ProcessStart;

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
  explicit ProcessActivation(const class ProcessSpan& span) noexcept;
  void end() noexcept;
  void stop_using() noexcept;

  std::shared_ptr<messaging::DetachedSpan> used_;  // null: there is no time limit to be kept from it
  messaging::ReceivedMark mark_;
  Scope scope_;
};

class [[nodiscard]] ProcessSpan {
 public:
  ProcessSpan() noexcept = default;
  ProcessSpan(ProcessSpan&& other) noexcept;
  ProcessSpan& operator=(ProcessSpan&& other) noexcept;
  ~ProcessSpan();

  // Valid until the ProcessSpan is moved or destroyed. The time limit does not end a span that was asked for,
  // until the ProcessSpan is moved or an activation of it ends. One that timed out records nothing.
  Span& span() noexcept { return *used_span(); }
  const Span& span() const noexcept { return *used_span(); }
  // Status error and `error.type`.
  void set_error(std::string_view error_type, std::string_view description = {}) noexcept;
  // The span must live longer than the activation.
  ProcessActivation activate() const noexcept { return ProcessActivation(*this); }
  void end() noexcept { close(StaticString("end")); }
  // The work is done because its offset was committed: by what commits, once the commit succeeded.
  void end_by_commit() noexcept { close(StaticString("commit")); }

 private:
  friend class ProcessActivation;
  friend class ProcessScope;
  friend struct detail::ProcessStart;

  Scope make_current(bool usable) const noexcept;
  Span* used_span() const noexcept;
  void detach() noexcept;
  void take(ProcessSpan&& other) noexcept;
  void close(StaticString ended_by) noexcept;
  void destroy() noexcept;

  mutable Span span_;  // moved into limited_ where there is a time limit
  Context around_;     // baggage and suppression; in propagate mode the whole context
  std::shared_ptr<detail::Client> client_;
  std::shared_ptr<const messaging::ReceivedContexts> batch_;
  std::uint64_t single_ = 0;
  const detail::Topic* topic_ = nullptr;  // owned by the client
  std::shared_ptr<messaging::DetachedSpan> limited_;
  int exceptions_ = 0;     // in flight when it came here
  bool detached_ = false;  // so it says how it ended
  bool current_ = false;   // there is something to make current
  bool failed_ = false;
};

class [[nodiscard]] ProcessScope {
 public:
  ProcessScope(const ProcessScope&) = delete;
  ProcessScope& operator=(const ProcessScope&) = delete;
  ~ProcessScope();

  Span& span() noexcept { return span_.span(); }
  void set_error(std::string_view error_type, std::string_view description = {}) noexcept {
    span_.set_error(error_type, description);
  }
  // Ends the scope, not the span.
  ProcessSpan detach() noexcept;

  explicit ProcessScope(ProcessSpan span) noexcept;

 private:
  ProcessSpan span_;
  ProcessActivation activation_;
  int exceptions_;
};

namespace detail {

ProcessSpan start_process(std::span<const Delivery> deliveries, const std::shared_ptr<Client>& client,
                          bool batch) noexcept;
ProcessSpan start_process(const rd_kafka_t* consumer, const rd_kafka_message_t* message) noexcept;

}  // namespace detail

// A message of consume(). Without one, or for an error event, nothing is traced.
template <class Handle>
ProcessScope process(const BasicMessage<Handle>& message) noexcept {
  return ProcessScope(detail::start_process({&detail::Access::delivery(message), 1U},
                                            detail::Access::client(message), false));
}

// A whole batch: one span, one link for each message that carried a context.
template <class Handle>
ProcessScope process(const BasicBatch<Handle>& batch) noexcept {
  return ProcessScope(
      detail::start_process(detail::Access::deliveries(batch), detail::Access::client(batch), true));
}

// One message of a batch.
template <class Handle>
ProcessScope process(const BatchMessage<Handle>& message) noexcept {
  return ProcessScope(detail::start_process({&detail::Access::delivery(message), 1U},
                                            detail::Access::client(message), false));
}

// A message that librdkafka itself handed out, on the thread that received it or with its consumer. Its
// headers are read now, so they must still be there.
inline ProcessScope process(const rd_kafka_message_t* message) noexcept {
  return ProcessScope(detail::start_process(nullptr, message));
}
inline ProcessScope process(const rd_kafka_t* consumer, const rd_kafka_message_t* message) noexcept {
  return ProcessScope(detail::start_process(consumer, message));
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
