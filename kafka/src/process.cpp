#include <midtrace/kafka/process.h>

#include <exception>
#include <vector>

#include "client.h"
#include "headers.h"
#include "receive_spans.h"
#include "received.h"
#include "thread_state.h"

#include "messaging/detached_span.h"
#include "messaging/received.h"
#include "messaging/thread_state.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

namespace {

// Ends by the time limit, unless its holder does.
class DetachedProcess final : public messaging::DetachedSpan {
 public:
  DetachedProcess(Span taken, std::shared_ptr<Client> client, const Topic& topic) noexcept
      : DetachedSpan(std::move(taken)), client_(std::move(client)), topic_(topic) {}

  void end_abandoned() noexcept override {
    count(Counter::operations_timed_out);
    report(Severity::warning, "kafka.process_timeout",
           "A ProcessSpan was neither used nor ended for as long as Options::process_timeout allows, and "
           "midtrace ended it. Call its end() when the work is done, or raise the limit.");
    span.set(semconv::midtrace_process_ended_by, StaticString("timeout"));
    span.set_error("timeout", "neither used nor ended within process_timeout");
    finish_process_span(*client_, topic_, span);
  }

 private:
  const std::shared_ptr<Client> client_;
  const Topic& topic_;
};

std::shared_ptr<const messaging::ReceivedContexts> contexts_of(
    std::span<const Delivery> deliveries) noexcept {
  ThreadState* thread = thread_state();
  if (thread == nullptr) return nullptr;
  std::vector<std::uint64_t>& prints = thread->buffers.prints;
  try {
    prints.clear();
    prints.reserve(deliveries.size());
    for (const Delivery& delivery : deliveries)
      prints.push_back(delivery.print);
  } catch (...) {
    return nullptr;
  }
  return messaging::ReceivedContexts::make(prints);
}

}  // namespace

// Fills a ProcessSpan, whose members are its own affair otherwise.
struct ProcessStart {
  static ProcessSpan make(const std::shared_ptr<Client>& client, std::span<const Delivery> deliveries,
                          bool batch) noexcept {
    ProcessSpan span;
    if (client == nullptr || deliveries.empty()) return span;
    client->detached_spans().look();
    StartedProcess started = start_process_span(*client, deliveries, batch, thread_state());
    if (!started.current) return span;
    span.span_ = std::move(started.span);
    span.around_ = std::move(started.around);
    span.topic_ = started.topic;
    span.current_ = true;
    span.client_ = client;
    if (batch) {
      span.batch_ = contexts_of(deliveries);
    } else {
      span.single_ = deliveries[0].print;
    }
    return span;
  }
};

ProcessSpan start_process(std::span<const Delivery> deliveries, const std::shared_ptr<Client>& client,
                          bool batch) noexcept {
  return ProcessStart::make(client, deliveries, batch);
}

ProcessSpan start_process(const rd_kafka_t* consumer, const rd_kafka_message_t* message) noexcept {
  if (message == nullptr || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  std::shared_ptr<Client> client;
  if (consumer != nullptr) {
    client = find_or_add_client(const_cast<rd_kafka_t*>(consumer));
  } else if (const messaging::ThreadState* thread = messaging::existing_thread_state();
             thread != nullptr && thread->recent != nullptr) {
    if (const std::uint64_t id = thread->recent->client_of(message); id != 0) client = find_client(id);
  }
  if (client == nullptr) client = unknown_client();
  if (client == nullptr || client->options().mode == ModuleMode::off) return {};
  Delivery delivery = take_in(*client, message);
  if (client->options().user.capture_queue_time) {
    const messaging::ThreadState* thread = messaging::existing_thread_state();
    if (thread != nullptr && thread->recent != nullptr)
      delivery.received = thread->recent->tick_of(message, delivery.print);
    // On another thread than the one that received it, as near as can be.
    if (delivery.received == 0) delivery.received = current_tick();
  }
  return ProcessStart::make(client, {&delivery, 1}, false);
}

}  // namespace detail

namespace {

std::shared_ptr<messaging::DetachedSpan> in_use(
    const std::shared_ptr<messaging::DetachedSpan>& limited) noexcept {
  return limited != nullptr && limited->use() ? limited : nullptr;
}

}  // namespace

