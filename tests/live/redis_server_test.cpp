// The real Redis servers of the test support work: what the live tests of the redis module stand on, checked
// without the module. Plain hiredis only, so that a failure here means the server or its set-up, never the
// tracing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "live/redis_fixture.h"
#include "support/child_process.h"
#include "support/redis_server.h"

namespace midtrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::StartsWith;

bool becomes_true(const std::function<bool()>& condition, seconds limit = seconds(60)) {
  const auto deadline = steady_clock::now() + limit;
  while (!condition()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

// One that ended without having been waited for has no command line any more.
bool runs(pid_t process) {
  std::ifstream stream("/proc/" + std::to_string(process) + "/cmdline");
  return stream.get() != std::ifstream::traits_type::eof();
}

class RedisServers : public OnRedis<::testing::Test> {};

TEST_F(RedisServers, AnswersByTcpAndByTheUnixSocket) {
  EXPECT_TRUE(server_->answers());
  const RedisContext by_tcp = connect();
  const RedisContext by_socket = connect_unix();
  EXPECT_EQ(by_tcp->connection_type, REDIS_CONN_TCP);
  EXPECT_EQ(by_socket->connection_type, REDIS_CONN_UNIX);
  EXPECT_EQ(ask(by_tcp, {"SET", "key", "a \"value\""}), "OK");
  EXPECT_EQ(ask(by_socket, {"GET", "key"}), R"("a \"value\"")");
  EXPECT_EQ(ask(by_socket, {"MGET", "key", "none"}), R"([1) "a \"value\"" 2) (nil)])");
  EXPECT_EQ(ask(by_socket, {"INCR", "count"}), "(integer) 1");
  EXPECT_THAT(ask(by_socket, {"INCR", "key"}), StartsWith("(error) ERR "));
}

TEST_F(RedisServers, GivesEachTestAServerOfItsOwn) {
  const std::unique_ptr<RedisServer> other = start_server({});
  EXPECT_NE(other->port(), server_->port());
  EXPECT_EQ(ask(connect(), {"SET", "key", "here"}), "OK");
  EXPECT_EQ(ask(connect(*other), {"GET", "key"}), "(nil)");
}

TEST_F(RedisServers, AsksForAPassword) {
  RedisOptions options;
  options.password = "with \"quotes\" and \\ blanks";
  const std::unique_ptr<RedisServer> server = start_server(options);
  const RedisContext context = connect(*server);
  EXPECT_THAT(ask(context, {"GET", "key"}), StartsWith("(error) NOAUTH "));
  EXPECT_THAT(ask(context, {"AUTH", "another"}), StartsWith("(error) WRONGPASS "));
  EXPECT_EQ(ask(context, {"AUTH", options.password}), "OK");
  EXPECT_EQ(ask(context, {"GET", "key"}), "(nil)");
  std::string why;
  EXPECT_EQ(server->command({"SET", "key", "value"}, &why), "OK") << why;
}

TEST_F(RedisServers, HasAUserWithLimitedRights) {
  RedisOptions options;
  options.user = RedisUser{"reader", "secret", "~public:* +get"};
  const std::unique_ptr<RedisServer> server = start_server(options);
  const RedisContext context = connect(*server);
  EXPECT_EQ(ask(context, {"AUTH", "reader", "secret"}), "OK");
  EXPECT_EQ(ask(context, {"GET", "public:1"}), "(nil)");
  EXPECT_THAT(ask(context, {"GET", "private:1"}), StartsWith("(error) NOPERM "));
  EXPECT_THAT(ask(context, {"SET", "public:1", "value"}), StartsWith("(error) NOPERM "));
}

TEST_F(RedisServers, TakesSoManyClientsAndNoMore) {
  RedisOptions options;
  options.max_clients = 2;
  const std::unique_ptr<RedisServer> server = start_server(options);
  // What waited for the server's start does not count any more, nor does a command behind the back.
  std::string why;
  EXPECT_EQ(server->command({"PING"}, &why), "PONG") << why;
  const RedisContext first = connect(*server);
  const RedisContext second = connect(*server);
  EXPECT_EQ(ask(first, {"PING"}), "PONG");
  EXPECT_EQ(ask(second, {"PING"}), "PONG");
  // It says so without having been asked, and closes.
  const RedisContext third = connect(*server);
  void* reply = nullptr;
  ASSERT_EQ(redisGetReply(third.get(), &reply), REDIS_OK) << third->errstr;
  const RedisReply refusal(static_cast<redisReply*>(reply));
  EXPECT_EQ(to_string(*refusal), "(error) ERR max number of clients reached");
}

