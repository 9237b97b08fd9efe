#include "captured_headers.h"

#include <string_view>

#include "messaging/captured_headers.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

void describe_headers(const Client& client, const rd_kafka_message_t& message, Span& span) noexcept {
  const Options& options = client.options().user;
  if (options.captured_headers.empty() || !span.recording()) return;
  if (message.rkt == nullptr) return;  // refused by the client: not a message of librdkafka's own
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;

  messaging::CapturedHeaders captured;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t index = 0;
       index < messaging::max_scanned_headers && !captured.full() &&
       rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++index) {
    if (value == nullptr || size > messaging::max_header_value_bytes ||
        !messaging::captures_header(options.captured_headers, options.excluded_headers, name)) {
      continue;
    }
    captured.add(name, {static_cast<const char*>(value), size});
  }
  captured.write(span);
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
