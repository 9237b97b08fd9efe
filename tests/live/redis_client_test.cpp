// Single commands through redis::Client on a real server: span trees, errors by name, databases, addresses,
// options, and that hiredis's own results come through.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <midtrace/redis.h>
#include <midtrace/trace/counters.h>

#include "live/redis_fixture.h"

namespace midtrace::test {
namespace {

using redis::Call;
using redis::Client;
using redis::Options;
using redis::Reply;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string shown(const Reply& reply) { return reply != nullptr ? to_string(*reply) : "none"; }

class RedisClient : public RedisTraced {
 protected:
  Client client(Options options = {}) { return Client(connect().release(), std::move(options)); }
  // The only span; its attributes are "" where there are none.
  testing::OwnedSpan only_span() {
    std::vector<testing::OwnedSpan> spans = recorder_->spans();
    if (spans.size() != 1) throw std::runtime_error(std::to_string(spans.size()) + " spans instead of one");
    recorder_->clear();
    return spans.front();
  }
  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const testing::OwnedSpan& span : recorder_->spans())
      names.push_back(span.name);
    recorder_->clear();
    return names;
  }
};

TEST_F(RedisClient, EveryCommandHasASpanBelowTheCurrentOne) {
  use_real_clock();
  Client redis = client();
  {
    Span request = start_span("request");
    const Scope scope = request.activate();
    EXPECT_EQ(shown(redis.command("SET %s %b", "session:17", "a\0b", std::size_t{3})), "OK");
    EXPECT_EQ(shown(redis.command("get session:17")), std::string("\"a\0b\"", 5));
    EXPECT_EQ(shown(redis.command("GET %s", "none")), "(nil)");
  }
  EXPECT_EQ(tree(), R"(
request INTERNAL
  SET CLIENT
    db.namespace = 0
    db.operation.name = SET
    db.query.text = SET session:17 ?
    db.system.name = redis
    network.peer.address = 127.0.0.1
    network.peer.port = PORT
    server.address = 127.0.0.1
    server.port = PORT
  get CLIENT
    db.namespace = 0
    db.operation.name = get
    db.query.text = get session:17
    db.system.name = redis
    network.peer.address = 127.0.0.1
    network.peer.port = PORT
    server.address = 127.0.0.1
    server.port = PORT
  GET CLIENT
    db.namespace = 0
    db.operation.name = GET
    db.query.text = GET none
    db.system.name = redis
    network.peer.address = 127.0.0.1
    network.peer.port = PORT
    server.address = 127.0.0.1
    server.port = PORT
)");
}

