#include "spans.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

struct OperationNames {
  StaticString name;  // messaging.operation.name, and the beginning of the span's name
  StaticString type;  // messaging.operation.type; empty where the conventions have none
  StaticString old;   // messaging.operation of `messaging/dup`, likewise
  bool of_group;      // what a consumer group does
};

// In the order of Operation.
constexpr std::array<OperationNames, operation_count> operations{{
    {"send", "send", "publish", false},
    {"poll", "receive", "receive", true},
    {"process", "process", "process", true},
    {"create", "create", "create", false},
    {"commit", "settle", "settle", true},
    {"init_transactions", "", "", false},
    {"begin_transaction", "", "", false},
    {"send_offsets_to_transaction", "settle", "settle", true},
    {"commit_transaction", "", "", false},
    {"abort_transaction", "", "", false},
    {"rebalance", "", "", true},
}};

}  // namespace

PreparedSpan prepare_span(const Client& client, const Topic& topic, Operation operation) {
  const OperationNames& names = operations[static_cast<std::size_t>(operation)];
  PreparedSpan prepared;
  prepared.name = names.name.text();
  if (!topic.name().empty()) prepared.name.append(" ").append(topic.name());

  std::vector<Attribute>& attributes = prepared.attributes;
  attributes.push_back({semconv::messaging_system, StaticString("kafka")});
  attributes.push_back({semconv::messaging_operation_name, names.name});
  if (!names.type.text().empty()) attributes.push_back({semconv::messaging_operation_type, names.type});
  if (!topic.name().empty()) attributes.push_back({semconv::messaging_destination_name, topic.name()});
  // What is created is not sent by anyone yet.
  const std::string_view client_id = operation != Operation::create ? client.client_id() : std::string_view();
  if (!client_id.empty()) attributes.push_back({semconv::messaging_client_id, client_id});
  if (names.of_group && !client.group().empty()) {
    attributes.push_back({semconv::messaging_consumer_group_name, client.group()});
  }
  if (!client.server().host.empty()) {
    attributes.push_back({semconv::server_address, client.server().host});
    attributes.push_back({semconv::server_port, client.server().port});
  }
  if (client.options().old_names) {
    if (!names.old.text().empty()) {
      attributes.push_back({semconv::deprecated_messaging_operation, names.old});
    }
    if (!client_id.empty()) {
      attributes.push_back({semconv::deprecated_messaging_client_id, client_id});
    }
    if (names.of_group && !client.group().empty()) {
      attributes.push_back({semconv::deprecated_messaging_kafka_consumer_group, client.group()});
    }
  }
  return prepared;
}

bool tracing(const Client& client, const Context& ambient) noexcept {
  return client.options().mode == ModuleMode::on && !ambient.suppressed;
}

void run_hook(const Hook& hook, Span& span, const Call& call) noexcept {
  try {
    hook(span, call);
  } catch (...) {
    count(Counter::hook_failures);
    report(Severity::warning, "kafka.hook",
           "A Kafka hook threw an exception, which was swallowed; the span goes on.");
  }
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
