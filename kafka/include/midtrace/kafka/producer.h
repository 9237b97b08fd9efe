// Producer: librdkafka's produce calls, traced where interceptors cannot see.
//
// It borrows a client that was made from an instrumented configuration. The members are librdkafka's
// functions without the prefix, with their parameters, return values, errno and rd_kafka_last_error(). What
// they add: a failed `send` span for a message that librdkafka refused before its interceptors saw it (queue
// full, message too large), the end of spans that produce_batch() leaves without a delivery report, and a
// CLIENT span for each call of the transaction API, named after it, as long as the call and a child of the
// current span. A client that is not instrumented is passed through, which is reported once.
//
// Any number of threads may use one Producer, as they may use the client. It must not outlive the client.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <midtrace/kafka/options.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

class Client;

// The client's tracing state; null when it is not instrumented.
std::shared_ptr<Client> find_producer(const rd_kafka_t* handle) noexcept;

// What is known of a message that was refused.
struct RefusedMessage {
  std::string_view topic = {};
  std::int32_t partition = RD_KAFKA_PARTITION_UA;
  const void* payload = nullptr;
  std::size_t length = 0;
  const void* key = nullptr;
  std::size_t key_length = 0;
};

// Brackets one produce call of one message on this thread.
class SendCall {
 public:
  explicit SendCall(const std::shared_ptr<Client>& client) noexcept;
  ~SendCall();
  SendCall(const SendCall&) = delete;
  SendCall& operator=(const SendCall&) = delete;

  // To be called when the call failed; makes the span if no interceptor did. Keeps errno.
  void failed(rd_kafka_resp_err_t error, const RefusedMessage& message) noexcept;
  // The same for the arguments of rd_kafka_producev, ending in RD_KAFKA_V_END.
  void failed_arguments(int error, ...) noexcept;
  void failed_array(rd_kafka_resp_err_t error, const rd_kafka_vu_t* arguments, std::size_t count) noexcept;

 private:
  Client* client_;
  std::uint64_t sends_before_ = 0;
  std::uint64_t tick_ = 0;
};

// Brackets one call of the transaction API with its span, which ends with this object.
class TransactionCall {
 public:
  // `client` may be null; `group` is known to send_offsets_to_transaction() only.
  TransactionCall(rd_kafka_t* handle, const std::shared_ptr<Client>& client, Operation operation,
                  const rd_kafka_consumer_group_metadata_t* group = nullptr) noexcept;
  ~TransactionCall();
  TransactionCall(const TransactionCall&) = delete;
  TransactionCall& operator=(const TransactionCall&) = delete;

  // What librdkafka answered; the caller keeps it. Null: nothing went wrong.
  rd_kafka_error_t* answered(rd_kafka_error_t* error) noexcept {
    if (error != nullptr) failed(rd_kafka_error_code(error));
    return error;
  }
  void failed(rd_kafka_resp_err_t error) noexcept;

 private:
  Client* client_;
  Operation operation_;
  Span span_;
};

}  // namespace detail

class Producer {
 public:
  explicit Producer(rd_kafka_t* handle) noexcept : handle_(handle), client_(detail::find_producer(handle)) {}

  rd_kafka_t* get() const noexcept { return handle_; }

  int produce(rd_kafka_topic_t* topic, std::int32_t partition, int msgflags, void* payload,
              std::size_t length, const void* key, std::size_t key_length, void* msg_opaque) const noexcept;

  // Takes what rd_kafka_producev takes after the handle: RD_KAFKA_V_TOPIC(...), ..., RD_KAFKA_V_END.
  template <class... Arguments>
  rd_kafka_resp_err_t producev(Arguments... arguments) const noexcept {
    detail::SendCall call(client_);
    const rd_kafka_resp_err_t error = rd_kafka_producev(handle_, arguments...);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) call.failed_arguments(static_cast<int>(error), arguments...);
    return error;
  }
  rd_kafka_error_t* produceva(const rd_kafka_vu_t* arguments, std::size_t count) const noexcept;

  int produce_batch(rd_kafka_topic_t* topic, std::int32_t partition, int msgflags,
                    rd_kafka_message_t* messages, int count) const noexcept;

  int poll(int timeout_ms) const noexcept;
  rd_kafka_resp_err_t flush(int timeout_ms) const noexcept;
  // The `send` spans of purged messages end with their delivery reports, as `_PURGE_QUEUE` and
  // `_PURGE_INFLIGHT`.
  rd_kafka_resp_err_t purge(int purge_flags) const noexcept;

  rd_kafka_error_t* init_transactions(int timeout_ms) const noexcept;
  rd_kafka_error_t* begin_transaction() const noexcept;
  rd_kafka_error_t* send_offsets_to_transaction(const rd_kafka_topic_partition_list_t* offsets,
                                                const rd_kafka_consumer_group_metadata_t* group_metadata,
                                                int timeout_ms) const noexcept;
  rd_kafka_error_t* commit_transaction(int timeout_ms) const noexcept;
  // Messages that were not sent yet are purged; their `send` spans end with that.
  rd_kafka_error_t* abort_transaction(int timeout_ms) const noexcept;

 private:
  rd_kafka_t* handle_;
  std::shared_ptr<detail::Client> client_;
};

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
