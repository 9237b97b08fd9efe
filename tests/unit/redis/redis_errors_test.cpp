// What error replies, broken connections and redirections are called on spans.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <string_view>

#include <midtrace/redis/library.h>

#include "errors.h"

namespace midtrace::redis::detail {
namespace {

TEST(RedisErrors, APrefixIsACodeOfCapitals) {
  const struct {
    std::string_view message;
    std::string_view prefix;
  } cases[] = {
      {"ERR unknown command", "ERR"},
      {"WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"},
      {"NOAUTH Authentication required.", "NOAUTH"},
      {"CLUSTERDOWN", "CLUSTERDOWN"},
      {"MY_ERR-2 of a script", "MY_ERR-2"},
      {"", ""},
      {" ERR", ""},
      {"secret", ""},
      {"Unknown index name", ""},
      {"4711", ""},
      {"ERR: no", ""},
      {"ERR\n no", ""},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", ""},
  };
  for (const auto& [message, prefix] : cases)
    EXPECT_EQ(error_prefix(message), prefix) << message;
}

TEST(RedisErrors, ConnectionErrorsHaveTheNamesOfTheirConstants) {
  EXPECT_EQ(connection_error_name(REDIS_ERR_IO, ECONNRESET), "REDIS_ERR_IO");
  EXPECT_EQ(connection_error_name(REDIS_ERR_IO, EAGAIN), "REDIS_ERR_TIMEOUT");
  EXPECT_EQ(connection_error_name(REDIS_ERR_IO, ETIMEDOUT), "REDIS_ERR_TIMEOUT");
  EXPECT_EQ(connection_error_name(REDIS_ERR_EOF, EAGAIN), "REDIS_ERR_EOF");
  EXPECT_EQ(connection_error_name(REDIS_ERR_PROTOCOL, 0), "REDIS_ERR_PROTOCOL");
  EXPECT_EQ(connection_error_name(REDIS_ERR_OOM, 0), "REDIS_ERR_OOM");
  EXPECT_EQ(connection_error_name(REDIS_ERR_OTHER, 0), "REDIS_ERR_OTHER");
  EXPECT_EQ(connection_error_name(6, 0), "REDIS_ERR_TIMEOUT");
  EXPECT_EQ(connection_error_name(99, 0), "_OTHER");
}

TEST(RedisErrors, RedirectionsNameTheSlotAndTheNode) {
  const auto moved = redirection_of("MOVED 3999 127.0.0.1:6381");
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->kind, "MOVED");
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->node, "127.0.0.1:6381");
  const auto ask = redirection_of("ASK 16383 :6381");
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->kind, "ASK");
  EXPECT_EQ(ask->node, ":6381");
  for (const char* other : {"", "MOVED", "MOVED ", "MOVED 1", "MOVED 1 ", "MOVED x h:1", "MOVED -1 h:1",
                            "MOVED 16384 h:1", "MOVED 1 h:1 more", "MOVED 1 h\n:1", "ERR 1 h:1"})
    EXPECT_FALSE(redirection_of(other)) << other;
  EXPECT_FALSE(redirection_of("MOVED 1 " + std::string(300, 'h')));
}

}  // namespace
}  // namespace midtrace::redis::detail
