// Has the clients of a configuration keep their statistics by themselves, where the application wants them
// made (statistics.interval.ms) and has no callback for them. Nothing throws.
#pragma once

#include <librdkafka/rdkafka.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

void keep_unclaimed_statistics(rd_kafka_conf_t* conf) noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