TEST_F(RedisServers, TakesSoMuchMemoryAndNoMore) {
  RedisOptions options;
  options.max_memory = 1;
  const std::unique_ptr<RedisServer> full = start_server(options);
  EXPECT_THAT(ask(connect(*full), {"SET", "key", "value"}), StartsWith("(error) OOM "));
  options.max_memory = std::size_t{100} << 20;
  options.max_memory_policy = "allkeys-lru";
  const std::unique_ptr<RedisServer> server = start_server(options);
  EXPECT_EQ(ask(connect(*server), {"SET", "key", "value"}), "OK");
  std::string why;
  EXPECT_EQ(server->command({"CONFIG", "GET", "maxmemory-policy"}, &why),
            R"([1) "maxmemory-policy" 2) "allkeys-lru"])");
}

TEST_F(RedisServers, TakesLinesOfConfiguration) {
  RedisOptions options;
  options.configuration = {"databases 3", "rename-command FLUSHALL \"\""};
  const std::unique_ptr<RedisServer> server = start_server(options);
  const RedisContext context = connect(*server);
  EXPECT_EQ(ask(context, {"SELECT", "2"}), "OK");
  EXPECT_EQ(ask(context, {"SELECT", "3"}), "(error) ERR DB index is out of range");
  EXPECT_THAT(ask(context, {"FLUSHALL"}), StartsWith("(error) ERR unknown command 'FLUSHALL'"));
}

TEST_F(RedisServers, SaysWhyItDoesNotStart) {
  RedisOptions options;
  options.configuration = {"no-such-line 1"};
  std::string why;
  EXPECT_EQ(RedisServer::start(options, &why), nullptr);
  EXPECT_THAT(why, HasSubstr("redis-server ended while starting: ")) << why;
}

TEST_F(RedisServers, SaysWhyACommandFails) {
  std::string why;
  EXPECT_EQ(server_->command({"INCR"}, &why), std::nullopt);
  EXPECT_EQ(why, "INCR: ERR wrong number of arguments for 'incr' command");
  server_->stop();
  EXPECT_EQ(server_->command({"PING"}, &why), std::nullopt);
  EXPECT_NE(why, "");
}

TEST_F(RedisServers, ClosesAConnectionBehindItsBack) {
  const RedisContext unlucky = connect();
  const RedisContext lucky = connect();
  const std::string id = ask(unlucky, {"CLIENT", "ID"});
  ASSERT_THAT(id, StartsWith("(integer) "));
  EXPECT_EQ(behind_the_back({"CLIENT", "KILL", "ID", id.substr(id.find(' ') + 1)}), "(integer) 1");
  // Without SIGPIPE, which would end the program at the second of them.
  EXPECT_THAT(ask(unlucky, {"PING"}), StartsWith("no reply: "));
  EXPECT_THAT(ask(unlucky, {"PING"}), StartsWith("no reply: "));
  EXPECT_EQ(ask(lucky, {"PING"}), "PONG");
}

TEST_F(RedisServers, StopsAndRestartsOnTheSamePort) {
  for (const auto mode : {RedisServer::StopMode::kOrderly, RedisServer::StopMode::kKill}) {
    const std::uint16_t port = server_->port();
    const pid_t before = server_->pid();
    const RedisContext context = connect();
    EXPECT_EQ(ask(context, {"SET", "key", "value"}), "OK");
    server_->stop(mode);
    EXPECT_FALSE(server_->running());
    EXPECT_FALSE(server_->answers());
    EXPECT_FALSE(runs(before));
    EXPECT_THAT(ask(context, {"GET", "key"}), StartsWith("no reply: "));
    const RedisContext refused(redisConnect(RedisServer::kHost, port));
    EXPECT_STREQ(refused->errstr, "Connection refused");

    std::string why;
    ASSERT_TRUE(server_->restart(mode, &why)) << why;
    EXPECT_EQ(server_->port(), port);
    EXPECT_NE(server_->pid(), before);
    EXPECT_EQ(ask(connect(), {"GET", "key"}), "(nil)") << "nothing is written to the disk";
    EXPECT_EQ(ask(connect_unix(), {"PING"}), "PONG");
  }
}

