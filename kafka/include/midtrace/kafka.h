// Tracing for Kafka clients that use librdkafka 2.0.2 or later, by its C API and by its C++ API.
//
//   midtrace::kafka::instrument(conf);  // every client made from this configuration, its copies too
//   auto message = midtrace::kafka::consume(consumer, 100ms);
//   auto processing = midtrace::kafka::process(message);  // the work that follows belongs to this span
//
// kafka/README.md says which spans and attributes come from which call.
#pragma once

#include <midtrace/kafka/client_events.h>
#include <midtrace/kafka/commit.h>
#include <midtrace/kafka/consumer.h>
#include <midtrace/kafka/instrument.h>
#include <midtrace/kafka/options.h>
#include <midtrace/kafka/outbox.h>
#include <midtrace/kafka/process.h>
#include <midtrace/kafka/process_each.h>
#include <midtrace/kafka/producer.h>
#include <midtrace/kafka/statistics.h>

#if __has_include(<librdkafka/rdkafkacpp.h>)
#include <midtrace/kafka/cpp.h>
#endif
