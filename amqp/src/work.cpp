#include "work.h"

#include <array>
#include <string_view>

#include "spans.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

struct Ending {
  StaticString ended_by;
  StaticString error;  // empty: none
};

// In the order of Settlement.
constexpr std::array<Ending, 7> endings{{
    {"", ""},
    {"ack", ""},
    {"reject", "reject"},
    {"nack", "nack"},
    {"recover", "recover"},
    {"channel_closed", "channel_closed"},
    {"connection_closed", "connection_closed"},
}};

}  // namespace

void Work::settle(Settlement settlement, std::string_view error_type) noexcept {
  if (!error_type.empty()) error_.store(error_type.data(), std::memory_order_relaxed);
  Settlement known = settlement_.load(std::memory_order_relaxed);
  while (known < settlement &&
         !settlement_.compare_exchange_weak(known, settlement, std::memory_order_relaxed)) {
  }
  release();
}

void Work::watch() noexcept {
  if (watched_ || !endpoint_->detached_spans().limited()) return;
  watched_ = true;
  endpoint_->detached_spans().add(*this);
}

void Work::leave(StaticString ended_by) noexcept {
  left_ = ended_by.text();
  // Nobody else can let it go meanwhile, because this scope still holds it.
  if (holders_.load(std::memory_order_acquire) > 1) watch();
  release();
}

void Work::release() noexcept {
  if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) finish();
}

void Work::finish() noexcept {
  if (watched_) endpoint_->detached_spans().remove(*this);
  if (!end_by_holder()) return;
  const Settlement settlement = settlement_.load(std::memory_order_relaxed);
  const Ending& ending = endings[static_cast<std::size_t>(settlement)];
  if (settlement != Settlement::none) {
    span.set(semconv::midtrace_process_ended_by, ending.ended_by);
  } else if (!left_.empty()) {
    span.set(semconv::midtrace_process_ended_by, left_);
  }
  if (!ending.error.text().empty() && !failed()) {
    const char* reason = error_.load(std::memory_order_relaxed);
    span.set_error(reason != nullptr ? std::string_view(reason) : ending.error.text());
  }
  finish_span(*endpoint_, span, {Operation::process, destination_.name()});
}

void Work::end_abandoned() noexcept {
  count(Counter::operations_timed_out);
  report(
      Severity::warning, "amqp.settle_timeout",
      "A delivery was processed but not settled for as long as Options::settle_timeout allows, and midtrace "
      "ended its process span. Call basic_ack() or its like when the work is done, or raise the limit.");
  span.set(semconv::midtrace_process_ended_by, StaticString("timeout"));
  span.set_error("timeout", "not settled within settle_timeout");
  finish_span(*endpoint_, span, {Operation::process, destination_.name()});
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
