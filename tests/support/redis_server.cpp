#include "support/redis_server.h"

#include <sys/time.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

namespace midtrace::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* kProgram = "redis-server";

void explain(std::string* why_not, std::string text) {
  if (why_not != nullptr) *why_not = std::move(text);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// One word of redis.conf.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

bool lost_its_port(const fs::path& output) {
  return last_lines(output, 500).find("Address already in use") != std::string::npos;
}

}  // namespace

RedisReply redis_reply(redisContext* context, const std::vector<std::string>& command) {
  std::vector<const char*> arguments;
  std::vector<std::size_t> lengths;
  for (const std::string& argument : command) {
    arguments.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  return RedisReply(static_cast<redisReply*>(
      redisCommandArgv(context, static_cast<int>(arguments.size()), arguments.data(), lengths.data())));
}

std::string to_string(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_STATUS:
      return {reply.str, static_cast<std::size_t>(reply.len)};
    case REDIS_REPLY_ERROR:
      return "(error) " + std::string(reply.str, static_cast<std::size_t>(reply.len));
    case REDIS_REPLY_STRING:
      return quoted({reply.str, static_cast<std::size_t>(reply.len)});
    case REDIS_REPLY_INTEGER:
      return "(integer) " + std::to_string(reply.integer);
    case REDIS_REPLY_NIL:
      return "(nil)";
    case REDIS_REPLY_ARRAY: {
      std::string text = "[";
      for (std::size_t i = 0; i < reply.elements; ++i)
        text += (i > 0 ? " " : "") + std::to_string(i + 1) + ") " + to_string(*reply.element[i]);
      return text + ']';
    }
    default:
      return "(reply of type " + std::to_string(reply.type) + ')';
  }
}

RedisServer::RedisServer(RedisOptions options) : options_(std::move(options)) {}

RedisServer::~RedisServer() {
  // Its data goes away with it, so there is nothing to wait for.
  stop(StopMode::kKill);
}

std::unique_ptr<RedisServer> RedisServer::start(std::string* why_not) { return start({}, why_not); }

std::unique_ptr<RedisServer> RedisServer::start(const RedisOptions& options, std::string* why_not) {
  if (!redis_is_installed(why_not)) return nullptr;
  try {
    // A port that was free a moment ago may be taken when the server asks for it; only that is worth another
    // round.
    for (int attempt = 0; attempt < 3; ++attempt) {
      std::unique_ptr<RedisServer> server(new RedisServer(options));
      if (!server->prepare(why_not)) return nullptr;
      if (server->launch(why_not)) return server;
      if (server->running() || !lost_its_port(server->directory() / "output")) break;
    }
  } catch (const std::exception& error) {
    explain(why_not, error.what());
  }
  return nullptr;
}

bool RedisServer::prepare(std::string* why_not) {
  port_ = free_loopback_port();
  if (options_.cluster) bus_port_ = free_loopback_port();
  if (port_ == 0 || (options_.cluster && bus_port_ == 0)) {
    explain(why_not, "no free port on 127.0.0.1");
    return false;
  }
  std::ofstream file(directory() / "redis.conf");
  file << "bind " << kHost << "\nport " << port_ << "\nunixsocket " << quoted(unix_socket().string())
       << "\ndir " << quoted(directory().string()) << "\ndaemonize no\nsave \"\"\nappendonly no\n";
  if (options_.cluster) file << "cluster-enabled yes\ncluster-port " << bus_port_ << '\n';
  if (!options_.password.empty()) file << "requirepass " << quoted(options_.password) << '\n';
  if (options_.user) {
    const RedisUser& user = *options_.user;
    file << "user " << user.name << " on " << quoted('>' + user.password) << ' ' << user.rules << '\n';
  }
  if (options_.max_clients) file << "maxclients " << *options_.max_clients << '\n';
  if (options_.max_memory) file << "maxmemory " << *options_.max_memory << '\n';
  if (!options_.max_memory_policy.empty()) file << "maxmemory-policy " << options_.max_memory_policy << '\n';
  for (const std::string& line : options_.configuration)
    file << line << '\n';
  file.close();
  if (!file) explain(why_not, "cannot write in " + directory().string());
  return static_cast<bool>(file);
}

