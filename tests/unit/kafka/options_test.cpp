// What the options and the environment are turned into.

#include "ready_options.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include <midtrace/trace/counters.h>

namespace midtrace {
namespace {

using kafka::Options;
using kafka::detail::brokers_take_headers;
using kafka::detail::parse_server;
using kafka::detail::ReadyOptions;
using kafka::detail::wants_old_names;

void expect_server(std::string_view text, std::string_view host, int port) {
  const kafka::detail::ServerAddress address = parse_server(text);
  EXPECT_EQ(address.host, host) << text;
  EXPECT_EQ(host.empty() ? 0 : address.port, port) << text;
}

TEST(KafkaServerAddress, OneBootstrapServerIsTheServer) {
  expect_server("broker.example", "broker.example", 9092);
  expect_server("broker.example:29092", "broker.example", 29092);
  expect_server("  SASL_SSL://broker.example:9093 ", "broker.example", 9093);
  expect_server("10.0.0.7:9092", "10.0.0.7", 9092);
  expect_server("[2001:db8::1]:9093", "2001:db8::1", 9093);
  expect_server("[2001:db8::1]", "2001:db8::1", 9092);
  expect_server("2001:db8::1", "2001:db8::1", 9092);
}

TEST(KafkaServerAddress, SeveralServersOrNonsenseAreNone) {
  for (const char* text : {"", "a:9092,b:9092", "a:9092,", "a:port", "a:99999", "a:0", "[::1", "[::1]x"}) {
    expect_server(text, "", 0);
  }
}

TEST(KafkaOldNames, OnlyTheDupTokenAsksForThem) {
  EXPECT_TRUE(wants_old_names("messaging/dup"));
  EXPECT_TRUE(wants_old_names("http/dup, messaging/dup ,database"));
  EXPECT_TRUE(wants_old_names("messaging,messaging/dup"));
  EXPECT_FALSE(wants_old_names(""));
  EXPECT_FALSE(wants_old_names("messaging"));
  EXPECT_FALSE(wants_old_names("database/dup"));
  EXPECT_FALSE(wants_old_names("messaging/dupe"));
}

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
