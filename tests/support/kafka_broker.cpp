#include "support/kafka_broker.h"

#include <arpa/inet.h>
#include <librdkafka/rdkafka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <system_error>
#include <thread>

namespace midtrace::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* kClusterId = "bWlkdHJhY2UtdGVzdC0wMQ";  // a 16-byte id in base64
constexpr const char* kVersion = MIDTRACE_TEST_KAFKA_VERSION;

void explain(std::string* why_not, std::string text) {
  if (why_not != nullptr) *why_not = std::move(text);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// The same rule as in kafka/fetch.sh.
fs::path jar_directory() {
  const std::string directory = std::string("kafka-") + kVersion;
  if (const std::string own = environment("MIDTRACE_CACHE"); !own.empty()) return fs::path(own) / directory;
  if (const std::string xdg = environment("XDG_CACHE_HOME"); !xdg.empty()) {
    return fs::path(xdg) / "midtrace" / directory;
  }
  const std::string home = environment("HOME");
  return home.empty() ? fs::path() : fs::path(home) / ".cache" / "midtrace" / directory;
}

std::string find_java() {
  if (const std::string home = environment("JAVA_HOME"); !home.empty()) {
    if (std::string java = find_program(home + "/bin/java"); !java.empty()) return java;
  }
  return find_program("java");
}

struct Destroy {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
  void operator()(rd_kafka_AdminOptions_t* options) const { rd_kafka_AdminOptions_destroy(options); }
  void operator()(const rd_kafka_metadata_t* metadata) const { rd_kafka_metadata_destroy(metadata); }
};
template <class T>
using Owned = std::unique_ptr<T, Destroy>;

// A client for the support's own requests. It says nothing: a broker that is not up yet is the normal case
// here.
Owned<rd_kafka_t> quiet_client(const std::string& bootstrap, std::string* why_not) {
  std::array<char, 512> error{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const std::array<std::pair<const char*, const char*>, 4> settings{{
      {"bootstrap.servers", bootstrap.c_str()},
      {"client.id", "midtrace-test-support"},
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "200"},
  }};
  for (const auto& setting : settings) {
    if (rd_kafka_conf_set(conf, setting.first, setting.second, error.data(), error.size()) !=
        RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      explain(why_not, error.data());
      return nullptr;
    }
  }
  rd_kafka_conf_set_log_cb(conf, nullptr);
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int, const char*, void*) {});
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size());
  if (client == nullptr) {
    rd_kafka_conf_destroy(conf);
    explain(why_not, error.data());
  }
  return Owned<rd_kafka_t>(client);
}

Owned<const rd_kafka_metadata_t> metadata_of(rd_kafka_t* client, bool all_topics, int timeout_ms) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(client, all_topics ? 1 : 0, nullptr, &metadata, timeout_ms);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return nullptr;
  return Owned<const rd_kafka_metadata_t>(metadata);
}

bool accepts_connections(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool accepted = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return accepted;
}

bool has_all_leaders(const rd_kafka_metadata_t& metadata, const std::string& topic, int partitions) {
  for (int i = 0; i < metadata.topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& found = metadata.topics[i];
    if (topic != found.topic) continue;
    if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR || found.partition_cnt != partitions) return false;
    for (int p = 0; p < found.partition_cnt; ++p) {
      if (found.partitions[p].leader < 0) return false;
    }
    return true;
  }
  return false;
}

// One line, so that it fits the one line a skipped test prints.
std::string last_complaint(const fs::path& log) {
  std::ifstream stream(log);
  std::string last;
  std::string complaint;
  for (std::string line; std::getline(stream, line);) {
    if (line.empty()) continue;
    if (line.find("Exception") != std::string::npos || line.find("Error") != std::string::npos)
      complaint = line;
    last = std::move(line);
  }
  return complaint.empty() ? last : complaint;
}

bool lost_its_port(const fs::path& log) {
  const std::string text = last_lines(log, 500);
  return text.find("Address already in use") != std::string::npos ||
         text.find("BindException") != std::string::npos;
}

}  // namespace

KafkaBroker::KafkaBroker(KafkaBrokerOptions options, std::string java, fs::path jars)
    : options_(std::move(options)), java_(std::move(java)), jars_(std::move(jars)) {}

KafkaBroker::~KafkaBroker() {
  // Its data goes away with it, so there is nothing to wait for; but a frozen process is reaped only after
  // KILL too.
  stop(StopMode::kKill);
}

std::unique_ptr<KafkaBroker> KafkaBroker::start(std::string* why_not) { return start({}, why_not); }