bool RedisServer::launch(std::string* why_not) {
  ProcessOptions options;
  options.arguments = {find_program(kProgram), (directory() / "redis.conf").string()};
  options.inherit_environment = false;
  options.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  options.working_directory = directory();
  options.log_file = directory() / "output";
  process_ = ChildProcess::start(options, why_not);
  if (!process_) return false;
  const auto deadline = steady_clock::now() + options_.start_deadline;
  while (steady_clock::now() < deadline) {
    // On a port that another server won its answer would be mistaken for this one's; not so on the socket,
    // which this server opens after the port.
    const RedisReply reply = ask({"PING"}, seconds(2), nullptr);
    if (reply && !to_string(*reply).starts_with("(error) LOADING")) return true;
    if (!process_->running()) {
      explain(why_not, "redis-server ended while starting: " + last_lines(options.log_file, 1));
      return false;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  explain(why_not, "redis-server did not answer after " + std::to_string(options_.start_deadline.count()) +
                       " s: " + last_lines(options.log_file, 1));
  return false;
}

RedisReply RedisServer::ask(const std::vector<std::string>& arguments, seconds patience,
                            std::string* why_not) const {
  const timeval limit{patience.count(), 0};
  const RedisContext context(redisConnectUnixWithTimeout(unix_socket().c_str(), limit));
  if (!context || context->err != 0 || redisSetTimeout(context.get(), limit) != REDIS_OK) {
    explain(why_not, context ? context->errstr : "no context");
    return nullptr;
  }
  if (!options_.password.empty()) redis_reply(context.get(), {"AUTH", options_.password});
  RedisReply reply = redis_reply(context.get(), arguments);
  if (!reply) {
    explain(why_not, context->errstr);
    return nullptr;
  }
  // The server forgets a client before it closes the connection: from then on it does not count any more.
  redis_reply(context.get(), {"QUIT"});
  void* nothing = nullptr;
  if (redisGetReply(context.get(), &nothing) == REDIS_OK && nothing != nullptr) freeReplyObject(nothing);
  return reply;
}

bool RedisServer::answers() const { return ask({"PING"}, seconds(2), nullptr) != nullptr; }

std::optional<std::string> RedisServer::command(const std::vector<std::string>& arguments,
                                                std::string* why_not) const {
  const RedisReply reply = ask(arguments, seconds(60), why_not);
  if (!reply) return std::nullopt;
  std::string text(reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_ERROR
                       ? std::string(reply->str, static_cast<std::size_t>(reply->len))
                       : to_string(*reply));
  if (reply->type != REDIS_REPLY_ERROR) return text;
  explain(why_not, arguments.front() + ": " + text);
  return std::nullopt;
}

void RedisServer::stop(StopMode mode) {
  if (!process_) return;
  if (mode == StopMode::kKill) {
    process_->stop(seconds(30), SIGKILL);
  } else {
    process_->stop(seconds(30));
  }
  process_.reset();
}

bool RedisServer::restart(StopMode mode, std::string* why_not) {
  stop(mode);
  return launch(why_not);
}

void RedisServer::pause() {
  if (process_) process_->signal(SIGSTOP);
}

void RedisServer::resume() {
  if (process_) process_->signal(SIGCONT);
}

std::string RedisServer::log_tail(std::size_t lines) const {
  return last_lines(directory() / "output", lines);
}

std::unique_ptr<RedisCluster> RedisCluster::start(std::string* why_not) { return start({}, why_not); }

std::unique_ptr<RedisCluster> RedisCluster::start(RedisOptions options, std::string* why_not) {
  options.cluster = true;
  std::unique_ptr<RedisCluster> cluster(new RedisCluster);
  for (std::unique_ptr<RedisServer>& node : cluster->nodes_) {
    node = RedisServer::start(options, why_not);
    if (!node) return nullptr;
  }
  if (!cluster->join(why_not)) return nullptr;
  return cluster;
}

bool RedisCluster::join(std::string* why_not) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const int first = static_cast<int>(i) * kSlots / 2;
    // Nodes with the same epoch would have to agree on new ones first.
    if (!nodes_[i]->command({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)}, why_not) ||
        !nodes_[i]->command(
            {"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(first + kSlots / 2 - 1)},
            why_not))
      return false;
  }
  if (!nodes_[0]->command({"CLUSTER", "MEET", RedisServer::kHost, std::to_string(nodes_[1]->port()),
                           std::to_string(nodes_[1]->bus_port())},
                          why_not))
    return false;
  const auto deadline = steady_clock::now() + seconds(60);
  for (const std::unique_ptr<RedisServer>& node : nodes_) {
    while (true) {
      const std::optional<std::string> info = node->command({"CLUSTER", "INFO"}, why_not);
      if (!info) return false;
      if (info->find("cluster_state:ok") != std::string::npos) break;
      if (steady_clock::now() > deadline) {
        explain(why_not, "the cluster is not ready after 60 s");
        return false;
      }
      std::this_thread::sleep_for(milliseconds(10));
    }
  }
  return true;
}

std::optional<std::size_t> RedisCluster::owner_of(const std::string& key, std::string* why_not) const {
  const std::optional<std::string> slot = nodes_[0]->command({"CLUSTER", "KEYSLOT", key}, why_not);
  if (!slot) return std::nullopt;
  // `(integer) 12182`
  return std::atoi(slot->c_str() + slot->find(' ')) < kSlots / 2 ? 0 : 1;
}

bool redis_is_installed(std::string* why_not) {
  if (!find_program(kProgram).empty()) return true;
  explain(why_not, "redis-server is not there (Debian package redis-server)");
  return false;
}

bool redis_required() { return environment("CI") == "true" || environment("MIDTRACE_REQUIRE_REDIS") == "1"; }

void report_redis_not_run(const std::string& why) {
  static std::once_flag once;
  std::call_once(once, [&why] {
    std::printf("not run: real Redis server: %s\n", why.c_str());
    std::fflush(stdout);
  });
}

}  // namespace midtrace::test
