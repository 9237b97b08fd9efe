// Real redis-server processes for live tests, thrown away with the test.
//
// RedisServer::start() takes a free port on 127.0.0.1 and a Unix socket, starts a server in a temporary
// directory and waits until it answers: 15 ms, so that every test has its own. Nothing listens outside the
// loopback address, nothing is written but the log, and nothing is left behind, however the test ends (see
// child_process.h). A server that restarts is empty, unless RedisOptions::configuration makes it persistent.
//
// RedisCluster is two servers that own half of the slots each; it takes 2 s, because a master of a cluster
// waits that long before it accepts commands.
//
// Errors: nullptr, nothing or false with one line of explanation in the string (which may be null); nothing
// throws. Threads: one thread at a time per object; different objects from any thread. The program must
// ignore SIGPIPE (OnRedis does): hiredis writes to servers that are gone.
#ifndef MIDTRACE_TESTS_SUPPORT_REDIS_SERVER_H_
#define MIDTRACE_TESTS_SUPPORT_REDIS_SERVER_H_

#include <hiredis/hiredis.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/child_process.h"

namespace midtrace::test {

struct FreeRedisContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
using RedisContext = std::unique_ptr<redisContext, FreeRedisContext>;

struct FreeRedisReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using RedisReply = std::unique_ptr<redisReply, FreeRedisReply>;

// Sends one command and waits for its reply: null when the connection is broken, as the context then says.
RedisReply redis_reply(redisContext* context, const std::vector<std::string>& command);

// In the notation of redis-cli, on one line: OK, "text", (integer) 1, (nil), (error) ERR ..., [1) "a" 2)
// "b"].
std::string to_string(const redisReply& reply);

struct RedisUser {
  std::string name;
  std::string password;
  std::string rules = "~* &* +@all";
};

struct RedisOptions {
  std::string password = {};                 // of the user `default`; empty: none is asked for
  std::optional<RedisUser> user = {};        // besides `default`
  std::optional<int> max_clients = {};       // the connections that command() makes count while it runs
  std::optional<std::size_t> max_memory{};   // bytes
  std::string max_memory_policy = {};        // `allkeys-lru`; empty: noeviction
  bool cluster = false;                      // without slots, so that it answers CLUSTERDOWN
  std::vector<std::string> configuration{};  // more lines for redis.conf, which win
  std::chrono::seconds start_deadline{30};   // from the start of the process to the first answer
};

class RedisServer {
 public:
  // How a running server ends: in order, which takes it up to 0.1 s, or as if the machine lost power.
  enum class StopMode { kOrderly, kKill };

  static constexpr const char* kHost = "127.0.0.1";

  static std::unique_ptr<RedisServer> start(std::string* why_not);
  static std::unique_ptr<RedisServer> start(const RedisOptions& options, std::string* why_not);

  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::uint16_t bus_port() const { return bus_port_; }  // of a cluster's node, otherwise 0
  std::filesystem::path unix_socket() const { return directory_.path() / "redis.sock"; }
  const std::filesystem::path& directory() const { return directory_.path(); }
  const RedisOptions& options() const { return options_; }
  pid_t pid() const { return process_ ? process_->pid() : -1; }

  bool running() const { return process_ && process_->running(); }
  // Whether it answers a PING, were it with an error.
  bool answers() const;

  void stop(StopMode mode = StopMode::kOrderly);
  // Stops the server if it runs and starts it again on the same port and socket, ready on return.
  bool restart(StopMode mode, std::string* why_not);

  // Freezes the process (connections stay open, nothing answers) and thaws it.
  void pause();
  void resume();

  // Runs a command behind the back of the clients under test, by a connection of its own that is gone when
  // this returns, as the user `default`. The reply as to_string() has it, but a lone text without quotes;
  // nothing for an error, which is in `why_not`.
  std::optional<std::string> command(const std::vector<std::string>& arguments, std::string* why_not) const;

  // What the server wrote, for failure messages.
  std::string log_tail(std::size_t lines = 30) const;

 private:
  explicit RedisServer(RedisOptions options);
  bool prepare(std::string* why_not);
  bool launch(std::string* why_not);
  RedisReply ask(const std::vector<std::string>& arguments, std::chrono::seconds patience,
                 std::string* why_not) const;

  RedisOptions options_;
  std::uint16_t port_ = 0;
  std::uint16_t bus_port_ = 0;
  // The process goes before the directory that it writes in.
  TemporaryDirectory directory_;
  std::unique_ptr<ChildProcess> process_;
};

class RedisCluster {
 public:
  static constexpr int kSlots = 16384;

  static std::unique_ptr<RedisCluster> start(std::string* why_not);
  // `cluster` is set in any case.
  static std::unique_ptr<RedisCluster> start(RedisOptions options, std::string* why_not);

  // 0 owns the slots 0 to 8191, 1 the others.
  RedisServer& node(std::size_t index) { return *nodes_[index]; }
  // The index of the node that owns a key's slot.
  std::optional<std::size_t> owner_of(const std::string& key, std::string* why_not) const;

 private:
  bool join(std::string* why_not);

  std::array<std::unique_ptr<RedisServer>, 2> nodes_;
};

// Whether redis-server is there.
bool redis_is_installed(std::string* why_not);

// Whether a missing server must fail a test instead of skipping it: CI=true or MIDTRACE_REQUIRE_REDIS=1.
bool redis_required();

// Prints "not run: real Redis server: <why>" on standard output, once per program however often it is called.
void report_redis_not_run(const std::string& why);

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_REDIS_SERVER_H_
