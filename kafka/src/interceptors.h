// What midtrace does with a client of which librdkafka's interceptors tell: shared by instrument(), which
// adds them to a configuration object in code, and by the plugin, which librdkafka loads.
//
// Each function is called by librdkafka's callback of the same meaning, on the thread that librdkafka chose;
// nothing throws.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

#include "client.h"
#include "ready_options.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

inline constexpr const char* interceptor_name = "midtrace";

// The first librdkafka in which a configuration with interceptors survives a failed rd_kafka_new().
inline constexpr int version_that_survives_failed_new = 0x020d0000;

// What one configuration object owns: copies of it share the options, and it makes one client at the most.
// It lives until on_conf_destroy, which librdkafka calls after the last delivery report.
struct Instrumented {
  std::shared_ptr<const ReadyOptions> options;
  std::shared_ptr<Client> client;
};

// on_new: adds the interceptors of the client, unless another copy of midtrace in this process traces it.
void client_made(Instrumented& instrumented, rd_kafka_t* handle, const rd_kafka_conf_t* conf) noexcept;
// on_conf_destroy: ends what is open, and flushes that within Options::close_flush_timeout.
void configuration_destroyed(std::unique_ptr<Instrumented> instrumented) noexcept;

// Said once, because every application meets it only when a client cannot be made.
void mention_fragile_failure() noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
