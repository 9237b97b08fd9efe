// The other AMQP clients that the tests talk to: python3-amqp through amqp_peer.py, and the programs of
// amqp-tools.
//
// Each call starts a program and waits for it, 0.2 s for the Python one. Nothing when it fails; `why_not`
// then has the end of its output.
#ifndef MIDTRACE_TESTS_LIVE_AMQP_PEER_H_
#define MIDTRACE_TESTS_LIVE_AMQP_PEER_H_

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/child_process.h"
#include "support/rabbitmq_node.h"

namespace midtrace::test {

class AmqpPeer {
 public:
  AmqpPeer(const RabbitmqServer& server, std::string virtual_host)
      : port_(std::to_string(server.port())), virtual_host_(std::move(virtual_host)) {}

  // Runs amqp_peer.py, which explains its commands: {"publish", exchange, routing key, body, headers as JSON}
  // or
  // {"get", queue}. Returns its output without the final newline.
  std::optional<std::string> python(const std::vector<std::string>& command, std::string* why_not) const {
    std::vector<std::string> arguments{"/usr/bin/python3", MIDTRACE_TEST_AMQP_PEER, port_, virtual_host_};
    arguments.insert(arguments.end(), command.begin(), command.end());
    return run(arguments, why_not);
  }

  // Runs a program of amqp-tools, e.g. {"amqp-publish", "-r", queue, "-b", body} or {"amqp-get", "-q",
  // queue}.
  std::optional<std::string> tool(std::vector<std::string> command, std::string* why_not) const {
    command.insert(command.begin() + 1, {"--server=127.0.0.1", "--port=" + port_, "--vhost=" + virtual_host_,
                                         "--username=guest", "--password=guest"});
    return run(command, why_not);
  }

 private:
  std::optional<std::string> run(const std::vector<std::string>& arguments, std::string* why_not) const {
    const TemporaryDirectory directory;
    ProcessOptions options;
    options.arguments = arguments;
    options.log_file = directory.path() / "output";
    const std::optional<ExitStatus> status = run_process(options, std::chrono::seconds(120), why_not);
    if (!status) return std::nullopt;
    if (!status->success()) {
      if (why_not != nullptr) *why_not = last_lines(options.log_file, 5);
      return std::nullopt;
    }
    std::ifstream stream(options.log_file, std::ios::binary);
    std::string output(std::istreambuf_iterator<char>(stream), {});
    if (output.ends_with('\n')) output.pop_back();
    return output;
  }

  std::string port_;
  std::string virtual_host_;
};

// Whether python3-amqp and amqp-tools are there.
inline bool amqp_peers_are_installed(std::string* why_not) {
  ProcessOptions trial;
  trial.arguments = {"/usr/bin/python3", "-c", "import amqp"};
  const std::optional<ExitStatus> status = run_process(trial, std::chrono::seconds(60), why_not);
  if (!status || !status->success()) {
    if (why_not != nullptr) *why_not = "python3-amqp is not installed";
    return false;
  }
  if (find_program("amqp-publish").empty()) {
    if (why_not != nullptr) *why_not = "amqp-tools is not installed";
    return false;
  }
  return true;
}

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_AMQP_PEER_H_
