// Pipelines through redis::Client on a real server: which commands share a span, what it says of them, and
// what becomes of replies that are read late, partly or never.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <midtrace/redis.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/sampler.h>

#include "live/redis_fixture.h"

namespace midtrace::test {
namespace {

using redis::Call;
using redis::Client;
using redis::Options;
using redis::Reply;
using ::testing::ElementsAre;
using ::testing::EndsWith;

class RedisPipeline : public RedisTraced {
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
  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const testing::OwnedSpan& span : recorder_->spans())
      names.push_back(span.name);
    recorder_->clear();
    return names;
  }
};

TEST_F(RedisPipeline, IsOneSpanFromTheFirstAppendToTheLastReply) {
  Client redis = client();
  {
    Span request = start_span("request");
    const Scope scope = request.activate();
    redis.append_command("SET %s %s", "k", "secret");
    recorder_->clock().advance(std::chrono::milliseconds(1));
    redis.append_command("INCR n");
  }
  redis.append_command("GET k");
  EXPECT_EQ(next(redis), "OK");
  EXPECT_EQ(next(redis), "(integer) 1");
  recorder_->clock().advance(std::chrono::milliseconds(2));
  EXPECT_THAT(names(), ElementsAre("request"));
  EXPECT_EQ(next(redis), "\"secret\"");
  EXPECT_EQ(tree({.durations = true}), R"(
PIPELINE CLIENT 3ms
  parent (not here)
  db.namespace = 0
  db.operation.batch.size = 3
  db.operation.name = PIPELINE
  db.query.text = SET k ?; INCR n; GET k
  db.system.name = redis
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(RedisPipeline, IsNamedAfterItsCommandWhereAllAreTheSame) {
  use_real_clock();
  Client redis = client();
  for (const char* key : {"a", "b", "c"})
    redis.append_command("GET %s", key);
  for (int i = 0; i < 3; ++i)
    next(redis);
  redis.append_command("INCR n");
  redis.append_command("incr n");
  next(redis);
  next(redis);
  redis.append_command("HSET h f v");
  next(redis);
  EXPECT_EQ(brief(), R"(
PIPELINE GET CLIENT
  db.operation.batch.size = 3
  db.query.text = GET a; GET b; GET c
PIPELINE INCR CLIENT
  db.operation.batch.size = 2
  db.query.text = INCR n; incr n
HSET CLIENT
  db.query.text = HSET h f ?
)");
}

TEST_F(RedisPipeline, TheSameTextIsSaidOnce) {
  Client redis = client();
  for (int i = 0; i < 3; ++i)
    redis.append_command("RPUSH list %d", i);
  for (int i = 0; i < 3; ++i)
    next(redis);
  EXPECT_EQ(brief(), R"(
PIPELINE RPUSH CLIENT
  db.operation.batch.size = 3
  db.query.text = RPUSH list ?
)");
}

TEST_F(RedisPipeline, TheFirstErrorIsTheSpans) {
  Client redis = client();
  redis.append_command("SET k v");
  redis.append_command("LPUSH k v");
  redis.append_command("NOSUCH");
  redis.append_command("GET k");
  EXPECT_EQ(next(redis), "OK");
  EXPECT_THAT(next(redis), ::testing::StartsWith("(error) WRONGTYPE"));
  EXPECT_THAT(next(redis), ::testing::StartsWith("(error) ERR"));
  EXPECT_EQ(next(redis), "\"v\"");
  EXPECT_EQ(brief(), R"(
PIPELINE CLIENT
  status ERROR
  db.operation.batch.size = 4
  db.query.text = SET k ?; LPUSH k ?; NOSUCH; GET k
  db.response.status_code = WRONGTYPE
  error.type = WRONGTYPE
)");
}

TEST_F(RedisPipeline, ACommandWithRepliesDueGetsTheOldest) {
  use_real_clock();
  Client redis = client();
  redis.append_command("SET k v");
  redis.append_command("LPUSH k v");
  EXPECT_EQ(ask(redis, "GET k"), "OK");
  EXPECT_THAT(ask(redis, "GET none"), ::testing::StartsWith("(error) WRONGTYPE"));
  EXPECT_EQ(next(redis), "\"v\"");
  EXPECT_EQ(next(redis), "(nil)");
  // What was sent once replies were read is a pipeline of its own.
  EXPECT_EQ(brief(), R"(
PIPELINE CLIENT
  status ERROR
  db.operation.batch.size = 3
  db.query.text = SET k ?; LPUSH k ?; GET k
  db.response.status_code = WRONGTYPE
  error.type = WRONGTYPE
GET CLIENT
  db.query.text = GET none
)");
}

TEST_F(RedisPipeline, AWindowOfCommandsHasASpanForEachTimeItPasses) {
  Client redis = client();
  for (int i = 0; i < 10; ++i)
    redis.append_command("INCR first");
  for (int i = 0; i < 3000; ++i) {
    ASSERT_NE(next(redis), "failed");
    redis.append_command("INCR n");
  }
  for (int i = 0; i < 10; ++i)
    ASSERT_NE(next(redis), "failed");
  EXPECT_EQ(ask(redis, "GET n"), "\"3000\"");
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 302U);
  for (std::size_t i = 0; i < 301; ++i) {
    EXPECT_EQ(spans[i].name, "PIPELINE INCR");
    EXPECT_EQ(spans[i].attribute("db.operation.batch.size"), "10");
  }
  EXPECT_EQ(spans.back().name, "GET");
}

TEST_F(RedisPipeline, FormattedCommandsAreReadWhereTheyAreOfHiredis) {
  Client redis = client();
  const std::string two = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n";
  EXPECT_EQ(redis.append_formatted_command(two.data(), two.size()), REDIS_OK);
  EXPECT_EQ(next(redis), "(nil)");
  EXPECT_EQ(next(redis), "(integer) 1");
  EXPECT_THAT(names(), ElementsAre("PIPELINE"));
  const std::string by_hand = "PING\r\n";
  EXPECT_EQ(redis.append_formatted_command(by_hand.data(), by_hand.size()), REDIS_OK);
  EXPECT_EQ(next(redis), "PONG");
  EXPECT_EQ(ask(redis, "GET k"), "(nil)");
  EXPECT_THAT(names(), ElementsAre());
  ASSERT_EQ(redis.reconnect(), REDIS_OK);
  EXPECT_EQ(ask(redis, "GET k"), "(nil)");
  EXPECT_THAT(names(), ElementsAre("GET"));
}

TEST_F(RedisPipeline, ArgumentVectorsAndWrongFormatsAreAsInHiredis) {
  Client redis = client();
  const char* set[] = {"SET", "k", "v"};
  EXPECT_EQ(redis.append_command_argv(3, set, nullptr), REDIS_OK);
  EXPECT_EQ(redis.append_command("GET k"), REDIS_OK);
  EXPECT_EQ(next(redis), "OK");
  EXPECT_EQ(next(redis), "\"v\"");
  EXPECT_EQ(redis.append_command("GET %y", 1), REDIS_ERR);
  EXPECT_STREQ(redis.get()->errstr, "Invalid format string");
  EXPECT_THAT(names(), ElementsAre("PIPELINE"));
}

TEST_F(RedisPipeline, IgnoredCommandsAreLeftOut) {
  Client redis = client();
  for (const char* command : {"PING", "GET a", "PING", "GET b"})
    redis.append_command(command);
  EXPECT_EQ(next(redis), "PONG");
  EXPECT_EQ(next(redis), "(nil)");
  EXPECT_EQ(next(redis), "PONG");
  EXPECT_EQ(next(redis), "(nil)");
  redis.append_command("PING");
  EXPECT_EQ(next(redis), "PONG");
  EXPECT_EQ(brief(), R"(
PIPELINE GET CLIENT
  db.operation.batch.size = 2
  db.query.text = GET a; GET b
)");
}

TEST_F(RedisPipeline, TheDatabaseIsLeftOutWhereItChangesOnTheWay) {
  Client redis = client();
  redis.append_command("SELECT 3");
  redis.append_command("GET k");
  next(redis);
  // The next part is in 3 by then.
  redis.append_command("GET k");
  next(redis);
  next(redis);
  EXPECT_EQ(ask(redis, "GET k"), "(nil)");
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_EQ(spans[0].attribute("db.namespace"), "");
  EXPECT_EQ(spans[1].attribute("db.namespace"), "3");
  EXPECT_EQ(spans[2].attribute("db.namespace"), "3");
}

// --- Replies that never come, or that nobody reads.

TEST_F(RedisPipeline, RepliesThatNobodyReadsAreLost) {
  use_real_clock();
  {
    Client redis = client();
    redis.append_command("SET k v");
    redis.append_command("GET k");
    EXPECT_EQ(next(redis), "OK");
    redis.append_command("INCR n");
  }
  {
    Client redis = client();
    redis.append_command("GET k");
    ASSERT_EQ(redis.reconnect(), REDIS_OK);
    EXPECT_EQ(ask(redis, "GET none"), "(nil)");
  }
  EXPECT_EQ(brief(), R"(
PIPELINE CLIENT
  status ERROR
  db.operation.batch.size = 2
  db.query.text = SET k ?; GET k
  error.type = connection_closed
INCR CLIENT
  status ERROR
  db.query.text = INCR n
  error.type = connection_closed
GET CLIENT
  status ERROR
  db.query.text = GET k
  error.type = connection_closed
GET CLIENT
  db.query.text = GET none
)");
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 3U);
}

