// What the live Redis tests stand on: a server of the test's own, plain connections of hiredis, and for those
// that trace a Recorder. Where no server can be had, the tests are skipped, or fail when it is required.
//
// SIGPIPE is ignored, because hiredis writes to connections that the server has closed.
//
// Connections that a test makes are destroyed before the Recorder and the server, so that spans which end
// with a connection are in its tree.
#ifndef MIDTRACE_TESTS_LIVE_REDIS_FIXTURE_H_
#define MIDTRACE_TESTS_LIVE_REDIS_FIXTURE_H_

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "live/recording.h"
#include "support/redis_server.h"

namespace midtrace::test {

// `Base` is the fixture to stand on: testing::Test, or one that traces as well.
template <class Base>
class OnRedis : public Base {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    std::string why;
    server_ = RedisServer::start(server_options(), &why);
    if (server_ != nullptr) {
      Base::SetUp();
      return;
    }
    ASSERT_FALSE(redis_required()) << "real Redis server: " << why;
    report_redis_not_run(why);
    GTEST_SKIP() << "the real Redis server is not here: " << why;
  }

  void TearDown() override {
    Base::TearDown();
    if (server_ != nullptr && this->HasFailure()) std::printf("%s", server_->log_tail().c_str());
  }

  // Of the server that each test finds; for all tests of a fixture.
  virtual RedisOptions server_options() const { return {}; }

  // Another one; never null.
  static std::unique_ptr<RedisServer> start_server(const RedisOptions& options) {
    std::string why;
    std::unique_ptr<RedisServer> server = RedisServer::start(options, &why);
    if (!server) throw std::runtime_error("no Redis server: " + why);
    return server;
  }
  static std::unique_ptr<RedisCluster> start_cluster(const RedisOptions& options = {}) {
    std::string why;
    std::unique_ptr<RedisCluster> cluster = RedisCluster::start(options, &why);
    if (!cluster) throw std::runtime_error("no Redis cluster: " + why);
    return cluster;
  }

  // By TCP and by the Unix socket, not authenticated; never null, and without error.
  RedisContext connect() const { return connect(*server_); }
  static RedisContext connect(const RedisServer& server) {
    return checked(redisConnectWithTimeout(RedisServer::kHost, server.port(), kPatience));
  }
  RedisContext connect_unix() const { return connect_unix(*server_); }
  static RedisContext connect_unix(const RedisServer& server) {
    return checked(redisConnectUnixWithTimeout(server.unix_socket().c_str(), kPatience));
  }

  // The reply as to_string() has it, or what is wrong with the connection.
  static std::string ask(const RedisContext& context, const std::vector<std::string>& command) {
    const RedisReply reply = redis_reply(context.get(), command);
    return reply ? to_string(*reply) : "no reply: " + std::string(context->errstr);
  }

  // What a client under test must not see done; "" with a failure when the server refuses.
  std::string behind_the_back(const std::vector<std::string>& command) const {
    std::string why;
    std::optional<std::string> answer = server_->command(command, &why);
    EXPECT_TRUE(answer) << why;
    return answer.value_or("");
  }

  std::unique_ptr<RedisServer> server_;

 private:
  // Longer than any test; one that hangs should say where.
  static constexpr timeval kPatience{60, 0};

  static RedisContext checked(redisContext* made) {
    RedisContext context(made);
    if (!context) throw std::runtime_error("no connection to Redis: out of memory");
    if (context->err != 0)
      throw std::runtime_error("no connection to Redis: " + std::string(context->errstr));
    if (redisSetTimeout(context.get(), kPatience) != REDIS_OK)
      throw std::runtime_error("no time limit for a connection to Redis");
    return context;
  }
};

class RedisTraced : public OnRedis<Recording> {
 protected:
  // For trees whose spans are to be in the order of their start: the recorder's own clock stands still.
  void use_real_clock() { start_recorder({.real_clock = true}); }
  // The tree without what differs from run to run.
  std::string tree(testing::TreeOptions options = {}) {
    options.masked["server.port"] = "PORT";
    options.masked["network.peer.port"] = "PORT";
    return recorder_->tree(options);
  }
  // The tree with what differs between the commands only; tree() of some tests shows the rest.
  std::string brief() {
    return recorder_->tree(
        {.without = {"db.system.name", "db.namespace", "db.operation.name", "server.address", "server.port",
                     "network.peer.address", "network.peer.port"}});
  }
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_REDIS_FIXTURE_H_
