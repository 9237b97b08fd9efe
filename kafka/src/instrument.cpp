#include <midtrace/kafka/instrument.h>

#include <memory>
#include <utility>

#include "interceptors.h"
#include "statistics.h"

#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace {

using detail::Instrumented;
using detail::interceptor_name;
using detail::ReadyOptions;

rd_kafka_resp_err_t on_new(rd_kafka_t* handle, const rd_kafka_conf_t* conf, void* opaque, char*,
                           std::size_t) {
  detail::client_made(*static_cast<Instrumented*>(opaque), handle, conf);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_conf_dup(rd_kafka_conf_t* copy, const rd_kafka_conf_t* original,
                                std::size_t filter_count, const char** filter, void* opaque);

rd_kafka_resp_err_t on_conf_destroy(void* opaque) {
  detail::configuration_destroyed(std::unique_ptr<Instrumented>(static_cast<Instrumented*>(opaque)));
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

// The owner of `options` afterwards is the configuration object.
rd_kafka_resp_err_t add_to(rd_kafka_conf_t* conf, std::shared_ptr<const ReadyOptions> options) {
  auto instrumented = std::make_unique<Instrumented>(Instrumented{std::move(options), nullptr});
  rd_kafka_resp_err_t error =
      rd_kafka_conf_interceptor_add_on_new(conf, interceptor_name, on_new, instrumented.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return error;
  Instrumented* owned = instrumented.release();  // on_new refers to it from now on
  error = rd_kafka_conf_interceptor_add_on_conf_destroy(conf, interceptor_name, on_conf_destroy, owned);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return error;
  return rd_kafka_conf_interceptor_add_on_conf_dup(conf, interceptor_name, on_conf_dup, owned);
}

rd_kafka_resp_err_t on_conf_dup(rd_kafka_conf_t* copy, const rd_kafka_conf_t*, std::size_t, const char**,
                                void* opaque) {
  try {
    return add_to(copy, static_cast<Instrumented*>(opaque)->options);
  } catch (...) {
    return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
  }
}

// A second time is no mistake where the caller says so.
bool instrument_once(rd_kafka_conf_t* conf, Options options, bool may_be_done) noexcept {
  if (conf == nullptr) {
    report(Severity::error, "kafka.instrument",
           "midtrace::kafka::instrument() was given no global configuration; pass the one the client is made "
           "from.");
    return false;
  }
  try {
    const bool chosen_here = options.mode.has_value();
    auto ready = std::make_shared<const ReadyOptions>(std::move(options));
    if (ready->mode == ModuleMode::off && !chosen_here)
      return true;  // the environment says so for every client
    detail::mention_fragile_failure();
    const bool traced = ready->mode != ModuleMode::off;
    const rd_kafka_resp_err_t error = add_to(conf, std::move(ready));
    if (error == RD_KAFKA_RESP_ERR__CONFLICT) {
      if (may_be_done) return true;
      report(Severity::warning, "kafka.instrument_twice",
             "midtrace::kafka::instrument() was called twice for one configuration; the second call changed "
             "nothing.");
      return true;
    }
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (traced) detail::keep_unclaimed_statistics(conf);
      return true;
    }
    report(Severity::error, "kafka.instrument", rd_kafka_err2str(error));
  } catch (...) {
    report(Severity::error, "kafka.instrument", "There was no memory to instrument a Kafka configuration.");
  }
  return false;
}

}  // namespace

bool instrument(rd_kafka_conf_t* conf, Options options) noexcept {
  return instrument_once(conf, std::move(options), false);
}

rd_kafka_t* create(rd_kafka_type_t type, rd_kafka_conf_t* conf, char* errstr, std::size_t errstr_size,
                   Options options) noexcept {
  if (conf == nullptr) conf = rd_kafka_conf_new();
  instrument_once(conf, std::move(options), true);
  rd_kafka_t* handle = rd_kafka_new(type, conf, errstr, errstr_size);
  if (handle == nullptr && rd_kafka_version() >= detail::version_that_survives_failed_new)
    rd_kafka_conf_destroy(conf);
  return handle;
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
