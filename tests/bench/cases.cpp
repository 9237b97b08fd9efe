#include "cases.h"

namespace midtrace::bench {

namespace {

constexpr Case all_cases[] = {
    {"span.sampled", sampled_span},
    {"span.unsampled", unsampled_span},
    {"span.threads", spans_on_many_threads},
    {"sampling.consistent", consistent_sampling},
#ifdef MIDTRACE_BENCH_BRIDGE
    {"bridge.span", bridged_span},
#endif
    {"propagation.inject", inject_trace_context},
    {"propagation.extract", extract_trace_context},
    {"saturation.drop", dropped_span},
    {"saturation.rate", export_rate},
    {"saturation.stuck_exporter", stuck_exporter},
    {"memory", memory},
#ifdef MIDTRACE_BENCH_OTLP
    {"otlp.encode", otlp_encode},
#endif
#ifdef MIDTRACE_BENCH_KAFKA
    {"kafka.produce", kafka_produce},
    {"kafka.acknowledgement", kafka_acknowledgement},
    {"kafka.process", kafka_process},
    {"kafka.message_count", kafka_message_count},
    {"kafka.batch_size", kafka_batch_size},
    {"kafka.memory", kafka_memory},
#endif
#ifdef MIDTRACE_BENCH_AMQP
    {"amqp.message", amqp_message},
    {"amqp.open_messages", amqp_open_messages},
    {"amqp.memory", amqp_memory},
#endif
};

constexpr ChildCase all_child_cases[] = {
    {"buffered_spans", child_buffered_spans},
    {"pending_spans", child_pending_spans},
    {"many_spans", child_many_spans},
#ifdef MIDTRACE_BENCH_KAFKA
    {"kafka_hand", child_kafka_hand},
    {"kafka_sampled", child_kafka_sampled},
#endif
#ifdef MIDTRACE_BENCH_AMQP
    {"amqp_open_publishes", child_amqp_open_publishes},
    {"amqp_unsettled", child_amqp_unsettled},
#endif
};

}  // namespace

std::span<const Case> cases() { return all_cases; }
std::span<const ChildCase> child_cases() { return all_child_cases; }

}  // namespace midtrace::bench
