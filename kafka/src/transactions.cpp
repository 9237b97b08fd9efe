// The transaction API of Producer.
//
// Unlike messages the calls need no interceptor, so a span begins and ends around each of them. Source:
// conventions 2; KIP-98.
#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "client.h"
#include "describe.h"
#include "error_names.h"
#include "spans.h"

#include <midtrace/context/context.h>
#include <midtrace/kafka/producer.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

namespace {

// The group's name out of librdkafka's serialized form, in which it stands behind a version and the
// generation; empty when the form is another one.
std::string_view group_in(const void* serialized, std::size_t size) noexcept {
  constexpr std::string_view version = "CGMDv2:";
  constexpr std::size_t generation_bytes = sizeof(std::int32_t);
  const std::string_view bytes(static_cast<const char*>(serialized), size);
  if (!bytes.starts_with(version) || size < version.size() + generation_bytes) return {};
  const std::string_view rest = bytes.substr(version.size() + generation_bytes);
  const std::size_t end = rest.find('\0');
  return end != std::string_view::npos ? rest.substr(0, end) : std::string_view();
}

// librdkafka has no accessor for it.
void describe_group(rd_kafka_t* handle, const rd_kafka_consumer_group_metadata_t* group,
                    Span& span) noexcept {
  void* serialized = nullptr;
  std::size_t size = 0;
  if (rd_kafka_error_t* error = rd_kafka_consumer_group_metadata_write(group, &serialized, &size)) {
    rd_kafka_error_destroy(error);
    return;
  }
  if (const std::string_view name = group_in(serialized, size); !name.empty())
    span.set(semconv::messaging_consumer_group_name, name);
  rd_kafka_mem_free(handle, serialized);
}

}  // namespace

TransactionCall::TransactionCall(rd_kafka_t* handle, const std::shared_ptr<Client>& client,
                                 Operation operation,
                                 const rd_kafka_consumer_group_metadata_t* group) noexcept
    : client_(client.get()), operation_(operation) {
  if (client_ == nullptr) return;
  const Context ambient = Context::current();
  if (!tracing(*client_, ambient)) return;
  client_->learn_cluster_id(handle);
  const PreparedSpan* prepared = client_->prepared(client_->topic({}, nullptr), operation);
  if (prepared == nullptr) return;
  span_ = client_->options().tracer.start(
      prepared->name, {.kind = SpanKind::client, .parent = &ambient, .attributes = prepared->attributes});
  if (!span_.recording()) return;
  set_cluster(*client_, span_);
  if (group != nullptr) describe_group(handle, group, span_);
  if (const Hook& hook = client_->options().user.on_start) run_hook(hook, span_, {operation, {}, {}});
}

TransactionCall::~TransactionCall() {
  if (!span_.recording()) return;
  if (const Hook& hook = client_->options().user.on_finish) run_hook(hook, span_, {operation_, {}, {}});
  span_.end();
}

void TransactionCall::failed(rd_kafka_resp_err_t error) noexcept {
  if (span_.recording()) span_.set_error(error_name(error));
}

}  // namespace detail

rd_kafka_error_t* Producer::init_transactions(int timeout_ms) const noexcept {
  detail::TransactionCall call(handle_, client_, Operation::init_transactions);
  return call.answered(rd_kafka_init_transactions(handle_, timeout_ms));
}

rd_kafka_error_t* Producer::begin_transaction() const noexcept {
  detail::TransactionCall call(handle_, client_, Operation::begin_transaction);
  return call.answered(rd_kafka_begin_transaction(handle_));
}

rd_kafka_error_t* Producer::send_offsets_to_transaction(
    const rd_kafka_topic_partition_list_t* offsets, const rd_kafka_consumer_group_metadata_t* group_metadata,
    int timeout_ms) const noexcept {
  detail::TransactionCall call(handle_, client_, Operation::send_offsets_to_transaction, group_metadata);
  return call.answered(rd_kafka_send_offsets_to_transaction(handle_, offsets, group_metadata, timeout_ms));
}

rd_kafka_error_t* Producer::commit_transaction(int timeout_ms) const noexcept {
  detail::TransactionCall call(handle_, client_, Operation::commit_transaction);
  return call.answered(rd_kafka_commit_transaction(handle_, timeout_ms));
}

rd_kafka_error_t* Producer::abort_transaction(int timeout_ms) const noexcept {
  detail::TransactionCall call(handle_, client_, Operation::abort_transaction);
  return call.answered(rd_kafka_abort_transaction(handle_, timeout_ms));
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