TEST_F(RedisServers, KeepsItsDataWhereItIsToldTo) {
  RedisOptions options;
  options.configuration = {"appendonly yes", "appendfsync always"};
  const std::unique_ptr<RedisServer> server = start_server(options);
  EXPECT_EQ(ask(connect(*server), {"SET", "key", "value"}), "OK");
  std::string why;
  ASSERT_TRUE(server->restart(RedisServer::StopMode::kKill, &why)) << why;
  EXPECT_EQ(ask(connect(*server), {"GET", "key"}), "\"value\"");
}

TEST_F(RedisServers, DoesNotAnswerWhileItIsFrozen) {
  const RedisContext context = connect();
  server_->pause();
  ASSERT_EQ(redisSetTimeout(context.get(), timeval{0, 50'000}), REDIS_OK);
  EXPECT_THAT(ask(context, {"PING"}), StartsWith("no reply: "));
  EXPECT_TRUE(server_->running());
  server_->resume();
  EXPECT_EQ(ask(connect(), {"PING"}), "PONG");
}

TEST_F(RedisServers, LeavesNothingBehind) {
  const std::filesystem::path directory = server_->directory();
  const pid_t process = server_->pid();
  EXPECT_TRUE(runs(process));
  EXPECT_TRUE(std::filesystem::exists(directory / "redis.sock"));
  server_.reset();
  EXPECT_FALSE(runs(process));
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST_F(RedisServers, EndsWithATestThatIsKilled) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  pid_t process = 0;
  std::string directory;
  EXPECT_EXIT(
      {
        std::fprintf(stderr, "server %d %s\n", static_cast<int>(server_->pid()),
                     server_->directory().c_str());
        std::raise(SIGKILL);
      },
      ::testing::KilledBySignal(SIGKILL), ::testing::Truly([&](const std::string& output) {
        std::istringstream stream(output.substr(output.find("server ")));
        std::string word;
        return static_cast<bool>(stream >> word >> process >> directory);
      }));
  ASSERT_GT(process, 0);
  EXPECT_NE(process, server_->pid());
  EXPECT_TRUE(becomes_true([&] { return !runs(process); }));
  const TemporaryDirectory next;
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST_F(RedisServers, AClusterAnswersMoved) {
  const std::unique_ptr<RedisCluster> cluster = start_cluster();
  const std::string key = "key";
  std::string why;
  const std::optional<std::size_t> owner = cluster->owner_of(key, &why);
  ASSERT_TRUE(owner) << why;
  RedisServer& right = cluster->node(*owner);
  RedisServer& wrong = cluster->node(1 - *owner);
  EXPECT_EQ(ask(connect(right), {"SET", key, "value"}), "OK");
  // The slot of `key`, by the specification's CRC16.
  EXPECT_EQ(ask(connect(wrong), {"GET", key}),
            "(error) MOVED 12539 127.0.0.1:" + std::to_string(right.port()));
  EXPECT_EQ(ask(connect(right), {"GET", key}), "\"value\"");
  for (std::size_t i : {std::size_t{0}, std::size_t{1}})
    EXPECT_THAT(cluster->node(i).command({"CLUSTER", "INFO"}, &why).value_or(why),
                HasSubstr("cluster_known_nodes:2"));
}

TEST_F(RedisServers, ANodeWithoutSlotsAnswersClusterDown) {
  RedisOptions options;
  options.cluster = true;
  const std::unique_ptr<RedisServer> server = start_server(options);
  EXPECT_THAT(ask(connect(*server), {"GET", "key"}), StartsWith("(error) CLUSTERDOWN "));
}

// What a test's recorder and its server have to do with each other: nothing.
TEST_F(RedisTraced, ShowsSpansWithoutWhatDiffersFromRunToRun) {
  {
    Span span = start_span("GET");
    span.set("db.system.name", "redis");
    span.set("db.query.text", "GET key");
    span.set("server.address", RedisServer::kHost);
    span.set("server.port", static_cast<std::int64_t>(server_->port()));
    EXPECT_EQ(ask(connect(), {"GET", "key"}), "(nil)");
  }
  EXPECT_EQ(brief(), "\nGET INTERNAL\n  db.query.text = GET key\n");
  EXPECT_THAT(tree(), HasSubstr("server.port = PORT"));
}

}  // namespace
}  // namespace midtrace::test