std::unique_ptr<KafkaBroker> KafkaBroker::start(const KafkaBrokerOptions& options, std::string* why_not) {
  const fs::path jars = jar_directory();
  std::error_code ignored;
  if (jars.empty() || !fs::exists(jars / "complete", ignored)) {
    explain(why_not, "Kafka " + std::string(kVersion) + " is not in " + jars.string() +
                         ", fetch it with tests/support/kafka/fetch.sh");
    return nullptr;
  }
  std::string java = find_java();
  if (java.empty()) {
    explain(why_not, "no java in JAVA_HOME or PATH (Debian package openjdk-17-jre-headless)");
    return nullptr;
  }
  try {
    std::unique_ptr<KafkaBroker> broker(new KafkaBroker(options, java, jars));
    // A port that was free a moment ago may be taken when the broker asks for it; only that is worth another
    // round.
    for (int attempt = 0; attempt < 3; ++attempt) {
      fs::remove_all(broker->file("data"));
      fs::remove(broker->file("broker.log"));
      if (!broker->write_configuration(why_not) || !broker->format(why_not)) return nullptr;
      if (broker->launch(why_not) && broker->wait_until_ready(why_not)) return broker;
      if (broker->running() || !lost_its_port(broker->file("broker.log"))) break;
    }
  } catch (const std::exception& error) {
    explain(why_not, error.what());
  }
  return nullptr;
}

bool KafkaBroker::write_configuration(std::string* why_not) {
  port_ = free_loopback_port();
  controller_port_ = free_loopback_port();
  if (port_ == 0 || controller_port_ == 0) {
    explain(why_not, "no free port on 127.0.0.1");
    return false;
  }
  const std::string controller = "127.0.0.1:" + std::to_string(controller_port_);
  fs::create_directories(file("tmp"));
  std::ofstream properties(file("server.properties"), std::ios::trunc);
  properties << "process.roles=broker,controller\n"
             << "node.id=" << kNodeId << '\n'
             << "controller.quorum.voters=" << kNodeId << '@' << controller << '\n'
             << "listeners=PLAINTEXT://" << bootstrap_servers() << ",CONTROLLER://" << controller << '\n'
             << "advertised.listeners=PLAINTEXT://" << bootstrap_servers() << '\n'
             << "controller.listener.names=CONTROLLER\n"
             << "inter.broker.listener.name=PLAINTEXT\n"
             << "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
             << "log.dirs=" << file("data").string()
             << '\n'
             // Single node: nothing can be replicated, and one partition is created faster than fifty.
             << "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n"
             << "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
             << "transaction.state.log.num.partitions=1\n"
             // Tests create what they need; a misspelt topic shall fail, not appear.
             << "auto.create.topics.enable=false\n"
             << "group.initial.rebalance.delay.ms=0\n"
             << "broker.heartbeat.interval.ms=1000\nbroker.session.timeout.ms=6000\n"
             << "num.network.threads=2\nnum.io.threads=2\nbackground.threads=2\n"
             // Compaction in test time; the default buffer alone would be a quarter of the heap.
             << "log.cleaner.backoff.ms=200\nlog.cleaner.dedupe.buffer.size=2097152\n"
             << "log.initial.task.delay.ms=500\n";
  for (const auto& [name, value] : options_.properties)
    properties << name << '=' << value << '\n';
  properties.close();

  std::ofstream logging(file("log4j.properties"), std::ios::trunc);
  logging << "log4j.rootLogger=INFO, out\n"
          << "log4j.logger.kafka.server.KafkaConfig=WARN\n"
          << "log4j.appender.out=org.apache.log4j.ConsoleAppender\n"
          << "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
          << "log4j.appender.out.layout.ConversionPattern=%d{ABSOLUTE} %p %c{1} %m%n\n";
  logging.close();
  if (!properties || !logging) {
    explain(why_not, "cannot write in " + directory_.path().string());
    return false;
  }
  return true;
}

std::vector<std::string> KafkaBroker::java_command(int heap_megabytes) const {
  return {java_, "-Xmx" + std::to_string(heap_megabytes) + "m", "-XX:+UseSerialGC",
          // The first compiler only: the start takes three quarters of the time, and tests share few cores.
          "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:ErrorFile=" + file("hs_err.log").string(),
          "-Djava.io.tmpdir=" + file("tmp").string(), "-Djava.awt.headless=true",
          "-Djava.net.preferIPv4Stack=true",
          "-Dlog4j.configuration=file:" + file("log4j.properties").string(), "-cp", jars_.string() + "/*"};
}

ProcessOptions KafkaBroker::process_options(std::vector<std::string> arguments) const {
  ProcessOptions options;
  options.arguments = std::move(arguments);
  // Not the test's environment: sanitizer preloads and JAVA_TOOL_OPTIONS are not meant for the broker.
  options.inherit_environment = false;
  options.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + directory_.path().string()};
  options.working_directory = directory_.path();
  options.log_file = file("broker.log");
  return options;
}

bool KafkaBroker::format(std::string* why_not) {
  std::vector<std::string> command = java_command(128);
  for (const char* argument : {"kafka.tools.StorageTool", "format", "-t", kClusterId, "-c"}) {
    command.emplace_back(argument);
  }
  command.push_back(file("server.properties").string());
  std::string reason;
  const std::optional<ExitStatus> status =
      run_process(process_options(std::move(command)), options_.start_deadline, &reason);
  if (status && status->success()) return true;
  if (status) reason = last_complaint(file("broker.log"));
  explain(why_not, "formatting the storage failed: " + reason);
  return false;
}

