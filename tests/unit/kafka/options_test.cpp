// What the options and the environment are turned into.

#include "ready_options.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include <midtrace/trace/counters.h>

namespace midtrace {
namespace {

using kafka::Options;
using kafka::detail::brokers_take_headers;
using kafka::detail::ReadyOptions;

TEST(KafkaReadyOptions, TheModeComesFromTheOptionsThenTheEnvironment) {
  EXPECT_EQ(ReadyOptions({}).mode, ModuleMode::on);
  setenv("MIDTRACE_KAFKA", "propagate", 1);
  EXPECT_EQ(ReadyOptions({}).mode, ModuleMode::propagate);
  EXPECT_EQ(ReadyOptions({.mode = ModuleMode::off}).mode, ModuleMode::off);
  unsetenv("MIDTRACE_KAFKA");
}

TEST(KafkaBrokersTakeHeaders, UnlessTheConfigurationSaysThatTheyAreOld) {
  EXPECT_TRUE(brokers_take_headers("true", "0.10.0")) << "they are asked";
  EXPECT_TRUE(brokers_take_headers("", "0.9.0.1")) << "a librdkafka that has no such property";
  for (const char* old : {"0.10.0", "0.10.2.1", "0.9.0", "0.8.2.2", "0.10"})
    EXPECT_FALSE(brokers_take_headers("false", old)) << old;
  for (const char* recent : {"0.11.0", "0.11", "1.0.0", "2.8", "10.0", "", "nonsense", "0.x"})
    EXPECT_TRUE(brokers_take_headers("false", recent)) << recent;
}

TEST(KafkaReadyOptions, AnAddressThatIsNoneIsCountedAndLeftOut) {
  const std::uint64_t before = counters()[Counter::invalid_configuration];
  EXPECT_EQ(ReadyOptions({.server_address = "broker:9093"}).server.port, 9093);
  EXPECT_EQ(ReadyOptions({.server_address = "broker"}).server.port, 9092);
  EXPECT_EQ(counters()[Counter::invalid_configuration], before);
  const ReadyOptions options({.server_address = "broker:99999"});
  EXPECT_TRUE(options.user.server_address.empty()) << "so that the bootstrap server takes its place";
  EXPECT_EQ(counters()[Counter::invalid_configuration], before + 1);
}

TEST(KafkaReadyOptions, PollSpansAreOnUnlessSwitchedOff) {
  EXPECT_TRUE(ReadyOptions({}).poll_spans);
  EXPECT_TRUE(ReadyOptions({.poll_spans = kafka::PollSpans::on}).poll_spans);
  EXPECT_FALSE(ReadyOptions({.poll_spans = kafka::PollSpans::off}).poll_spans);
}

}  // namespace
}  // namespace midtrace
