#include "live/kafka_second_copy.h"

#include <chrono>
#include <utility>

#include <midtrace/kafka.h>

namespace {

using namespace midtrace;

bool instrument(rd_kafka_conf_t* conf, SecondCopyMode mode) {
  kafka::Options options;
  if (mode == SecondCopyMode::off) options.mode = ModuleMode::off;
  if (mode == SecondCopyMode::without_polls) options.poll_spans = kafka::PollSpans::off;
  if (mode == SecondCopyMode::all_commits) options.commit_spans = kafka::CommitSpans::on;
  return kafka::instrument(conf, std::move(options));
}

bool consume_and_process(rd_kafka_t* consumer, void (*inside)()) {
  const kafka::Message message = kafka::consume(consumer, std::chrono::seconds(10));
  if (!message) return false;
  const auto processing = kafka::process(message);
  inside();
  return true;
}

constexpr SecondCopy copy{instrument, consume_and_process};

}  // namespace

extern "C" [[gnu::visibility("default")]] const SecondCopy* midtrace_test_second_copy() { return &copy; }
