// A real RabbitMQ node as throw-away child processes for live tests.
//
// RabbitmqNode::start() takes free ports on 127.0.0.1, starts a port mapper (epmd) of its own and the server,
// in a temporary directory, and waits until the server answers AMQP: 5 s on two idle cores. Nothing listens
// outside the loopback address and nothing is left behind: both processes and all files go with the object,
// however the test ends (see child_process.h). No plugins; user guest, password guest; a virtual host "/".
//
// RabbitmqServer is what a test says to a node that runs, in whatever process its RabbitmqNode is. It talks
// to the server with Erlang's erl_call, a C program, because rabbitmqctl starts a virtual machine each time:
// a virtual host costs 30 ms instead of seconds, so every test has its own.
//
// shared_rabbitmq() is the one node of a test run. CTest starts and stops it as a fixture
// (rabbitmq_fixture.cpp); a test program that is run by hand starts one for itself.
//
// Errors: nullptr, nothing or false with one line of explanation in the string (which may be null); nothing
// throws. Threads: one thread at a time per object; different objects and shared_rabbitmq() from any thread.
#ifndef MIDTRACE_TESTS_SUPPORT_RABBITMQ_NODE_H_
#define MIDTRACE_TESTS_SUPPORT_RABBITMQ_NODE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/child_process.h"

namespace midtrace::test {

// What reaches a node.
struct RabbitmqAddress {
  std::filesystem::path directory;  // its home, with the cookie, the logs and the certificates
  std::uint16_t port = 0;           // AMQP, on 127.0.0.1
  std::uint16_t tls_port = 0;       // AMQP over TLS, or 0
  std::uint16_t mapper_port = 0;
  std::uint16_t distribution_port = 0;
};

class RabbitmqServer {
 public:
  explicit RabbitmqServer(RabbitmqAddress address) : address_(std::move(address)) {}

  static constexpr const char* kHost = "127.0.0.1";
  static constexpr const char* kUser = "guest";
  static constexpr const char* kPassword = "guest";

  std::uint16_t port() const { return address_.port; }
  // With a certificate for 127.0.0.1 and localhost that authority_file() has signed; 0 without TLS.
  std::uint16_t tls_port() const { return address_.tls_port; }
  std::filesystem::path authority_file() const { return address_.directory / "authority.pem"; }
  const RabbitmqAddress& address() const { return address_; }

  // Whether it answers the protocol header of AMQP 0-9-1.
  bool answers() const;

  bool create_virtual_host(const std::string& name, std::string* why_not) const;
  bool delete_virtual_host(const std::string& name, std::string* why_not) const;

  // Closes connections from the server's side (connection.close, 320 CONNECTION_FORCED) and returns how many:
  // all of a virtual host, or the one that comes from a port of the client.
  std::optional<int> close_connections(const std::string& virtual_host, std::string* why_not) const;
  std::optional<int> close_connection_from(std::uint16_t client_port, std::string* why_not) const;

  // The broker inside the node, as rabbitmqctl stop_app and start_app: 0.1 s and 1 s. Only for a node of the
  // test's own.
  bool stop_application(std::string* why_not) const;
  bool start_application(std::string* why_not) const;

  // Writes what is known of virtual hosts, queues and bindings to the disk. The node does so only every two
  // seconds: who kills it sooner after a durable queue was declared finds it gone after the restart.
  bool write_metadata(std::string* why_not) const;

  // The value of an Erlang expression in the node, printed by Erlang. Strings in it are the caller's
  // business.
  std::optional<std::string> evaluate(const std::string& expression, std::string* why_not) const;

  // The node's own warnings and errors, for failure messages.
  std::string log_tail(std::size_t lines = 30) const;

 private:
  bool evaluates_to_ok(const std::string& expression, std::string* why_not) const;

  RabbitmqAddress address_;
};

struct RabbitmqOptions {
  bool tls = false;  // takes half a second more
  // Lines for rabbitmq.conf.
  std::vector<std::string> configuration;
  // From the start of the processes to the first answer.
  std::chrono::seconds start_deadline{120};
};

class RabbitmqNode {
 public:
  // How a running node ends: in order, or as if the machine lost power.
  enum class StopMode { kOrderly, kKill };

  static std::unique_ptr<RabbitmqNode> start(std::string* why_not);
  static std::unique_ptr<RabbitmqNode> start(const RabbitmqOptions& options, std::string* why_not);

  ~RabbitmqNode();
  RabbitmqNode(const RabbitmqNode&) = delete;
  RabbitmqNode& operator=(const RabbitmqNode&) = delete;

  const RabbitmqServer& server() const { return server_; }

  void stop(StopMode mode = StopMode::kOrderly);
  bool running() const { return process_ && process_->running(); }

  // Stops the node if it runs and starts it again with the same ports and data, ready on return.
  bool restart(StopMode mode, std::string* why_not);

  // Freezes the whole process (connections stay open, nothing answers) and thaws it.
  void pause();
  void resume();

  pid_t pid() const { return process_ ? process_->pid() : -1; }
  pid_t mapper_pid() const { return mapper_ ? mapper_->pid() : -1; }

 private:
  explicit RabbitmqNode(RabbitmqOptions options);
  bool prepare(std::string* why_not);
  bool start_mapper(std::string* why_not);
  bool launch(std::string* why_not);

  RabbitmqOptions options_;
  // The processes go before the directory that they write in, and the server before its port mapper.
  TemporaryDirectory directory_;
  RabbitmqServer server_{RabbitmqAddress{}};
  std::unique_ptr<ChildProcess> mapper_;
  std::unique_ptr<ChildProcess> process_;
};

// Whether the programs are there that a node needs; `why_not` names the missing one.
bool rabbitmq_is_installed(std::string* why_not);

// The node that all tests of a run share; it has TLS. In a program that CTest did not start, or without its
// fixture, a node of the program's own, started at the first call. A failed start is not tried again: later
// calls return nullptr with the same explanation.
const RabbitmqServer* shared_rabbitmq(std::string* why_not);

// Whether a missing server must fail a test instead of skipping it: CI=true or MIDTRACE_REQUIRE_RABBITMQ=1.
bool rabbitmq_required();

// Prints "not run: real RabbitMQ server: <why>" on standard output, once per program however often it is
// called.
void report_rabbitmq_not_run(const std::string& why);

// The processes whose command line or environment contains `text`, for tests that nothing is left behind.
std::vector<pid_t> processes_mentioning(const std::string& text);

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_RABBITMQ_NODE_H_
