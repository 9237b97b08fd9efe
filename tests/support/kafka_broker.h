// A real Apache Kafka broker (KRaft, one node: broker and controller) as a throw-away child process for live
// tests.
//
// start() takes two free ports on 127.0.0.1, formats a data directory inside a temporary one, starts the JVM
// and waits until a metadata request finds the broker. Nothing listens outside the loopback address and
// nothing is left behind: the process and its files go with the object (see child_process.h). One partition
// each for offsets and transaction state, no rebalance delay, no topic auto-creation, compaction looks for
// work every 200 ms.
//
// The jars come from kafka/fetch.sh, which runs beforehand: start() never downloads. Java is
// $JAVA_HOME/bin/java or the `java` in PATH.
//
// Errors: nullptr or false with one line of explanation in the string (which may be null); nothing throws.
// Threads: one thread at a time per object; start() and shared_kafka_broker() from any thread.
#ifndef MIDTRACE_TESTS_SUPPORT_KAFKA_BROKER_H_
#define MIDTRACE_TESTS_SUPPORT_KAFKA_BROKER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/child_process.h"

namespace midtrace::test {

struct KafkaBrokerOptions {
  int heap_megabytes = 512;
  // Lines for server.properties, after the defaults, so that they win over them.
  std::vector<std::pair<std::string, std::string>> properties;
  // From the start of the process to the first successful metadata request.
  std::chrono::seconds start_deadline{60};
};

class KafkaBroker {
 public:
  // How a running broker ends: in order, or as if the machine lost power.
  enum class StopMode { kOrderly, kKill };
  using TopicConfigs = std::vector<std::pair<std::string, std::string>>;

  static std::unique_ptr<KafkaBroker> start(std::string* why_not);
  static std::unique_ptr<KafkaBroker> start(const KafkaBrokerOptions& options, std::string* why_not);

  ~KafkaBroker();
  KafkaBroker(const KafkaBroker&) = delete;
  KafkaBroker& operator=(const KafkaBroker&) = delete;

  // "127.0.0.1:<port>"; the same after a restart.
  std::string bootstrap_servers() const;
  std::uint16_t port() const { return port_; }
  std::string cluster_id() const;
  static constexpr int kNodeId = 1;

  void stop(StopMode mode = StopMode::kOrderly);
  bool running() const { return process_ && process_->running(); }

  // Stops the broker if it runs and starts it again with the same ports and data, ready on return. After
  // kKill the broker has to sit out its own old session first, which takes some seconds more.
  bool restart(StopMode mode, std::string* why_not);

  // Freezes the whole process (connections stay open, nothing answers) and thaws it. Keep it below
  // broker.session.timeout.ms, 6 s here, or the broker loses its leaderships for a moment.
  void pause();
  void resume();

  // Creates a topic and returns when every partition has a leader.
  bool create_topic(const std::string& name, int partitions, const TopicConfigs& configs = {},
                    std::string* why_not = nullptr);

  // The broker's own log, for failure messages.
  std::string log_tail(std::size_t lines = 30) const;
  pid_t pid() const { return process_ ? process_->pid() : -1; }

 private:
  KafkaBroker(KafkaBrokerOptions options, std::string java, std::filesystem::path jars);
  std::filesystem::path file(const char* name) const { return directory_.path() / name; }
  std::vector<std::string> java_command(int heap_megabytes) const;
  ProcessOptions process_options(std::vector<std::string> arguments) const;
  bool write_configuration(std::string* why_not);
  bool format(std::string* why_not);
  bool launch(std::string* why_not);
  bool wait_until_ready(std::string* why_not);

  KafkaBrokerOptions options_;
  std::string java_;
  std::filesystem::path jars_;
  std::uint16_t port_ = 0;
  std::uint16_t controller_port_ = 0;
  // The process goes before the directory that it writes in.
  TemporaryDirectory directory_;
  std::unique_ptr<ChildProcess> process_;
};

// One broker for all tests of a program, started at the first call; it ends with the program. A failed start
// is not tried again: later calls return nullptr with the same explanation.
KafkaBroker* shared_kafka_broker(std::string* why_not);

// Whether a missing broker must fail a test instead of skipping it: CI=true or MIDTRACE_REQUIRE_KAFKA=1.
bool kafka_broker_required();

// Prints "not run: real Kafka broker: <why>" on standard output, once per program however often it is called.
void report_kafka_not_run(const std::string& why);

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_KAFKA_BROKER_H_
