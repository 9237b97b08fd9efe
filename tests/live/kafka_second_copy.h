// The C interface between the copies test and its plugin, a shared object with a Kafka module of its own.
#ifndef MIDTRACE_TESTS_LIVE_KAFKA_SECOND_COPY_H_
#define MIDTRACE_TESTS_LIVE_KAFKA_SECOND_COPY_H_

#include <librdkafka/rdkafka.h>

enum class SecondCopyMode { on, without_polls, all_commits, off };

struct SecondCopy {
  // kafka::instrument()
  bool (*instrument)(rd_kafka_conf_t* conf, SecondCopyMode mode);
  // kafka::consume() one message and kafka::process() it around `inside`.
  bool (*consume_and_process)(rd_kafka_t* consumer, void (*inside)());
};

extern "C" const SecondCopy* midtrace_test_second_copy();

#endif  // MIDTRACE_TESTS_LIVE_KAFKA_SECOND_COPY_H_
