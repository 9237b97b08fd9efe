// instrument(): one call on a configuration object traces every client made from it, through librdkafka's
// interceptors.
//
// Copies of the configuration (rd_kafka_conf_dup, and copies of copies) are instrumented too. A producer's
// messages get a `send` span each and carry the trace context in their headers; a consumer's get `poll`
// spans. Nothing else changes: callbacks, opaque pointers, return values, payloads and the application's own
// headers stay as they are.
//
// Call it once per configuration object, before the client is created, from the thread that owns the object.
// It returns false, with the reason reported through the logger, when librdkafka refused; the configuration
// stays usable.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>

#include <midtrace/kafka/options.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

// A second call for the same object changes nothing and returns true; its options are ignored, with a
// warning.
bool instrument(rd_kafka_conf_t* conf, Options options = {}) noexcept;

// instrument(), unless that was done before, and rd_kafka_new(). It takes `conf` over whether it succeeds or
// not, because librdkafka before 2.13 crashes when a configuration with interceptors is destroyed after a
// failed rd_kafka_new(): there this call leaves the object allocated instead. Null, with the reason in
// `errstr`, when the client cannot be made.
rd_kafka_t* create(rd_kafka_type_t type, rd_kafka_conf_t* conf, char* errstr, std::size_t errstr_size,
                   Options options = {}) noexcept;

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