TEST_F(RedisPipeline, AServerThatGoesAwayFailsAllThatIsDue) {
  Client redis = client();
  redis.append_command("GET k");
  EXPECT_EQ(next(redis), "(nil)");
  redis.append_command("GET k");
  redis.append_command("SET k v");
  server_->stop(RedisServer::StopMode::kKill);
  EXPECT_EQ(next(redis), "failed");
  EXPECT_EQ(next(redis), "failed");
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[1].name, "PIPELINE");
  EXPECT_THAT(spans[1].attribute("error.type"), ::testing::AnyOf("REDIS_ERR_EOF", "REDIS_ERR_IO"));
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 0U);
}

TEST_F(RedisPipeline, WorksOnAConnectionThatDoesNotBlock) {
  redisContext* const context = redisConnectUnixNonBlock(server_->unix_socket().c_str());
  ASSERT_NE(context, nullptr);
  Client redis(context);
  EXPECT_EQ(redis.command("SET k v"), nullptr);
  EXPECT_EQ(redis.command("GET k"), nullptr);
  int done = 0;
  while (done == 0)
    ASSERT_EQ(redisBufferWrite(context, &done), REDIS_OK);
  std::vector<std::string> replies;
  while (replies.size() < 2) {
    ASSERT_EQ(redisBufferRead(context), REDIS_OK);
    for (std::string reply = next(redis); reply != "none"; reply = next(redis))
      replies.push_back(reply);
  }
  EXPECT_THAT(replies, ElementsAre("OK", "\"v\""));
  EXPECT_THAT(names(), ElementsAre("PIPELINE"));
}

