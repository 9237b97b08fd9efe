// Transactions through redis::Client on a real server: one span from MULTI to the reply that ends it, whether
// sent one by one or in a pipeline, and how each of their ends is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include <midtrace/redis.h>
#include <midtrace/trace/counters.h>

#include "live/redis_fixture.h"

namespace midtrace::test {
namespace {

using redis::Client;
using redis::Options;
using redis::Reply;
using ::testing::ElementsAre;
using ::testing::StartsWith;

class RedisTransaction : public RedisTraced {
 protected:
  Client client(Options options = {}) { return Client(connect().release(), std::move(options)); }

  static std::string next(Client& redis) {
    Reply reply;
    if (redis.get_reply(reply) != REDIS_OK) return "failed";
    return reply != nullptr ? to_string(*reply) : "none";
  }
  static std::string ask(Client& redis, const char* command) {
    const Reply reply = redis.command(command);
    return reply != nullptr ? to_string(*reply) : "none";
  }
};

TEST_F(RedisTransaction, IsOneSpanOfItsOwnWhenSentOneByOne) {
  use_real_clock();
  Client redis = client();
  {
    Span request = start_span("request");
    const Scope scope = request.activate();
    EXPECT_EQ(ask(redis, "MULTI"), "OK");
    EXPECT_EQ(ask(redis, "SET k secret"), "QUEUED");
    EXPECT_EQ(ask(redis, "GET k"), "QUEUED");
    EXPECT_EQ(ask(redis, "EXEC"), R"([1) OK 2) "secret"])");
    EXPECT_EQ(ask(redis, "GET k"), "\"secret\"");
  }
  EXPECT_EQ(tree(), R"(
request INTERNAL
  MULTI CLIENT
    db.namespace = 0
    db.operation.batch.size = 2
    db.operation.name = MULTI
    db.query.text = SET k ?; GET k
    db.system.name = redis
    network.peer.address = 127.0.0.1
    network.peer.port = PORT
    server.address = 127.0.0.1
    server.port = PORT
  GET CLIENT
    db.namespace = 0
    db.operation.name = GET
    db.query.text = GET k
    db.system.name = redis
    network.peer.address = 127.0.0.1
    network.peer.port = PORT
    server.address = 127.0.0.1
    server.port = PORT
)");
}

TEST_F(RedisTransaction, IsNamedAfterItsCommandWhereAllAreTheSame) {
  use_real_clock();
  Client redis = client();
  for (const char* command :
       {"MULTI", "INCR a", "INCR b", "EXEC", "MULTI", "INCR a", "EXEC", "MULTI", "EXEC"})
    ask(redis, command);
  EXPECT_EQ(brief(), R"(
MULTI INCR CLIENT
  db.operation.batch.size = 2
  db.query.text = INCR a; INCR b
MULTI INCR CLIENT
  db.query.text = INCR a
MULTI CLIENT
  db.operation.batch.size = 0
)");
}

TEST_F(RedisTransaction, HasASpanOfItsOwnInAPipeline) {
  use_real_clock();
  Client redis = client();
  for (const char* command : {"GET a", "GET b", "MULTI", "INCR n", "INCR n", "EXEC", "GET n"})
    redis.append_command(command);
  std::vector<std::string> replies;
  for (int i = 0; i < 7; ++i)
    replies.push_back(next(redis));
  EXPECT_THAT(replies, ElementsAre("(nil)", "(nil)", "OK", "QUEUED", "QUEUED",
                                   "[1) (integer) 1 2) (integer) 2]", "\"2\""));
  EXPECT_EQ(brief(), R"(
PIPELINE GET CLIENT
  db.operation.batch.size = 2
  db.query.text = GET a; GET b
MULTI INCR CLIENT
  db.operation.batch.size = 2
  db.query.text = INCR n
GET CLIENT
  db.query.text = GET n
)");
}

TEST_F(RedisTransaction, AbortedByAWatchedKeyIsNoError) {
  use_real_clock();
  Client redis = client();
  EXPECT_EQ(ask(redis, "WATCH k"), "OK");
  behind_the_back({"SET", "k", "changed"});
  EXPECT_EQ(ask(redis, "MULTI"), "OK");
  EXPECT_EQ(ask(redis, "SET k mine"), "QUEUED");
  EXPECT_EQ(ask(redis, "EXEC"), "(nil)");
  EXPECT_EQ(brief(), R"(
WATCH CLIENT
  db.query.text = WATCH k
MULTI SET CLIENT
  db.query.text = SET k ?
  midtrace.redis.aborted = true
)");
}

TEST_F(RedisTransaction, DiscardedByTheApplicationIsNoError) {
  use_real_clock();
  Client redis = client();
  for (const char* command : {"MULTI", "SET k v", "DISCARD", "MULTI", "SET k v", "RESET", "GET k"})
    ask(redis, command);
  EXPECT_EQ(brief(), R"(
MULTI SET CLIENT
  db.query.text = SET k ?
  midtrace.discarded = true
MULTI SET CLIENT
  db.query.text = SET k ?
  midtrace.discarded = true
GET CLIENT
  db.query.text = GET k
)");
}

TEST_F(RedisTransaction, ItsFirstErrorIsTheSpans) {
  use_real_clock();
  Client redis = client();
  EXPECT_EQ(ask(redis, "MULTI"), "OK");
  EXPECT_EQ(ask(redis, "SET k v"), "QUEUED");
  EXPECT_EQ(ask(redis, "LPUSH k v"), "QUEUED");
  EXPECT_THAT(ask(redis, "EXEC"), StartsWith("[1) OK 2) (error) WRONGTYPE"));
  // Refused when it was queued, and so the whole.
  EXPECT_EQ(ask(redis, "MULTI"), "OK");
  EXPECT_THAT(ask(redis, "GET"), StartsWith("(error) ERR"));
  EXPECT_THAT(ask(redis, "EXEC"), StartsWith("(error) EXECABORT"));
  EXPECT_EQ(brief(), R"(
MULTI CLIENT
  status ERROR
  db.operation.batch.size = 2
  db.query.text = SET k ?; LPUSH k ?
  db.response.status_code = WRONGTYPE
  error.type = WRONGTYPE
MULTI GET CLIENT
  status ERROR
  db.query.text = GET
  db.response.status_code = ERR
  error.type = ERR
)");
}

TEST_F(RedisTransaction, AMultiThatTheServerRefusesBeginsNone) {
  use_real_clock();
  const std::unique_ptr<RedisServer> guarded = start_server({.password = "hunter2"});
  Client redis(connect(*guarded).release());
  EXPECT_THAT(ask(redis, "MULTI"), StartsWith("(error) NOAUTH"));
  EXPECT_EQ(ask(redis, "AUTH hunter2"), "OK");
  EXPECT_EQ(ask(redis, "GET k"), "(nil)");
  EXPECT_THAT(ask(redis, "EXEC"), StartsWith("(error) ERR"));
  EXPECT_EQ(brief(), R"(
MULTI CLIENT
  status ERROR
  db.operation.batch.size = 0
  db.response.status_code = NOAUTH
  error.type = NOAUTH
AUTH CLIENT
  db.query.text = AUTH ?
GET CLIENT
  db.query.text = GET k
EXEC CLIENT
  status ERROR
  db.query.text = EXEC
  db.response.status_code = ERR
  error.type = ERR
)");
}

TEST_F(RedisTransaction, SelectTakesEffectWhenItIsExecuted) {
  Client redis = client();
  const auto database = [&](const char* last) {
    for (const char* command : {"MULTI", "SELECT 3", last, "GET k"})
      ask(redis, command);
    const std::vector<testing::OwnedSpan> spans = recorder_->spans();
    EXPECT_EQ(spans[spans.size() - 2].attribute("db.namespace"), "");
    return spans.back().attribute("db.namespace");
  };
  EXPECT_EQ(database("DISCARD"), "0");
  EXPECT_EQ(database("EXEC"), "3");
}

TEST_F(RedisTransaction, OneThatIsLeftOpenIsLost) {
  {
    Client redis = client();
    ask(redis, "MULTI");
    ask(redis, "SET k v");
  }
  EXPECT_EQ(brief(), R"(
MULTI SET CLIENT
  status ERROR
  db.query.text = SET k ?
  error.type = connection_closed
)");
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 1U);
}

TEST_F(RedisTransaction, OneWhoseConnectionBreaksFails) {
  Client redis = client();
  ask(redis, "MULTI");
  ask(redis, "SET k v");
  server_->stop(RedisServer::StopMode::kKill);
  EXPECT_EQ(ask(redis, "EXEC"), "none");
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_THAT(spans[0].attribute("error.type"), ::testing::AnyOf("REDIS_ERR_EOF", "REDIS_ERR_IO"));
}

TEST_F(RedisTransaction, IsIgnoredWithMulti) {
  Client redis = client({.ignored_commands = {"MULTI"}});
  for (const char* command : {"MULTI", "SET k v", "EXEC", "GET k"})
    ask(redis, command);
  EXPECT_EQ(brief(), R"(
GET CLIENT
  db.query.text = GET k
)");
}

}  // namespace
}  // namespace midtrace::test