ProcessActivation::ProcessActivation(const ProcessSpan& span) noexcept
    : used_(in_use(span.limited_)),
      mark_(span.single_, span.batch_),
      scope_(span.make_current(used_ != nullptr)) {}

void ProcessActivation::end() noexcept {
  scope_.end();
  mark_.end();
  if (used_ != nullptr) stop_using();
}

void ProcessActivation::stop_using() noexcept {
  used_->stop_using();
  used_.reset();
}

Scope ProcessSpan::make_current(bool usable) const noexcept {
  if (!current_) return Scope(Context::current());
  if (limited_ != nullptr) {
    if (usable) return limited_->span.activate(around_);
    Context context = around_;
    context.span = limited_->context;
    return Scope(context);
  }
  if (span_.context().valid()) return span_.activate(around_);
  return Scope(around_);
}

Span* ProcessSpan::used_span() const noexcept {
  return limited_ != nullptr && limited_->pin() ? &limited_->span : &span_;
}

void ProcessSpan::take(ProcessSpan&& other) noexcept {
  span_ = std::move(other.span_);
  around_ = std::move(other.around_);
  client_ = std::move(other.client_);
  batch_ = std::move(other.batch_);
  limited_ = std::move(other.limited_);
  single_ = other.single_;
  topic_ = std::exchange(other.topic_, nullptr);
  exceptions_ = std::uncaught_exceptions();
  detached_ = other.detached_;
  current_ = std::exchange(other.current_, false);
  failed_ = other.failed_;
  if (limited_ != nullptr) limited_->unpin();
}

ProcessSpan::ProcessSpan(ProcessSpan&& other) noexcept { take(std::move(other)); }

ProcessSpan& ProcessSpan::operator=(ProcessSpan&& other) noexcept {
  if (this != &other) {
    destroy();
    take(std::move(other));
  }
  return *this;
}

ProcessSpan::~ProcessSpan() { destroy(); }

void ProcessSpan::destroy() noexcept {
  if (topic_ == nullptr) return;
  if (detached_ && std::uncaught_exceptions() > exceptions_) {
    if (!failed_) set_error("_OTHER", "left by an exception");
    close(StaticString("exception"));
  } else {
    close(StaticString("destroyed"));
  }
}

// Before it can be moved or handed to anybody. Without memory there is no time limit.
void ProcessSpan::detach() noexcept {
  detached_ = true;
  if (!span_.recording() || client_ == nullptr || topic_ == nullptr) return;
  messaging::DetachedSpans& spans = client_->detached_spans();
  if (!spans.limited()) return;
  try {
    // The span is moved only when the memory is there.
    limited_ = std::make_shared<detail::DetachedProcess>(std::move(span_), client_, *topic_);
    spans.add(*limited_);
  } catch (...) {
  }
}

void ProcessSpan::set_error(std::string_view error_type, std::string_view description) noexcept {
  failed_ = true;
  if (limited_ == nullptr) return span_.set_error(error_type, description);
  if (!limited_->use()) return;
  limited_->span.set_error(error_type, description);
  limited_->stop_using();
}

void ProcessSpan::close(StaticString ended_by) noexcept {
  if (topic_ == nullptr || client_ == nullptr) return;
  Span* span = &span_;
  if (limited_ != nullptr) {
    if (!limited_->end_by_holder()) return;
    client_->detached_spans().remove(*limited_);
    span = &limited_->span;
  }
  if (detached_) span->set(semconv::midtrace_process_ended_by, ended_by);
  detail::finish_process_span(*client_, *topic_, *span);
}

ProcessScope::ProcessScope(ProcessSpan span) noexcept
    : span_(std::move(span)), activation_(span_), exceptions_(std::uncaught_exceptions()) {}

ProcessScope::~ProcessScope() {
  activation_.end();
  if (!span_.failed_ && std::uncaught_exceptions() > exceptions_)
    span_.set_error("_OTHER", "left by an exception");
  span_.end();
}

ProcessSpan ProcessScope::detach() noexcept {
  activation_.end();
  span_.detach();
  return std::move(span_);
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
