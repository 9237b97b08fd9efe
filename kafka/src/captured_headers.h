// Message headers as span attributes (messaging/captured_headers.h): those that Options::captured_headers
// names. Nothing throws; any thread.
#pragma once

#include <librdkafka/rdkafka.h>

#include "client.h"

#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

// Reads the headers of a message of which they were not detached.
void describe_headers(const Client& client, const rd_kafka_message_t& message, Span& span) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
