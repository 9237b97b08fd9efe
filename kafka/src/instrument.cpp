#include <midtrace/kafka/instrument.h>

#include <atomic>
#include <memory>
#include <utility>

#include "client.h"
#include "headers.h"
#include "received.h"
#include "send.h"
#include "spans.h"

#include <midtrace/trace/backend.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace {

using detail::Client;
using detail::ReadyOptions;

constexpr const char* interceptor_name = "midtrace";
// The first librdkafka in which a configuration with interceptors survives a failed rd_kafka_new().
constexpr int fixed_version = 0x020d0000;

// What one configuration object owns: copies of it share the options, and it makes one client at the most.
struct Instrumented {
  std::shared_ptr<const ReadyOptions> options;
  std::shared_ptr<Client> client;
};

Client* client_of(void* opaque) noexcept { return static_cast<Instrumented*>(opaque)->client.get(); }

rd_kafka_resp_err_t on_send(rd_kafka_t* handle, rd_kafka_message_t* message, void* opaque) {
  detail::message_sent(*static_cast<Client*>(opaque), handle, message);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_acknowledgement(rd_kafka_t*, rd_kafka_message_t* message, void* opaque) {
  detail::message_acknowledged(*static_cast<Client*>(opaque), message);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_consume(rd_kafka_t* handle, rd_kafka_message_t* message, void* opaque) {
  Client& client = *static_cast<Client*>(opaque);
  detail::ThreadState* thread = detail::thread_state();
  if (thread == nullptr || thread->wrapper_depth > 0) return RD_KAFKA_RESP_ERR_NO_ERROR;
  client.learn_name(handle);
  const detail::Delivery delivery = detail::take_in(client, message);
  thread->remember(delivery.print, message, client.id());
  if (client.options().poll_spans) detail::record_poll(client, {&delivery, 1}, false, 0, thread);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

// Delivery reports still come after this, so the state stays.
rd_kafka_resp_err_t on_destroy(rd_kafka_t*, void* opaque) {
  Client* client = client_of(opaque);
  if (client == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
  detail::unregister_client(*client);
  if (const rd_kafka_t* claimed = client->claimed(); claimed != nullptr) {
    release_client(claimed);
    release_client(detail::poll_claim(claimed));
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_new(rd_kafka_t* handle, const rd_kafka_conf_t* conf, void* opaque, char*,
                           std::size_t) {
  auto& instrumented = *static_cast<Instrumented*>(opaque);
  try {
    auto client = std::make_shared<Client>(instrumented.options, conf);
    const ReadyOptions& options = client->options();
    const bool off = options.mode == ModuleMode::off;
    instrumented.client = client;
    rd_kafka_interceptor_add_on_destroy(handle, interceptor_name, on_destroy, opaque);
    if (off || !claim_client(handle)) {
      // So that the wrapper knows it and its options; nothing is added to what librdkafka does, and perhaps
      // another copy of midtrace.
      if (!off) {
        client->set_traced_elsewhere();
        client->ask_polled_elsewhere(handle);
      }
      detail::register_client(handle, client);
      return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    client->set_claimed(handle);
    if (options.mode == ModuleMode::on && options.poll_spans) claim_client(detail::poll_claim(handle));
    rd_kafka_interceptor_add_on_send(handle, interceptor_name, on_send, client.get());
    rd_kafka_interceptor_add_on_acknowledgement(handle, interceptor_name, on_acknowledgement, client.get());
    rd_kafka_interceptor_add_on_consume(handle, interceptor_name, on_consume, client.get());
    detail::register_client(handle, client);
  } catch (...) {
    report(Severity::error, "kafka.on_new",
           "There was no memory to trace a Kafka client; it works untraced.");
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_conf_dup(rd_kafka_conf_t* copy, const rd_kafka_conf_t* original,
                                std::size_t filter_count, const char** filter, void* opaque);

rd_kafka_resp_err_t on_conf_destroy(void* opaque) {
  const std::unique_ptr<Instrumented> instrumented(static_cast<Instrumented*>(opaque));
  Client* client = instrumented->client.get();
  if (client == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
  const bool ended = detail::end_open_sends(*client);
  const std::chrono::milliseconds timeout = client->options().user.close_flush_timeout;
  if (ended && timeout.count() > 0) active_backend().flush(timeout);
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

// Said once, because every application meets it only when a client cannot be made.
void mention_fragile_failure() noexcept {
  static std::atomic<bool> mentioned{false};
  if (rd_kafka_version() >= fixed_version || mentioned.exchange(true, std::memory_order_relaxed)) return;
  report(Severity::debug, "kafka.failed_new",
         "This librdkafka is older than 2.13: when rd_kafka_new() fails for an instrumented configuration, "
         "do not destroy "
         "the configuration (it would crash); midtrace::kafka::create() takes care of it.");
}

}  // namespace

bool instrument(rd_kafka_conf_t* conf, Options options) noexcept {
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
    mention_fragile_failure();
    const rd_kafka_resp_err_t error = add_to(conf, std::move(ready));
    if (error == RD_KAFKA_RESP_ERR__CONFLICT) {
      report(Severity::warning, "kafka.instrument_twice",
             "midtrace::kafka::instrument() was called twice for one configuration; the second call changed "
             "nothing.");
      return true;
    }
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    report(Severity::error, "kafka.instrument", rd_kafka_err2str(error));
  } catch (...) {
    report(Severity::error, "kafka.instrument", "There was no memory to instrument a Kafka configuration.");
  }
  return false;
}

rd_kafka_t* create(rd_kafka_type_t type, rd_kafka_conf_t* conf, char* errstr, std::size_t errstr_size,
                   Options options) noexcept {
  if (conf == nullptr) conf = rd_kafka_conf_new();
  instrument(conf, std::move(options));
  rd_kafka_t* handle = rd_kafka_new(type, conf, errstr, errstr_size);
  if (handle == nullptr && rd_kafka_version() >= fixed_version) rd_kafka_conf_destroy(conf);
  return handle;
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
