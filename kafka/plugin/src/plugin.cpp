// conf_init: where librdkafka enters the plugin, once for each configuration object that names it in
// plugin.library.paths, and once for each copy of one.
//
// It never refuses: a plugin that fails stops the application from starting. librdkafka replays the
// properties of a configuration on its copy, so the plugin adds no on_conf_dup of its own.
#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <memory>
#include <utility>

#include "interceptors.h"
#include "librdkafka_functions.h"
#include "properties.h"
#include "tracing.h"

#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace plugin {

namespace {

// What one configuration object owns.
struct Configuration {
  Properties properties;
  std::unique_ptr<detail::Instrumented> instrumented;
};

rd_kafka_conf_res_t on_conf_set(rd_kafka_conf_t*, const char* name, const char* value, char*, std::size_t,
                                void* opaque) {
  try {
    if (name != nullptr && static_cast<Configuration*>(opaque)->properties.set(name, value))
      return RD_KAFKA_CONF_OK;
  } catch (...) {
    report(Severity::error, "kafka.plugin.conf_set", "There was no memory for a midtrace.* property.");
  }
  return RD_KAFKA_CONF_UNKNOWN;
}

rd_kafka_resp_err_t on_new(rd_kafka_t* handle, const rd_kafka_conf_t* conf, void* opaque, char*,
                           std::size_t) {
  auto& configuration = *static_cast<Configuration*>(opaque);
  try {
    turn_tracing_on(configuration.properties);
    configuration.instrumented = std::make_unique<detail::Instrumented>(detail::Instrumented{
        std::make_shared<const detail::ReadyOptions>(configuration.properties.options()), nullptr});
    detail::mention_fragile_failure();
    detail::client_made(*configuration.instrumented, handle, conf);
  } catch (...) {
    report(Severity::error, "kafka.plugin.on_new",
           "There was no memory to trace a Kafka client; it works untraced.");
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_conf_destroy(void* opaque) {
  const std::unique_ptr<Configuration> configuration(static_cast<Configuration*>(opaque));
  if (configuration->instrumented != nullptr)
    detail::configuration_destroyed(std::move(configuration->instrumented));
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void enter(rd_kafka_conf_t* conf) {
  auto configuration = std::make_unique<Configuration>();
  // A plugin that is named twice in one configuration is told so here, and the first one does the work.
  if (rd_kafka_conf_interceptor_add_on_conf_destroy(conf, detail::interceptor_name, on_conf_destroy,
                                                    configuration.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  Configuration* const owned = configuration.release();
  rd_kafka_conf_interceptor_add_on_conf_set(conf, detail::interceptor_name, on_conf_set, owned);
  rd_kafka_conf_interceptor_add_on_new(conf, detail::interceptor_name, on_new, owned);
}

}  // namespace

}  // namespace plugin
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace

extern "C" [[gnu::visibility("default")]] rd_kafka_resp_err_t conf_init(rd_kafka_conf_t* conf, void** opaque,
                                                                        char*, std::size_t) {
  using namespace midtrace;
  if (opaque != nullptr) *opaque = nullptr;
  try {
    if (kafka::plugin::use_librdkafka_at(__builtin_return_address(0))) kafka::plugin::enter(conf);
  } catch (...) {
    report(Severity::error, "kafka.plugin.conf_init",
           "There was no memory to trace the clients of a Kafka configuration; they work untraced.");
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}
