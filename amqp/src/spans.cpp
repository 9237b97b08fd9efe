#include "spans.h"

#include <algorithm>
#include <span>

#include "table.h"

#include "messaging/captured_headers.h"
#include "messaging/text.h"

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

constexpr std::size_t max_scanned_headers = 1024;

std::string_view id_text(const amqp_basic_properties_t& properties, amqp_flags_t flag,
                         const amqp_bytes_t& bytes) noexcept {
  if ((properties._flags & flag) == 0) return {};
  const std::string_view text = text_of(bytes);
  return text.size() <= max_id_bytes && messaging::is_plain_text(text) ? text : std::string_view();
}

}  // namespace

void run_hook(const Hook& hook, Span& span, const Call& call) noexcept {
  try {
    hook(span, call);
  } catch (...) {
    count(Counter::hook_failures);
    report(Severity::warning, "amqp.hook",
           "A RabbitMQ hook threw an exception, which was swallowed; the span goes on.");
  }
}

void finish_span(const Endpoint& endpoint, Span& span, const Call& call) noexcept {
  if (!span.recording()) return;
  if (const Hook& hook = endpoint.options().user.on_finish) run_hook(hook, span, call);
  span.end();
}

MessageIds ids_of(const amqp_basic_properties_t* properties) noexcept {
  if (properties == nullptr) return {};
  return {id_text(*properties, AMQP_BASIC_MESSAGE_ID_FLAG, properties->message_id),
          id_text(*properties, AMQP_BASIC_CORRELATION_ID_FLAG, properties->correlation_id)};
}

void describe_headers(const Endpoint& endpoint, const amqp_basic_properties_t* properties,
                      Span& span) noexcept {
  const Options& options = endpoint.options().user;
  const amqp_table_t* headers = headers_of(properties);
  if (options.captured_headers.empty() || headers == nullptr || !span.recording()) return;
  messaging::CapturedHeaders captured;
  const std::span<const amqp_table_entry_t> entries = entries_of(*headers);
  for (const amqp_table_entry_t& entry : entries.first(std::min(entries.size(), max_scanned_headers))) {
    if (captured.full()) break;
    const std::optional<std::string_view> value = text_of(entry.value);
    const std::string_view name = text_of(entry.key);
    if (value.has_value() &&
        messaging::captures_header(options.captured_headers, options.excluded_headers, name)) {
      captured.add(name, *value);
    }
  }
  captured.write(span);
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
