// Every case of the program, in the order of the result.
#pragma once

#include <span>

#include "harness.h"

namespace midtrace::bench {

std::span<const Case> cases();
std::span<const ChildCase> child_cases();

// spans.cpp
void sampled_span(Session& session);
void unsampled_span(Session& session);
void spans_on_many_threads(Session& session);
// sampling.cpp
void consistent_sampling(Session& session);
// bridge.cpp, where opentelemetry-cpp was found
void bridged_span(Session& session);
// propagation.cpp
void inject_trace_context(Session& session);
void extract_trace_context(Session& session);
// saturation.cpp
void dropped_span(Session& session);
void export_rate(Session& session);
void stuck_exporter(Session& session);
// memory.cpp
void memory(Session& session);
std::vector<double> child_buffered_spans();
std::vector<double> child_pending_spans();
std::vector<double> child_many_spans();
// otlp.cpp, where the module is built
void otlp_encode(Session& session);
// kafka.cpp, where the module is built
void kafka_produce(Session& session);
void kafka_acknowledgement(Session& session);
void kafka_process(Session& session);
void kafka_memory(Session& session);
std::vector<double> child_kafka_hand();
std::vector<double> child_kafka_sampled();
// kafka_scaling.cpp, likewise
void kafka_message_count(Session& session);
void kafka_batch_size(Session& session);
// amqp.cpp, where the module is built
void amqp_message(Session& session);
void amqp_open_messages(Session& session);
void amqp_memory(Session& session);
std::vector<double> child_amqp_open_publishes();
std::vector<double> child_amqp_unsettled();

}  // namespace midtrace::bench