TEST_F(RedisClient, OldNamesComeBesideTheNewOnesWhereTheyAreAskedFor) {
  setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database/dup", 1);
  Client redis = client();
  unsetenv("OTEL_SEMCONV_STABILITY_OPT_IN");
  redis.command("HSET h f v");
  EXPECT_EQ(tree(), R"(
HSET CLIENT
  db.namespace = 0
  db.operation = HSET
  db.operation.name = HSET
  db.query.text = HSET h f ?
  db.redis.database_index = 0
  db.statement = HSET h f ?
  db.system = redis
  db.system.name = redis
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(RedisClient, AUnixSocketIsItsPath) {
  Client redis(connect_unix().release());
  redis.command("GET k");
  const testing::OwnedSpan span = only_span();
  EXPECT_EQ(span.attribute("server.address"), server_->unix_socket().string());
  EXPECT_EQ(span.attribute("network.peer.address"), server_->unix_socket().string());
  EXPECT_EQ(span.attribute("server.port"), "");
  EXPECT_EQ(span.attribute("network.peer.port"), "");
}

TEST_F(RedisClient, TheServerCanBeNamed) {
  Client named = client({.server_address = "cache.example"});
  named.command("GET k");
  testing::OwnedSpan span = only_span();
  EXPECT_EQ(span.attribute("server.address"), "cache.example");
  EXPECT_EQ(span.attribute("server.port"), "");  // the usual one
  EXPECT_EQ(span.attribute("network.peer.address"), "127.0.0.1");
  Client with_port = client({.server_address = "cache.example:7000"});
  with_port.command("GET k");
  EXPECT_EQ(only_span().attribute("server.port"), "7000");
  Client nonsense = client({.server_address = "a,b"});
  nonsense.command("GET k");
  EXPECT_EQ(only_span().attribute("server.address"), "127.0.0.1");
  EXPECT_EQ(recorder_->counters()[Counter::invalid_configuration], 1U);
}

TEST_F(RedisClient, SelectIsFollowedOnceItSucceeded) {
  Client redis = client();
  const auto database = [&] {
    redis.command("GET k");
    return recorder_->spans().back().attribute("db.namespace");
  };
  EXPECT_EQ(database(), "0");
  redis.command("SELECT 3");
  EXPECT_EQ(database(), "3");
  redis.command("SELECT 4711");
  EXPECT_EQ(database(), "3");
  redis.command("SELECT nonsense");
  EXPECT_EQ(database(), "3");
  redis.append_command("select 5");
  redis.append_command("GET k");
  Reply reply;
  redis.get_reply(reply);
  redis.get_reply(reply);
  EXPECT_EQ(database(), "5");
  EXPECT_EQ(shown(redis.command("RESET")), "RESET");
  EXPECT_EQ(database(), "0");
  redis.command("SELECT 3");
  ASSERT_EQ(redis.reconnect(), REDIS_OK);
  EXPECT_EQ(database(), "0");
}

TEST_F(RedisClient, TheFirstDatabaseIsAnOption) {
  Client third = client({.database = 3});
  third.command("GET k");
  EXPECT_EQ(only_span().attribute("db.namespace"), "3");
  Client unknown = client({.database = -1});
  unknown.command("GET k");
  EXPECT_EQ(only_span().attribute("db.namespace"), "");
}

TEST_F(RedisClient, AnErrorReplyIsItsPrefix) {
  use_real_clock();
  Client redis = client();
  redis.command("LPUSH list a");
  redis.command("GET list");
  redis.command("EVAL %s 0", "return redis.error_reply('hunter2 is no code')");
  redis.command("NOSUCH a b");
  EXPECT_EQ(brief(), R"(
LPUSH CLIENT
  db.query.text = LPUSH list ?
GET CLIENT
  status ERROR
  db.query.text = GET list
  db.response.status_code = WRONGTYPE
  error.type = WRONGTYPE
EVAL CLIENT
  status ERROR
  db.query.text = EVAL ? 0
  error.type = _OTHER
NOSUCH CLIENT
  status ERROR
  db.query.text = NOSUCH ? ?
  db.response.status_code = ERR
  error.type = ERR
)");
}

TEST_F(RedisClient, AServerWithoutMemorySaysSo) {
  const std::unique_ptr<RedisServer> small = start_server({.max_memory = 1});
  Client redis(connect(*small).release());
  redis.command("SET k v");
  const testing::OwnedSpan span = only_span();
  EXPECT_EQ(span.attribute("error.type"), "OOM");
  EXPECT_EQ(span.attribute("db.response.status_code"), "OOM");
}

TEST_F(RedisClient, CredentialsAreNeverSeen) {
  use_real_clock();
  const std::unique_ptr<RedisServer> guarded = start_server(
      {.password = "hunter2", .user = RedisUser{"alice", "hunter3", "~app:* +get +auth +hello"}});
  Client redis(connect(*guarded).release());
  redis.command("GET app:k");
  EXPECT_EQ(shown(redis.command("AUTH hunter2")), "OK");
  EXPECT_EQ(shown(redis.command("AUTH alice hunter3")), "OK");
  redis.command("GET other");
  redis.command("SET app:k v");
  redis.command("AUTH alice wrong-hunter");
  const std::string seen = brief();
  EXPECT_THAT(seen, Not(HasSubstr("hunter")));
  EXPECT_THAT(seen, Not(HasSubstr("alice")));
  EXPECT_EQ(seen, R"(
GET CLIENT
  status ERROR
  db.query.text = GET app:k
  db.response.status_code = NOAUTH
  error.type = NOAUTH
AUTH CLIENT
  db.query.text = AUTH ?
AUTH CLIENT
  db.query.text = AUTH ? ?
GET CLIENT
  status ERROR
  db.query.text = GET other
  db.response.status_code = NOPERM
  error.type = NOPERM
SET CLIENT
  status ERROR
  db.query.text = SET app:k ?
  db.response.status_code = NOPERM
  error.type = NOPERM
AUTH CLIENT
  status ERROR
  db.query.text = AUTH ? ?
  db.response.status_code = WRONGPASS
  error.type = WRONGPASS
)");
}

TEST_F(RedisClient, AServerThatIsFullSaysSo) {
  const std::unique_ptr<RedisServer> full = start_server({.max_clients = 1});
  const RedisContext first = connect(*full);
  ASSERT_EQ(ask(first, {"GET", "k"}), "(nil)");
  Client redis(connect(*full).release());
  redis.command("GET k");
  // It may have closed the connection before it read the command.
  EXPECT_THAT(only_span().attribute("error.type"), ::testing::AnyOf("ERR", "REDIS_ERR_IO", "REDIS_ERR_EOF"));
}

TEST_F(RedisClient, StoredProceduresAreNamed) {
  Client redis = client();
  const Reply loaded = redis.command("SCRIPT LOAD %s", "return 1");
  ASSERT_EQ(loaded->type, REDIS_REPLY_STRING);
  recorder_->clear();
  EXPECT_EQ(shown(redis.command("EVALSHA %s 0", loaded->str)), "(integer) 1");
  EXPECT_EQ(only_span().attribute("db.stored_procedure.name"), loaded->str);
  redis.command("FCALL total 0");
  EXPECT_EQ(only_span().attribute("db.stored_procedure.name"), "total");
}

TEST_F(RedisClient, AClusterTellsWhereASlotIs) {
  const std::unique_ptr<RedisCluster> cluster = start_cluster();
  const std::size_t owner = cluster->owner_of("k", nullptr).value();
  Client redis(connect(cluster->node(1 - owner)).release());
  EXPECT_THAT(shown(redis.command("GET k")), StartsWith("(error) MOVED"));
  const testing::OwnedSpan span = only_span();
  EXPECT_EQ(span.attribute("error.type"), "MOVED");
  ASSERT_EQ(span.events.size(), 1U);
  EXPECT_EQ(span.events[0].name, "MOVED");
  EXPECT_EQ(span.events[0].attributes[1].text(), "127.0.0.1:" + std::to_string(cluster->node(owner).port()));
}

// --- Connections that fail.

TEST_F(RedisClient, AKilledConnectionEndsWithEof) {
  Client redis = client();
  const Reply id = redis.command("CLIENT ID");
  behind_the_back({"CLIENT", "KILL", "ID", std::to_string(id->integer)});
  recorder_->clear();
  EXPECT_EQ(redis.command("GET k"), nullptr);
  EXPECT_NE(redis.get()->err, 0);
  const std::string error = only_span().attribute("error.type");
  EXPECT_THAT(error, ::testing::AnyOf("REDIS_ERR_EOF", "REDIS_ERR_IO"));
  // For ever after, for the same reason.
  EXPECT_EQ(redis.command("GET k"), nullptr);
  EXPECT_EQ(only_span().attribute("error.type"), error);
  ASSERT_EQ(redis.reconnect(), REDIS_OK);
  EXPECT_EQ(shown(redis.command("GET k")), "(nil)");
  EXPECT_EQ(only_span().attribute("error.type"), "");
}

TEST_F(RedisClient, AServerMayRestart) {
  Client redis = client();
  redis.command("SET k v");
  std::string why;
  ASSERT_TRUE(server_->restart(RedisServer::StopMode::kKill, &why)) << why;
  EXPECT_EQ(redis.command("GET k"), nullptr);
  ASSERT_EQ(redis.reconnect(), REDIS_OK);
  EXPECT_EQ(shown(redis.command("GET k")), "(nil)");
  server_->stop();
  EXPECT_EQ(redis.reconnect(), REDIS_ERR);
  EXPECT_EQ(redis.command("GET k"), nullptr);
  EXPECT_THAT(names(), ElementsAre("SET", "GET", "GET", "GET"));
}

TEST_F(RedisClient, ATimeLimitHasANameOfItsOwnAndKeepsErrno) {
  Client redis = client();
  redisSetTimeout(redis.get(), timeval{0, 20000});
  errno = 0;
  EXPECT_EQ(redis.command("BLPOP list 60"), nullptr);
  const int after = errno;
  EXPECT_EQ(after, EAGAIN);
  EXPECT_EQ(brief(), R"(
BLPOP CLIENT
  status ERROR
  db.query.text = BLPOP list 60
  error.type = REDIS_ERR_TIMEOUT
)");
  errno = 0;
  EXPECT_EQ(redis.command("GET k"), nullptr);
  EXPECT_EQ(recorder_->spans().back().attribute("error.type"), "REDIS_ERR_TIMEOUT");
}

TEST_F(RedisClient, AnAnswerThatIsNoRedisIsAProtocolError) {
  Client redis = client();
  // hiredis 0.14 does not know what comes.
  if (redis.command("HELLO 3") != nullptr) GTEST_SKIP() << "this hiredis knows RESP3";
  EXPECT_EQ(only_span().attribute("error.type"), "REDIS_ERR_PROTOCOL");
}

TEST_F(RedisClient, AFormatThatIsWrongFailsAsInHiredis) {
  Client redis = client();
  const RedisContext bare = connect();
  EXPECT_EQ(redisCommand(bare.get(), "GET %y", 1), nullptr);
  EXPECT_EQ(redis.command("GET %y", 1), nullptr);
  EXPECT_EQ(redis.get()->err, bare->err);
  EXPECT_STREQ(redis.get()->errstr, bare->errstr);
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(RedisClient, AContextInErrorOrNoneIsBorne) {
  Client none(nullptr);
  EXPECT_EQ(none.command("GET k"), nullptr);
  EXPECT_EQ(none.append_command("GET k"), REDIS_ERR);
  Reply reply;
  EXPECT_EQ(none.get_reply(reply), REDIS_ERR);
  EXPECT_EQ(none.reconnect(), REDIS_ERR);
  const std::uint16_t port = server_->port();
  server_->stop();
  Client refused(redisConnect(RedisServer::kHost, port));
  errno = EAGAIN;  // of something else
  EXPECT_EQ(refused.command("GET k"), nullptr);
  const testing::OwnedSpan span = only_span();
  EXPECT_EQ(span.attribute("error.type"), "REDIS_ERR_IO");
  EXPECT_EQ(span.attribute("server.address"), "127.0.0.1");
  EXPECT_EQ(span.attribute("network.peer.address"), "");
}

// --- What hiredis gives.

TEST_F(RedisClient, HasAllOfHiredisWaysToSendACommand) {
  Client redis = client();
  const char* set[] = {"SET", "k", "a b"};
  const std::size_t lengths[] = {3, 1, 3};
  EXPECT_EQ(shown(redis.command_argv(3, set, lengths)), "OK");
  const char* get[] = {"GET", "k"};
  EXPECT_EQ(shown(redis.command_argv(2, get, nullptr)), "\"a b\"");
  void* raw = redis.raw_command("GET k");
  ASSERT_NE(raw, nullptr);
  EXPECT_EQ(to_string(*static_cast<redisReply*>(raw)), "\"a b\"");
  freeReplyObject(raw);
  raw = redis.raw_command_argv(2, get, nullptr);
  ASSERT_NE(raw, nullptr);
  freeReplyObject(raw);
  const auto variadic = [&redis](const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    Reply reply = redis.vcommand(format, arguments);
    va_end(arguments);
    return reply;
  };
  EXPECT_EQ(shown(variadic("ECHO %s", "hello")), "\"hello\"");
  EXPECT_THAT(names(), ElementsAre("SET", "GET", "GET", "GET", "ECHO"));
}

TEST_F(RedisClient, MayBeMovedAndReleased) {
  Client first = client();
  Client second(std::move(first));
  EXPECT_EQ(first.get(), nullptr);
  EXPECT_EQ(shown(second.command("GET k")), "(nil)");
  first = std::move(second);
  EXPECT_EQ(shown(first.command("GET k")), "(nil)");
  const RedisContext context(first.release());
  EXPECT_EQ(first.get(), nullptr);
  EXPECT_EQ(ask(context, {"GET", "k"}), "(nil)");
  EXPECT_THAT(names(), ElementsAre("GET", "GET"));
}

TEST_F(RedisClient, RepliesOfAnotherKindAreNotLookedAt) {
  Client redis = client();
  static int kinds[] = {0, 1, 2, 3, 4};
  redisReplyObjectFunctions functions{};
  functions.createString = [](const redisReadTask*, char*, std::size_t) -> void* { return &kinds[1]; };
  functions.createArray = [](const redisReadTask*, auto) -> void* { return &kinds[2]; };
  functions.createInteger = [](const redisReadTask*, long long) -> void* { return &kinds[3]; };
  functions.createNil = [](const redisReadTask*) -> void* { return &kinds[4]; };
  functions.freeObject = [](void*) {};
  redis.get()->reader->fn = &functions;
  const auto number = [&](const char* command) {
    const int* const reply = static_cast<int*>(redis.raw_command(command));
    return reply != nullptr ? *reply : 0;
  };
  EXPECT_EQ(number("SELECT 3"), 1);
  EXPECT_EQ(number("GET k"), 4);
  EXPECT_EQ(number("LPUSH k v"), 3);
  EXPECT_EQ(number("MULTI"), 1);
  EXPECT_EQ(number("GET k"), 1);
  EXPECT_EQ(number("EXEC"), 2);
  EXPECT_EQ(recorder_->spans().back().attribute("db.namespace"), "");  // nobody saw the answer to SELECT
  EXPECT_THAT(names(), ElementsAre("SELECT", "GET", "LPUSH", "MULTI GET"));
}

// --- Options.

TEST_F(RedisClient, IsHiredisWhenItIsOff) {
  for (const ModuleMode mode : {ModuleMode::off, ModuleMode::propagate}) {
    Client redis = client({.mode = mode});
    EXPECT_EQ(shown(redis.command("SET k v")), "OK");
    EXPECT_EQ(redis.append_command("GET k"), REDIS_OK);
    Reply reply;
    EXPECT_EQ(redis.get_reply(reply), REDIS_OK);
    EXPECT_EQ(shown(reply), "\"v\"");
  }
  setenv("MIDTRACE_REDIS", "off", 1);
  Client redis = client();
  unsetenv("MIDTRACE_REDIS");
  redis.command("GET k");
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(RedisClient, ASuppressedContextHasNoSpans) {
  Client redis = client();
  Context quiet;
  quiet.suppressed = true;
  const Scope scope(quiet);
  redis.command("SELECT 3");
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(RedisClient, SpansWithoutAParentCanBeLeftOut) {
  Client redis = client({.only_with_parent = true});
  redis.command("GET background");
  redis.append_command("GET background");
  Reply reply;
  redis.get_reply(reply);
  {
    Span request = start_span("request");
    const Scope scope = request.activate();
    redis.command("GET k");
  }
  EXPECT_THAT(names(), ElementsAre("GET", "request"));
}

TEST_F(RedisClient, PingIsIgnoredAndOtherCommandsByNameOrPattern) {
  Client usual = client();
  EXPECT_EQ(shown(usual.command("PING")), "PONG");
  usual.command("config get maxmemory");
  EXPECT_THAT(names(), ElementsAre("config"));
  Client some = client({.ignored_commands = {"config get", "cl*", "JSON.*"}});
  for (const char* command : {"PING", "CONFIG GET maxmemory", "CONFIG RESETSTAT", "CLIENT ID", "CLUSTER INFO",
                              "json.get k", "JSONGET k"})
    some.command(command);
  EXPECT_THAT(names(), ElementsAre("PING", "CONFIG", "JSONGET"));
  Client container = client({.ignored_commands = {"config"}});
  container.command("CONFIG GET maxmemory");
  container.command("GET k");
  EXPECT_THAT(names(), ElementsAre("GET"));
}

TEST_F(RedisClient, ShortSpansCanBeLeftOutUnlessTheyFailed) {
  int finished = 0;
  Client redis = client({.minimum_duration = std::chrono::milliseconds(5),
                         .on_finish = [&](Span&, const Call&) { ++finished; }});
  redis.command("LPUSH list v");
  EXPECT_THAT(names(), ElementsAre());
  redis.command("GET list");
  EXPECT_THAT(names(), ElementsAre("GET"));
  EXPECT_EQ(finished, 1);
}

TEST_F(RedisClient, ALongSpanIsKept) {
  Client redis = client({.minimum_duration = std::chrono::milliseconds(5)});
  redis.append_command("GET k");
  redis.append_command("GET k");
  Reply reply;
  redis.get_reply(reply);
  recorder_->clock().advance(std::chrono::milliseconds(6));
  redis.get_reply(reply);
  redis.append_command("GET k");
  redis.get_reply(reply);
  EXPECT_THAT(names(), ElementsAre("PIPELINE GET"));
}

TEST_F(RedisClient, TextsCanBeLeftOutOrCut) {
  Client without = client({.capture_text = false});
  without.command("SET k v");
  EXPECT_EQ(only_span().attribute("db.query.text"), "");
  Client cut = client({.max_text_bytes = 64});
  const std::string key(40, 'k');
  cut.command("DEL %s %s", key.c_str(), key.c_str());
  EXPECT_EQ(only_span().attribute("db.query.text"), "DEL " + key + " ...");
}

TEST_F(RedisClient, ConnectingHasASpanWhereItIsAskedFor) {
  use_real_clock();
  const auto connect_to_it = [this] { return redisConnect(RedisServer::kHost, server_->port()); };
  Client quiet = Client::connect(connect_to_it);
  ASSERT_EQ(quiet.reconnect(), REDIS_OK);
  EXPECT_THAT(names(), ElementsAre());
  Client redis = Client::connect(connect_to_it, {.connect_spans = true});
  EXPECT_EQ(shown(redis.command("GET k")), "(nil)");
  server_->stop();
  EXPECT_EQ(redis.reconnect(), REDIS_ERR);
  EXPECT_EQ(tree({.without = {"network.peer.address", "network.peer.port"}}), R"(
connect CLIENT
  db.system.name = redis
  server.address = 127.0.0.1
  server.port = PORT
GET CLIENT
  db.namespace = 0
  db.operation.name = GET
  db.query.text = GET k
  db.system.name = redis
  server.address = 127.0.0.1
  server.port = PORT
connect CLIENT
  status ERROR
  db.system.name = redis
  error.type = REDIS_ERR_IO
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(RedisClient, HooksSeeTheSpanAndTheReplyAndMayThrow) {
  std::vector<std::string> seen;
  Client redis = client({.on_start =
                             [&](Span& span, const Call& call) {
                               span.set("app.tenant", "blue");
                               seen.push_back("start " + std::string(call.operation));
                             },
                         .on_finish =
                             [&](Span&, const Call& call) {
                               seen.push_back("finish " + std::string(call.operation) + " " +
                                              (call.reply != nullptr ? to_string(*call.reply) : "none"));
                               throw std::runtime_error("in a hook");
                             }});
  EXPECT_EQ(shown(redis.command("SET k v")), "OK");
  EXPECT_EQ(only_span().attribute("app.tenant"), "blue");
  EXPECT_THAT(seen, ElementsAre("start SET", "finish SET OK"));
  EXPECT_EQ(recorder_->counters()[Counter::hook_failures], 1U);
}

TEST_F(RedisClient, AfterSubscribingNothingIsTracedUntilItReconnects) {
  Client redis = client();
  EXPECT_NE(redis.command("SUBSCRIBE a b"), nullptr);
  Reply reply;
  EXPECT_EQ(redis.get_reply(reply), REDIS_OK);
  behind_the_back({"PUBLISH", "a", "news"});
  EXPECT_EQ(redis.get_reply(reply), REDIS_OK);
  EXPECT_EQ(shown(reply), R"([1) "message" 2) "a" 3) "news"])");
  EXPECT_NE(redis.command("UNSUBSCRIBE a"), nullptr);
  ASSERT_EQ(redis.reconnect(), REDIS_OK);
  redis.command("GET k");
  EXPECT_THAT(names(), ElementsAre("SUBSCRIBE", "GET"));
}

}  // namespace
}  // namespace midtrace::test
