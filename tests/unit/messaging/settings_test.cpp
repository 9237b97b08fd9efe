// What options and the environment mean in all messaging modules.

#include "messaging/settings.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace midtrace {
namespace {

using messaging::parse_server;
using messaging::wants_old_names;

void expect_server(std::string_view text, std::string_view host, int port) {
  const messaging::ServerAddress address = parse_server(text, 9092);
  EXPECT_EQ(address.host, host) << text;
  EXPECT_EQ(host.empty() ? 0 : address.port, port) << text;
}

TEST(MessagingServerAddress, OneServerIsTheServer) {
  expect_server("broker.example", "broker.example", 9092);
  expect_server("broker.example:29092", "broker.example", 29092);
  expect_server("  SASL_SSL://broker.example:9093 ", "broker.example", 9093);
  expect_server("10.0.0.7:9092", "10.0.0.7", 9092);
  expect_server("[2001:db8::1]:9093", "2001:db8::1", 9093);
  expect_server("[2001:db8::1]", "2001:db8::1", 9092);
  expect_server("2001:db8::1", "2001:db8::1", 9092);
}

TEST(MessagingServerAddress, SeveralServersOrNonsenseAreNone) {
  for (const char* text : {"", "a:9092,b:9092", "a:9092,", "a:port", "a:99999", "a:0", "[::1", "[::1]x"}) {
    expect_server(text, "", 0);
  }
}

TEST(MessagingOldNames, OnlyTheDupTokenAsksForThem) {
  EXPECT_TRUE(wants_old_names("messaging/dup"));
  EXPECT_TRUE(wants_old_names("http/dup, messaging/dup ,database"));
  EXPECT_TRUE(wants_old_names("messaging,messaging/dup"));
  EXPECT_FALSE(wants_old_names(""));
  EXPECT_FALSE(wants_old_names("messaging"));
  EXPECT_FALSE(wants_old_names("database/dup"));
  EXPECT_TRUE(wants_old_names("messaging, database/dup", "database/dup"));
  EXPECT_FALSE(wants_old_names("messaging/dup,database", "database/dup"));
  EXPECT_FALSE(wants_old_names("messaging/dupe"));
}

TEST(MessagingEnvironment, AVariableThatIsNotSetIsEmpty) {
  setenv("MIDTRACE_TEST_MESSAGING", "dup", 1);
  EXPECT_EQ(messaging::environment("MIDTRACE_TEST_MESSAGING"), "dup");
  unsetenv("MIDTRACE_TEST_MESSAGING");
  EXPECT_EQ(messaging::environment("MIDTRACE_TEST_MESSAGING"), "");
}

}  // namespace
}  // namespace midtrace
