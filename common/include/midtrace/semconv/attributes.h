// Every attribute name midtrace can put on a span, as typed constants: the one place where they are spelled.
//
// Read from the OpenTelemetry semantic conventions 1.44.0, except `midtrace.*`, which the conventions have no
// name for. An identifier is the attribute's name with `.` written as `_`.
#pragma once

#include <cstdint>
#include <string_view>

#include <midtrace/trace/attribute.h>

namespace midtrace {
inline namespace v1 {
namespace semconv {

// The schema that all instrumentation scopes of midtrace are stamped with.
inline constexpr std::string_view schema_url = "https://opentelemetry.io/schemas/1.44.0";

// Messaging.
inline constexpr AttributeKey<std::string_view> messaging_system{"messaging.system"};
inline constexpr AttributeKey<std::string_view> messaging_operation_name{"messaging.operation.name"};
inline constexpr AttributeKey<std::string_view> messaging_operation_type{"messaging.operation.type"};
inline constexpr AttributeKey<std::string_view> messaging_destination_name{"messaging.destination.name"};
inline constexpr AttributeKey<std::string_view> messaging_destination_template{
    "messaging.destination.template"};
inline constexpr AttributeKey<std::string_view> messaging_destination_partition_id{
    "messaging.destination.partition.id"};
inline constexpr AttributeKey<bool> messaging_destination_temporary{"messaging.destination.temporary"};
inline constexpr AttributeKey<bool> messaging_destination_anonymous{"messaging.destination.anonymous"};
inline constexpr AttributeKey<std::string_view> messaging_destination_subscription_name{
    "messaging.destination.subscription.name"};
inline constexpr AttributeKey<std::string_view> messaging_consumer_group_name{
    "messaging.consumer.group.name"};
inline constexpr AttributeKey<std::int64_t> messaging_batch_message_count{"messaging.batch.message_count"};
inline constexpr AttributeKey<std::string_view> messaging_message_id{"messaging.message.id"};
inline constexpr AttributeKey<std::string_view> messaging_message_conversation_id{
    "messaging.message.conversation_id"};
inline constexpr AttributeKey<std::int64_t> messaging_message_body_size{"messaging.message.body.size"};
inline constexpr AttributeKey<std::int64_t> messaging_message_envelope_size{
    "messaging.message.envelope.size"};
inline constexpr AttributeKey<std::string_view> messaging_client_id{"messaging.client.id"};
inline constexpr AttributeKey<double> midtrace_messaging_queue_time{"midtrace.messaging.queue_time"};
inline constexpr AttributeKey<bool> midtrace_messaging_clock_skewed{"midtrace.messaging.clock_skewed"};
inline constexpr AttributeKey<std::int64_t> midtrace_messaging_attempt{"midtrace.messaging.attempt"};
inline constexpr AttributeKey<bool> midtrace_messaging_redelivered{"midtrace.messaging.redelivered"};
inline constexpr AttributeKey<std::string_view> midtrace_process_ended_by{"midtrace.process.ended_by"};
inline constexpr AttributeKey<bool> midtrace_links_shared{"midtrace.links.shared"};
inline constexpr AttributeKey<bool> midtrace_discarded{"midtrace.discarded"};
inline constexpr AttributeKey<std::string_view> midtrace_task_queue{"midtrace.task.queue"};
inline constexpr AttributeKey<std::string_view> midtrace_task_id{"midtrace.task.id"};

// Kafka.
inline constexpr AttributeKey<std::string_view> messaging_kafka_message_key{"messaging.kafka.message.key"};
inline constexpr AttributeKey<bool> messaging_kafka_message_tombstone{"messaging.kafka.message.tombstone"};
inline constexpr AttributeKey<std::int64_t> messaging_kafka_offset{"messaging.kafka.offset"};
inline constexpr AttributeKey<std::string_view> messaging_kafka_cluster_id{"messaging.kafka.cluster.id"};
inline constexpr AttributeKey<std::int64_t> midtrace_messaging_lag{"midtrace.messaging.lag"};
inline constexpr AttributeKey<std::string_view> midtrace_kafka_rebalance_kind{
    "midtrace.kafka.rebalance.kind"};
inline constexpr AttributeKey<std::int64_t> midtrace_kafka_rebalance_partition_count{
    "midtrace.kafka.rebalance.partition_count"};
inline constexpr AttributeKey<std::string_view> midtrace_kafka_error_reason{"midtrace.kafka.error.reason"};

// RabbitMQ.
inline constexpr AttributeKey<std::string_view> messaging_rabbitmq_destination_routing_key{
    "messaging.rabbitmq.destination.routing_key"};
inline constexpr AttributeKey<std::int64_t> messaging_rabbitmq_message_delivery_tag{
    "messaging.rabbitmq.message.delivery_tag"};
inline constexpr AttributeKey<bool> midtrace_messaging_requeued{"midtrace.messaging.requeued"};
inline constexpr AttributeKey<std::string_view> midtrace_amqp_vhost{"midtrace.amqp.vhost"};
inline constexpr AttributeKey<bool> midtrace_amqp_tls{"midtrace.amqp.tls"};
inline constexpr AttributeKey<std::string_view> midtrace_amqp_first_death_queue{
    "midtrace.amqp.first_death.queue"};
inline constexpr AttributeKey<std::string_view> midtrace_amqp_first_death_exchange{
    "midtrace.amqp.first_death.exchange"};
inline constexpr AttributeKey<std::string_view> midtrace_amqp_first_death_reason{
    "midtrace.amqp.first_death.reason"};

// Databases.
inline constexpr AttributeKey<std::string_view> db_system_name{"db.system.name"};
inline constexpr AttributeKey<std::string_view> db_namespace{"db.namespace"};
inline constexpr AttributeKey<std::string_view> db_operation_name{"db.operation.name"};
inline constexpr AttributeKey<std::string_view> db_collection_name{"db.collection.name"};
inline constexpr AttributeKey<std::string_view> db_query_summary{"db.query.summary"};
inline constexpr AttributeKey<std::string_view> db_query_text{"db.query.text"};
inline constexpr AttributeKey<std::int64_t> db_operation_batch_size{"db.operation.batch.size"};
inline constexpr AttributeKey<std::string_view> db_stored_procedure_name{"db.stored_procedure.name"};
inline constexpr AttributeKey<std::string_view> db_response_status_code{"db.response.status_code"};
inline constexpr AttributeKey<std::int64_t> db_response_returned_rows{"db.response.returned_rows"};
inline constexpr AttributeKey<std::string_view> db_client_connection_pool_name{
    "db.client.connection.pool.name"};
inline constexpr AttributeKey<std::string_view> db_client_connection_state{"db.client.connection.state"};
inline constexpr AttributeKey<std::int64_t> midtrace_aggregated_count{"midtrace.aggregated.count"};
inline constexpr AttributeKey<double> midtrace_db_pool_wait_time{"midtrace.db.pool.wait_time"};

// Redis.
inline constexpr AttributeKey<bool> midtrace_redis_aborted{"midtrace.redis.aborted"};
inline constexpr AttributeKey<std::int64_t> midtrace_redis_cluster_slot{"midtrace.redis.cluster.slot"};
inline constexpr AttributeKey<std::string_view> midtrace_redis_cluster_node{"midtrace.redis.cluster.node"};

// General.
inline constexpr AttributeKey<std::string_view> error_type{"error.type"};
inline constexpr AttributeKey<std::string_view> server_address{"server.address"};
inline constexpr AttributeKey<std::int64_t> server_port{"server.port"};
inline constexpr AttributeKey<std::string_view> client_address{"client.address"};
inline constexpr AttributeKey<std::int64_t> client_port{"client.port"};
inline constexpr AttributeKey<std::string_view> network_peer_address{"network.peer.address"};
inline constexpr AttributeKey<std::int64_t> network_peer_port{"network.peer.port"};
inline constexpr AttributeKey<std::string_view> network_local_address{"network.local.address"};
inline constexpr AttributeKey<std::int64_t> network_local_port{"network.local.port"};
inline constexpr AttributeKey<std::string_view> network_transport{"network.transport"};
inline constexpr AttributeKey<std::string_view> network_type{"network.type"};
inline constexpr AttributeKey<std::string_view> network_protocol_name{"network.protocol.name"};
inline constexpr AttributeKey<std::string_view> network_protocol_version{"network.protocol.version"};
inline constexpr AttributeKey<std::string_view> exception_type{"exception.type"};
inline constexpr AttributeKey<std::string_view> exception_message{"exception.message"};
inline constexpr AttributeKey<std::string_view> exception_stacktrace{"exception.stacktrace"};
inline constexpr AttributeKey<std::string_view> service_peer_name{"service.peer.name"};
inline constexpr AttributeKey<std::string_view> service_peer_namespace{"service.peer.namespace"};
inline constexpr AttributeKey<std::string_view> service_name{"service.name"};
inline constexpr AttributeKey<std::string_view> service_namespace{"service.namespace"};
inline constexpr AttributeKey<std::string_view> service_version{"service.version"};
inline constexpr AttributeKey<std::string_view> service_instance_id{"service.instance.id"};
inline constexpr AttributeKey<std::int64_t> process_pid{"process.pid"};
inline constexpr AttributeKey<std::string_view> process_executable_name{"process.executable.name"};
inline constexpr AttributeKey<std::string_view> process_executable_path{"process.executable.path"};
inline constexpr AttributeKey<std::string_view> host_name{"host.name"};
inline constexpr AttributeKey<std::string_view> host_arch{"host.arch"};
inline constexpr AttributeKey<std::string_view> host_id{"host.id"};
inline constexpr AttributeKey<std::string_view> os_type{"os.type"};
inline constexpr AttributeKey<std::string_view> os_version{"os.version"};
inline constexpr AttributeKey<std::string_view> container_id{"container.id"};
inline constexpr AttributeKey<std::string_view> telemetry_sdk_name{"telemetry.sdk.name"};
inline constexpr AttributeKey<std::string_view> telemetry_sdk_language{"telemetry.sdk.language"};
inline constexpr AttributeKey<std::string_view> telemetry_sdk_version{"telemetry.sdk.version"};
inline constexpr AttributeKey<std::int64_t> thread_id{"thread.id"};
inline constexpr AttributeKey<std::string_view> thread_name{"thread.name"};
inline constexpr AttributeKey<bool> otel_metric_overflow{"otel.metric.overflow"};

// Old names, only with the `/dup` opt-in.
inline constexpr AttributeKey<bool> deprecated_exception_escaped{"exception.escaped"};
inline constexpr AttributeKey<std::string_view> deprecated_peer_service{"peer.service"};
inline constexpr AttributeKey<std::string_view> deprecated_messaging_operation{"messaging.operation"};
inline constexpr AttributeKey<std::string_view> deprecated_messaging_client_id{"messaging.client_id"};
inline constexpr AttributeKey<std::string_view> deprecated_messaging_destination_publish_name{
    "messaging.destination_publish.name"};
inline constexpr AttributeKey<bool> deprecated_messaging_destination_publish_anonymous{
    "messaging.destination_publish.anonymous"};
inline constexpr AttributeKey<std::string_view> deprecated_messaging_kafka_consumer_group{
    "messaging.kafka.consumer.group"};
inline constexpr AttributeKey<std::int64_t> deprecated_messaging_kafka_destination_partition{
    "messaging.kafka.destination.partition"};
inline constexpr AttributeKey<std::int64_t> deprecated_messaging_kafka_message_offset{
    "messaging.kafka.message.offset"};
inline constexpr AttributeKey<std::string_view> deprecated_db_sql_table{"db.sql.table"};
inline constexpr AttributeKey<std::string_view> deprecated_db_system{"db.system"};
inline constexpr AttributeKey<std::string_view> deprecated_db_name{"db.name"};
inline constexpr AttributeKey<std::string_view> deprecated_db_statement{"db.statement"};
inline constexpr AttributeKey<std::string_view> deprecated_db_operation{"db.operation"};
inline constexpr AttributeKey<std::string_view> deprecated_db_connection_string{"db.connection_string"};
inline constexpr AttributeKey<std::string_view> deprecated_db_user{"db.user"};
inline constexpr AttributeKey<std::string_view> deprecated_db_instance_id{"db.instance.id"};
inline constexpr AttributeKey<std::string_view> deprecated_state{"state"};
inline constexpr AttributeKey<std::string_view> deprecated_pool_name{"pool.name"};
inline constexpr AttributeKey<std::string_view> deprecated_db_client_connections_state{
    "db.client.connections.state"};
inline constexpr AttributeKey<std::string_view> deprecated_db_client_connections_pool_name{
    "db.client.connections.pool.name"};
inline constexpr AttributeKey<std::int64_t> deprecated_db_redis_database_index{"db.redis.database_index"};

}  // namespace semconv
}  // namespace v1
}  // namespace midtrace
