#include "interceptors.h"

#include <atomic>
#include <chrono>
#include <utility>

#include "commit_spans.h"
#include "headers.h"
#include "receive_spans.h"
#include "received.h"
#include "send.h"
#include "thread_state.h"

#include "messaging/thread_state.h"

#include <midtrace/trace/backend.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

Client* client_of(void* opaque) noexcept { return static_cast<Instrumented*>(opaque)->client.get(); }

rd_kafka_resp_err_t on_send(rd_kafka_t* handle, rd_kafka_message_t* message, void* opaque) {
  message_sent(*static_cast<Client*>(opaque), handle, message);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_acknowledgement(rd_kafka_t*, rd_kafka_message_t* message, void* opaque) {
  message_acknowledged(*static_cast<Client*>(opaque), message);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_consume(rd_kafka_t* handle, rd_kafka_message_t* message, void* opaque) {
  Client& client = *static_cast<Client*>(opaque);
  ThreadState* thread = thread_state();
  if (thread == nullptr || thread->wrapper_depth > 0) return RD_KAFKA_RESP_ERR_NO_ERROR;
  client.learn_name(handle);
  Delivery delivery = take_in(client, message);
  if (client.options().user.capture_queue_time) delivery.received = current_tick();
  if (messaging::ThreadState* shared = messaging::thread_state(); shared != nullptr)
    shared->remember(delivery.print, message, client.id(), delivery.received);
  if (client.options().poll_spans) record_poll(client, {&delivery, 1}, false, 0, thread);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_commit(rd_kafka_t* handle, const rd_kafka_topic_partition_list_t* offsets,
                              rd_kafka_resp_err_t error, void* opaque) {
  commit_reported(*static_cast<Client*>(opaque), handle, offsets, error);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

// Delivery reports still come after this, so the state stays.
rd_kafka_resp_err_t on_destroy(rd_kafka_t*, void* opaque) {
  Client* client = client_of(opaque);
  if (client == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
  unregister_client(*client);
  if (const rd_kafka_t* claimed = client->claimed(); claimed != nullptr) {
    release_client(claimed);
    release_client(poll_claim(claimed));
    release_client(commit_claim(claimed));
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

}  // namespace

void client_made(Instrumented& instrumented, rd_kafka_t* handle, const rd_kafka_conf_t* conf) noexcept {
  try {
    auto client = std::make_shared<Client>(instrumented.options, conf);
    const ReadyOptions& options = client->options();
    const bool off = options.mode == ModuleMode::off;
    instrumented.client = client;
    rd_kafka_interceptor_add_on_destroy(handle, interceptor_name, on_destroy, &instrumented);
    if (off || !claim_client(handle)) {
      // So that the wrapper knows it and its options; nothing is added to what librdkafka does, and perhaps
      // another copy of midtrace.
      if (!off) {
        client->set_traced_elsewhere();
        client->ask_elsewhere(handle);
      }
      register_client(handle, client);
      return;
    }
    client->set_claimed(handle);
    if (options.mode == ModuleMode::on && options.poll_spans) claim_client(poll_claim(handle));
    rd_kafka_interceptor_add_on_send(handle, interceptor_name, on_send, client.get());
    rd_kafka_interceptor_add_on_acknowledgement(handle, interceptor_name, on_acknowledgement, client.get());
    rd_kafka_interceptor_add_on_consume(handle, interceptor_name, on_consume, client.get());
    if (options.mode == ModuleMode::on && options.user.commit_spans != CommitSpans::off) {
      if (options.user.commit_spans == CommitSpans::on) claim_client(commit_claim(handle));
      rd_kafka_interceptor_add_on_commit(handle, interceptor_name, on_commit, client.get());
      client->set_reports_commits();
    }
    register_client(handle, client);
  } catch (...) {
    report(Severity::error, "kafka.on_new",
           "There was no memory to trace a Kafka client; it works untraced.");
  }
}

void configuration_destroyed(std::unique_ptr<Instrumented> instrumented) noexcept {
  Client* client = instrumented->client.get();
  if (client == nullptr) return;
  bool ended = end_open_sends(*client);
  ended = end_open_commits(*client) || ended;
  const std::chrono::milliseconds timeout = client->options().user.close_flush_timeout;
  if (ended && timeout.count() > 0) active_backend().flush(timeout);
}

void mention_fragile_failure() noexcept {
  static std::atomic<bool> mentioned{false};
  if (rd_kafka_version() >= version_that_survives_failed_new ||
      mentioned.exchange(true, std::memory_order_relaxed))
    return;
  report(Severity::debug, "kafka.failed_new",
         "This librdkafka is older than 2.13: when rd_kafka_new() fails for an instrumented configuration, "
         "do not destroy "
         "the configuration (it would crash); midtrace::kafka::create() takes care of it.");
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
