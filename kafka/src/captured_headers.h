// Message headers as span attributes: those that Options::captured_headers names, and that are text.
//
// `messaging.header.<name>` is an array with one string for each header of that name, in their order. Headers
// of propagation formats, whichever are in use, and baggage are never among them. Bounded: the first
// `max_scanned` headers are looked at, `max_captured` of them are written, with names and values up to their
// lengths; a longer one is left out, not cut. Nothing throws; any thread. Source: what OpenTelemetry's
// instrumentations call capturing headers; the conventions have no name for it.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <string_view>

#include "client.h"

#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

inline constexpr std::size_t max_scanned_headers = 1024;
inline constexpr std::size_t max_captured_headers = 16;
inline constexpr std::size_t max_header_name_bytes = 128;
inline constexpr std::size_t max_header_value_bytes = 256;

// Whether the client's options let this header be captured.
bool captures_header(const Options& options, std::string_view name) noexcept;

// Reads the headers of a message of which they were not detached.
void describe_headers(const Client& client, const rd_kafka_message_t& message, Span& span) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