bool KafkaBroker::launch(std::string* why_not) {
  std::vector<std::string> command = java_command(options_.heap_megabytes);
  command.emplace_back("kafka.Kafka");
  command.push_back(file("server.properties").string());
  process_ = ChildProcess::start(process_options(std::move(command)), why_not);
  return process_ != nullptr;
}

bool KafkaBroker::wait_until_ready(std::string* why_not) {
  const auto deadline = steady_clock::now() + options_.start_deadline;
  Owned<rd_kafka_t> client;
  while (steady_clock::now() < deadline) {
    if (!process_->running()) {
      explain(why_not, "the broker ended while starting: " + last_complaint(file("broker.log")));
      return false;
    }
    // The client comes when there is something to connect to: its retries are slower than this loop.
    if (!client && accepts_connections(port_)) {
      client = quiet_client(bootstrap_servers(), why_not);
      if (!client) return false;
    }
    // A broker that still waits for its controller lists no broker, itself included.
    const Owned<const rd_kafka_metadata_t> metadata =
        client ? metadata_of(client.get(), false, 500) : nullptr;
    if (metadata && metadata->broker_cnt == 1 && metadata->brokers[0].id == kNodeId &&
        metadata->brokers[0].port == port_) {
      return true;
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  explain(why_not, "the broker was not ready after " + std::to_string(options_.start_deadline.count()) +
                       " s: " + last_complaint(file("broker.log")));
  return false;
}

std::string KafkaBroker::bootstrap_servers() const { return "127.0.0.1:" + std::to_string(port_); }

std::string KafkaBroker::cluster_id() const { return kClusterId; }

void KafkaBroker::stop(StopMode mode) {
  if (!process_) return;
  if (mode == StopMode::kKill) {
    process_->stop(seconds(30), SIGKILL);
  } else {
    process_->stop(seconds(30));
  }
  process_.reset();
}

bool KafkaBroker::restart(StopMode mode, std::string* why_not) {
  stop(mode);
  return launch(why_not) && wait_until_ready(why_not);
}

void KafkaBroker::pause() {
  if (process_) process_->signal(SIGSTOP);
}

void KafkaBroker::resume() {
  if (process_) process_->signal(SIGCONT);
}

bool KafkaBroker::create_topic(const std::string& name, int partitions, const TopicConfigs& configs,
                               std::string* why_not) {
  const Owned<rd_kafka_t> client = quiet_client(bootstrap_servers(), why_not);
  if (!client) return false;
  std::array<char, 512> error{};
  const Owned<rd_kafka_NewTopic_t> topic(
      rd_kafka_NewTopic_new(name.c_str(), partitions, 1, error.data(), error.size()));
  if (!topic) {
    explain(why_not, error.data());
    return false;
  }
  for (const auto& [key, value] : configs) {
    rd_kafka_NewTopic_set_config(topic.get(), key.c_str(), value.c_str());
  }
  const Owned<rd_kafka_AdminOptions_t> options(
      rd_kafka_AdminOptions_new(client.get(), RD_KAFKA_ADMIN_OP_CREATETOPICS));
  rd_kafka_AdminOptions_set_request_timeout(options.get(), 15000, error.data(), error.size());
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), 15000, error.data(), error.size());
  const Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(client.get()));
  rd_kafka_NewTopic_t* wanted = topic.get();
  rd_kafka_CreateTopics(client.get(), &wanted, 1, options.get(), queue.get());
  const Owned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue.get(), 20000));
  if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    explain(why_not, name + ": " + (event ? rd_kafka_event_error_string(event.get()) : "no answer"));
    return false;
  }
  std::size_t count = 0;
  const rd_kafka_CreateTopics_result_t* result = rd_kafka_event_CreateTopics_result(event.get());
  const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(result, &count);
  if (count != 1 || rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* text = count == 1 ? rd_kafka_topic_result_error_string(results[0]) : "no result";
    explain(why_not, name + ": " + (text != nullptr ? text : "refused"));
    return false;
  }
  const auto deadline = steady_clock::now() + seconds(15);
  while (steady_clock::now() < deadline) {
    const Owned<const rd_kafka_metadata_t> metadata = metadata_of(client.get(), true, 1000);
    if (metadata && has_all_leaders(*metadata, name, partitions)) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  explain(why_not, name + ": no leader for some partition");
  return false;
}

std::string KafkaBroker::log_tail(std::size_t lines) const { return last_lines(file("broker.log"), lines); }

KafkaBroker* shared_kafka_broker(std::string* why_not) {
  static std::mutex mutex;
  static std::string failure;
  static std::unique_ptr<KafkaBroker> broker;
  const std::lock_guard lock(mutex);
  if (!broker && failure.empty()) {
    broker = KafkaBroker::start(&failure);
    if (!broker && failure.empty()) failure = "no reason known";
  }
  if (!broker) explain(why_not, failure);
  return broker.get();
}

bool kafka_broker_required() {
  return environment("CI") == "true" || environment("MIDTRACE_REQUIRE_KAFKA") == "1";
}

void report_kafka_not_run(const std::string& why) {
  static std::once_flag once;
  std::call_once(once, [&why] {
    std::printf("not run: real Kafka broker: %s\n", why.c_str());
    std::fflush(stdout);
  });
}

}  // namespace midtrace::test
