// error.type for Kafka: the protocol's own name for a broker's error code, librdkafka's name
// (`_MSG_TIMED_OUT`) for an error of the client itself, `_OTHER` for what neither knows. Static storage; any
// thread. Source: Kafka protocol guide, error codes; conventions 2.8.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

std::string_view error_name(rd_kafka_resp_err_t error) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