TEST_F(RedisPipeline, OfManyCommandsIsOneSpanWithinItsLimits) {
  constexpr int commands = 100000;
  Client redis = client({.max_text_bytes = 256});
  for (int i = 0; i < commands; ++i)
    ASSERT_EQ(redis.append_command("SET key-%d %d", i, i), REDIS_OK);
  for (int i = 0; i < commands; ++i)
    ASSERT_EQ(next(redis), "OK");
  const std::vector<testing::OwnedSpan> spans = recorder_->spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].name, "PIPELINE SET");
  EXPECT_EQ(spans[0].attribute("db.operation.batch.size"), "100000");
  EXPECT_LE(spans[0].attribute("db.query.text").size(), 256U);
  EXPECT_THAT(spans[0].attribute("db.query.text"), EndsWith("; ..."));
}

TEST_F(RedisPipeline, HooksRunWhenItCompletes) {
  std::vector<std::string> seen;
  const auto note = [&](const char* what) {
    return [&seen, what](Span& span, const Call& call) {
      span.set("app.hook", what);
      seen.push_back(std::string(what) + " " + std::string(call.operation) + " " +
                     std::to_string(call.commands));
    };
  };
  Client redis = client({.on_start = note("start"), .on_finish = note("finish")});
  redis.append_command("GET a");
  redis.append_command("GET b");
  next(redis);
  EXPECT_TRUE(seen.empty());
  next(redis);
  EXPECT_THAT(seen, ElementsAre("start PIPELINE GET 2", "finish PIPELINE GET 2"));
}

TEST_F(RedisPipeline, AnUnsampledOneLeavesNothing) {
  start_recorder({.sampler = always_off_sampler()});
  {
    Client redis = client();
    redis.append_command("GET a");
    redis.append_command("GET b");
    next(redis);
    next(redis);
    redis.append_command("GET c");
  }
  EXPECT_THAT(names(), ElementsAre());
  EXPECT_EQ(recorder_->counters()[Counter::operations_lost], 0U);
}

}  // namespace
}  // namespace midtrace::test
