#include <midtrace/kafka/client_events.h>

#include <array>
#include <cstdint>

#include "client.h"
#include "error_names.h"
#include "spans.h"

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/current_span.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace {

constexpr std::size_t max_reason_bytes = 256;

// Not in the middle of a UTF-8 character.
std::string_view beginning_of(std::string_view text) noexcept {
  if (text.size() <= max_reason_bytes) return text;
  std::size_t end = max_reason_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;
  return text.substr(0, end);
}

Span start_rebalance(const detail::Client& client, rd_kafka_t* consumer, rd_kafka_resp_err_t error,
                     std::size_t partition_count) noexcept {
  const Context ambient = Context::current();
  if (!detail::tracing(client, ambient)) return {};
  const detail::Topic& none = client.topic({}, nullptr);
  const detail::PreparedSpan* prepared = client.prepared(none, Operation::rebalance);
  if (prepared == nullptr) return {};
  Span span = client.options().tracer.start(prepared->name, {.attributes = prepared->attributes});
  if (!span.recording()) return span;
  if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    span.set(semconv::midtrace_kafka_rebalance_kind, StaticString("assign"));
  } else if (error == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    span.set(semconv::midtrace_kafka_rebalance_kind,
             rd_kafka_assignment_lost(consumer) != 0 ? StaticString("lost") : StaticString("revoke"));
  } else {
    span.set_error(detail::error_name(error));
  }
  span.set(semconv::midtrace_kafka_rebalance_partition_count, static_cast<std::int64_t>(partition_count));
  if (const Hook& hook = client.options().user.on_start)
    detail::run_hook(hook, span, {Operation::rebalance, {}, {}});
  return span;
}

Scope make_current(const Span& span) noexcept {
  return span.context().valid() ? span.activate() : Scope(Context::current());
}

}  // namespace

RebalanceSpan::RebalanceSpan(rd_kafka_t* consumer, rd_kafka_resp_err_t error,
                             std::size_t partition_count) noexcept
    : client_(detail::find_or_add_client(consumer)),
      span_(client_ != nullptr ? start_rebalance(*client_, consumer, error, partition_count) : Span()),
      scope_(make_current(span_)) {}

RebalanceSpan::~RebalanceSpan() {
  scope_.end();
  if (!span_.recording()) return;
  if (const Hook& hook = client_->options().user.on_finish)
    detail::run_hook(hook, span_, {Operation::rebalance, {}, {}});
  span_.end();
}

void record_error(rd_kafka_t* client, rd_kafka_resp_err_t error, std::string_view reason) noexcept {
  if (client == nullptr) {
    if (module_mode("KAFKA") != ModuleMode::on) return;
  } else {
    const std::shared_ptr<detail::Client> known = detail::find_or_add_client(client);
    if (known != nullptr && known->options().mode != ModuleMode::on) return;
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
      std::array<char, 1> unused{};
      if (const rd_kafka_resp_err_t cause = rd_kafka_fatal_error(client, unused.data(), unused.size());
          cause != RD_KAFKA_RESP_ERR_NO_ERROR)
        error = cause;
    }
  }
  current_span().add_event("midtrace.kafka.error",
                           {{semconv::error_type, detail::error_name(error)},
                            {semconv::midtrace_kafka_error_reason, beginning_of(reason)}});
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
