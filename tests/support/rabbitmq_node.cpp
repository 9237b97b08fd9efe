#include "support/rabbitmq_node.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>

#include "support/certificates.h"
#include "support/rabbitmq_state.h"

namespace midtrace::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

// Not the one in /usr/sbin, which becomes the user rabbitmq.
constexpr const char* kServerProgram = "/usr/lib/rabbitmq/bin/rabbitmq-server";
constexpr const char* kPath = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/erlang/bin";

void explain(std::string* why_not, std::string text) {
  if (why_not != nullptr) *why_not = std::move(text);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// epmd and erl_call are not always linked into PATH.
std::string erlang_program(const std::string& name) {
  std::string found = find_program("/usr/lib/erlang/bin/" + name);
  return found.empty() ? find_program(name) : found;
}

std::string node_name(const RabbitmqAddress& address) {
  return "midtrace" + std::to_string(address.distribution_port) + "@localhost";
}

std::string log_file(const RabbitmqAddress& address) {
  return address.directory / "log" / (node_name(address) + ".log");
}

// The programs see nothing of the test's own environment: a RABBITMQ_ or ERL_ variable there would change
// them.
std::vector<std::string> node_environment(const RabbitmqAddress& address) {
  const std::string home = address.directory.string();
  return {
      std::string("PATH=") + kPath,
      "HOME=" + home,
      "LANG=C.UTF-8",
      "ERL_EPMD_PORT=" + std::to_string(address.mapper_port),
      "ERL_EPMD_ADDRESS=127.0.0.1",
      "ERL_CRASH_DUMP_SECONDS=0",
      "RABBITMQ_NODENAME=" + node_name(address),
      "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
      "RABBITMQ_NODE_PORT=" + std::to_string(address.port),
      "RABBITMQ_DIST_PORT=" + std::to_string(address.distribution_port),
      "RABBITMQ_BASE=" + home,
      "RABBITMQ_MNESIA_BASE=" + home + "/mnesia",
      "RABBITMQ_LOG_BASE=" + home + "/log",
      "RABBITMQ_SCHEMA_DIR=" + home + "/schema",
      "RABBITMQ_GENERATED_CONFIG_DIR=" + home + "/config",
      "RABBITMQ_CONF_ENV_FILE=/dev/null",
      "RABBITMQ_CONFIG_FILE=" + home + "/rabbitmq.conf",
      "RABBITMQ_ENABLED_PLUGINS_FILE=" + home + "/enabled_plugins",
      "RABBITMQ_PID_FILE=" + home + "/pid",
      // The script then becomes the virtual machine instead of watching over it.
      "RUNNING_UNDER_SYSTEMD=true",
      // Few threads that do not spin, a table of ports that does not grow with the limit of descriptors, and
      // no port mapper that would outlive the node.
      "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none +Q 16384 "
      "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
  };
}

int connect_to(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

// Names go into Erlang source.
bool is_plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
  });
}

std::string binary(std::string_view text) { return "<<\"" + std::string(text) + "\">>"; }

std::optional<int> to_number(const std::optional<std::string>& text, std::string* why_not) {
  if (!text) return std::nullopt;
  int number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error == std::errc() && end == text->data() + text->size()) return number;
  explain(why_not, "no number: " + *text);
  return std::nullopt;
}

// Not by a stream: its iterators throw when a file of /proc belongs to a process that ends meanwhile.
std::string contents(const fs::path& file) {
  std::string text;
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return text;
  std::array<char, 4096> part{};
  for (ssize_t got = 0; (got = ::read(descriptor, part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(got));
  ::close(descriptor);
  return text;
}

// One line, so that it fits the one line a skipped test prints.
std::string last_complaint(const fs::path& output) {
  std::ifstream stream(output);
  std::string last;
  std::string complaint;
  for (std::string line; std::getline(stream, line);) {
    if (line.empty()) continue;
    if (line.find("rror") != std::string::npos || line.find("ERROR") != std::string::npos) complaint = line;
    last = std::move(line);
  }
  return complaint.empty() ? last : complaint;
}

bool lost_its_port(const fs::path& output) {
  const std::string text = last_lines(output, 500);
  return text.find("eaddrinuse") != std::string::npos || text.find("in use") != std::string::npos;
}

}  // namespace

bool RabbitmqServer::answers() const {
  const int socket = connect_to(address_.port);
  if (socket < 0) return false;
  constexpr std::array<char, 8> kHeader{'A', 'M', 'Q', 'P', 0, 0, 9, 1};
  const timeval limit{2, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char first = 0;
  const bool answered =
      ::send(socket, kHeader.data(), kHeader.size(), MSG_NOSIGNAL) == ssize_t{kHeader.size()} &&
      ::recv(socket, &first, 1, 0) == 1 && first == 1;  // a method frame, connection.start
  ::close(socket);
  return answered;
}

std::optional<std::string> RabbitmqServer::evaluate(const std::string& expression,
                                                    std::string* why_not) const {
  static std::atomic<unsigned> count{0};
  // Two callers of one name at a time would shut each other out.
  const std::string caller = "caller" + std::to_string(::getpid()) + 'x' + std::to_string(++count);
  const fs::path output = address_.directory / caller;
  ProcessOptions options;
  // It reads the expression from standard input.
  options.arguments = {"/bin/sh",
                       "-c",
                       R"(printf '%s.\n' "$4" | "$1" -h "$2" -sname "$3" -e)",
                       "sh",
                       erlang_program("erl_call"),
                       caller,
                       node_name(address_),
                       expression};
  options.inherit_environment = false;
  options.environment = node_environment(address_);
  options.log_file = output;
  const std::optional<ExitStatus> status = run_process(options, seconds(120), why_not);
  std::string answer = contents(output);
  std::error_code ignored;
  fs::remove(output, ignored);
  if (!status) return std::nullopt;
  constexpr std::string_view kBegin = "{ok, ";
  if (!status->success() || !answer.starts_with(kBegin)) {
    std::replace(answer.begin(), answer.end(), '\n', ' ');
    explain(why_not, expression + ": " + (answer.empty() ? "no answer" : answer));
    return std::nullopt;
  }
  answer.erase(answer.rfind('}'));
  return answer.substr(kBegin.size());
}

bool RabbitmqServer::evaluates_to_ok(const std::string& expression, std::string* why_not) const {
  const std::optional<std::string> answer = evaluate(expression, why_not);
  if (answer && *answer != "ok") explain(why_not, expression + ": " + *answer);
  return answer == "ok";
}

bool RabbitmqServer::create_virtual_host(const std::string& name, std::string* why_not) const {
  if (!is_plain_name(name)) {
    explain(why_not, "virtual host \"" + name + "\": letters, digits and _-./ only");
    return false;
  }
  const std::string host = binary(name);
  const std::string all = binary(".*");
  return evaluates_to_ok("ok = rabbit_vhost:add(" + host + ", <<\"test\">>), " +
                             "rabbit_auth_backend_internal:set_permissions(" + binary(kUser) + ", " + host +
                             ", " + all + ", " + all + ", " + all + ", <<\"test\">>)",
                         why_not);
}

bool RabbitmqServer::delete_virtual_host(const std::string& name, std::string* why_not) const {
  if (!is_plain_name(name)) {
    explain(why_not, "virtual host \"" + name + "\": letters, digits and _-./ only");
    return false;
  }
  return evaluates_to_ok("rabbit_vhost:delete(" + binary(name) + ", <<\"test\">>), ok", why_not);
}

namespace {

// One that waits for the client's close-ok does not count again.
std::string close_expression(const std::string& item, const std::string& value) {
  return "length([rabbit_networking:close_connection(C, \"closed by the test\") || "
         "C <- rabbit_networking:connections(), [{" +
         item + ", V}, {state, running}] <- [catch rabbit_networking:connection_info(C, [" + item +
         ", state])], V =:= " + value + "])";
}

}  // namespace

std::optional<int> RabbitmqServer::close_connections(const std::string& virtual_host,
                                                     std::string* why_not) const {
  if (!is_plain_name(virtual_host)) {
    explain(why_not, "virtual host \"" + virtual_host + "\": letters, digits and _-./ only");
    return std::nullopt;
  }
  return to_number(evaluate(close_expression("vhost", binary(virtual_host)), why_not), why_not);
}

std::optional<int> RabbitmqServer::close_connection_from(std::uint16_t client_port,
                                                         std::string* why_not) const {
  return to_number(evaluate(close_expression("peer_port", std::to_string(client_port)), why_not), why_not);
}

bool RabbitmqServer::stop_application(std::string* why_not) const {
  return evaluates_to_ok("rabbit:stop()", why_not);
}

bool RabbitmqServer::start_application(std::string* why_not) const {
  if (!evaluates_to_ok("rabbit:start()", why_not)) return false;
  // It listens a moment later.
  const auto deadline = steady_clock::now() + seconds(60);
  while (!answers()) {
    if (steady_clock::now() > deadline) {
      explain(why_not, "the server does not listen 60 s after its start");
      return false;
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  return true;
}

bool RabbitmqServer::write_metadata(std::string* why_not) const {
  return evaluates_to_ok("mnesia:sync_log()", why_not);
}

std::string RabbitmqServer::log_tail(std::size_t lines) const {
  return last_lines(log_file(address_), lines);
}

RabbitmqNode::RabbitmqNode(RabbitmqOptions options) : options_(std::move(options)) {}

RabbitmqNode::~RabbitmqNode() {
  // Its data goes away with it, so there is nothing to wait for.
  stop(StopMode::kKill);
  if (mapper_) mapper_->stop(seconds(30), SIGKILL);
}

std::unique_ptr<RabbitmqNode> RabbitmqNode::start(std::string* why_not) { return start({}, why_not); }

std::unique_ptr<RabbitmqNode> RabbitmqNode::start(const RabbitmqOptions& options, std::string* why_not) {
  if (!rabbitmq_is_installed(why_not)) return nullptr;
  try {
    // A port that was free a moment ago may be taken when the server asks for it; only that is worth another
    // round.
    for (int attempt = 0; attempt < 3; ++attempt) {
      std::unique_ptr<RabbitmqNode> node(new RabbitmqNode(options));
      if (!node->prepare(why_not)) return nullptr;
      if (node->start_mapper(why_not) && node->launch(why_not)) return node;
      if (node->running() || !lost_its_port(node->directory_.path() / "output")) break;
    }
  } catch (const std::exception& error) {
    explain(why_not, error.what());
  }
  return nullptr;
}

bool RabbitmqNode::prepare(std::string* why_not) {
  RabbitmqAddress address;
  address.directory = directory_.path();
  address.port = free_loopback_port();
  address.mapper_port = free_loopback_port();
  address.distribution_port = free_loopback_port();
  if (options_.tls) address.tls_port = free_loopback_port();
  if (address.port == 0 || address.mapper_port == 0 || address.distribution_port == 0 ||
      (options_.tls && address.tls_port == 0)) {
    explain(why_not, "no free port on 127.0.0.1");
    return false;
  }
  const fs::path& home = address.directory;
  std::string certificates_why;
  if (options_.tls && !make_certificates(home, certificates_why)) {
    explain(why_not, certificates_why);
    return false;
  }

  std::ofstream configuration(home / "rabbitmq.conf");
  // A nearly full disk shall not block the publishers of a test.
  configuration << "disk_free_limit.absolute = 1MB\n"
                << "log.file.level = warning\n";
  if (options_.tls) {
    configuration << "listeners.ssl.1 = 127.0.0.1:" << address.tls_port << '\n'
                  << "ssl_options.cacertfile = " << (home / "authority.pem").string() << '\n'
                  << "ssl_options.certfile = " << (home / "server.pem").string() << '\n'
                  << "ssl_options.keyfile = " << (home / "server.key").string() << '\n'
                  << "ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n";
  }
  for (const std::string& line : options_.configuration)
    configuration << line << '\n';
  configuration.close();
  std::ofstream plugins(home / "enabled_plugins");
  plugins << "[].\n";
  plugins.close();
  std::ofstream cookie(home / ".erlang.cookie");
  cookie << "midtrace" << ::getpid() << 'x' << address.port << 'x' << address.distribution_port;
  cookie.close();
  std::error_code error;
  fs::permissions(home / ".erlang.cookie", fs::perms::owner_read, error);
  if (!configuration || !plugins || !cookie || error) {
    explain(why_not, "cannot write in " + home.string());
    return false;
  }
  server_ = RabbitmqServer(address);
  return true;
}

bool RabbitmqNode::start_mapper(std::string* why_not) {
  const RabbitmqAddress& address = server_.address();
  ProcessOptions options;
  options.arguments = {erlang_program("epmd"), "-address", "127.0.0.1", "-port",
                       std::to_string(address.mapper_port)};
  options.inherit_environment = false;
  options.environment = node_environment(address);
  options.working_directory = address.directory;
  options.log_file = address.directory / "output";
  mapper_ = ChildProcess::start(options, why_not);
  if (!mapper_) return false;
  const auto deadline = steady_clock::now() + seconds(30);
  while (steady_clock::now() < deadline && mapper_->running()) {
    if (const int socket = connect_to(address.mapper_port); socket >= 0) {
      ::close(socket);
      return true;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  explain(why_not, "epmd did not start: " + last_complaint(options.log_file));
  return false;
}

bool RabbitmqNode::launch(std::string* why_not) {
  const RabbitmqAddress& address = server_.address();
  ProcessOptions options;
  options.arguments = {kServerProgram};
  options.inherit_environment = false;
  options.environment = node_environment(address);
  options.working_directory = address.directory;
  options.log_file = address.directory / "output";
  process_ = ChildProcess::start(options, why_not);
  if (!process_) return false;
  const auto deadline = steady_clock::now() + options_.start_deadline;
  while (steady_clock::now() < deadline) {
    if (!process_->running()) {
      explain(why_not, "the server ended while starting: " + last_complaint(options.log_file));
      return false;
    }
    if (server_.answers()) return true;
    std::this_thread::sleep_for(milliseconds(50));
  }
  explain(why_not, "the server was not ready after " + std::to_string(options_.start_deadline.count()) +
                       " s: " + last_complaint(options.log_file));
  return false;
}

void RabbitmqNode::stop(StopMode mode) {
  if (!process_) return;
  if (mode == StopMode::kKill) {
    process_->stop(seconds(30), SIGKILL);
  } else {
    process_->stop(seconds(60));
  }
  process_.reset();
}

bool RabbitmqNode::restart(StopMode mode, std::string* why_not) {
  stop(mode);
  return launch(why_not);
}

namespace {

// Whether all threads of a process are stopped: one that was on a processor takes a moment to hear the
// signal.
bool is_stopped(pid_t pid) {
  std::error_code error;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::ifstream file(task.path() / "stat");
    std::string text;
    std::getline(file, text);
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos || name_end + 2 >= text.size()) continue;
    const char state = text[name_end + 2];
    if (state != 'T' && state != 'Z' && state != 'X') return false;
  }
  return true;
}

}  // namespace

void RabbitmqNode::pause() {
  if (!process_ || !process_->signal(SIGSTOP)) return;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!is_stopped(process_->pid()) && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void RabbitmqNode::resume() {
  if (process_) process_->signal(SIGCONT);
}

bool rabbitmq_is_installed(std::string* why_not) {
  if (find_program(kServerProgram).empty()) {
    explain(why_not, std::string(kServerProgram) + " is not there (Debian package rabbitmq-server)");
    return false;
  }
  for (const char* name : {"epmd", "erl_call"}) {
    if (erlang_program(name).empty()) {
      explain(why_not, std::string(name) + " is not there (Debian package erlang-base)");
      return false;
    }
  }
  return true;
}

const RabbitmqServer* shared_rabbitmq(std::string* why_not) {
  static std::mutex mutex;
  static std::string failure;
  static std::unique_ptr<RabbitmqServer> of_the_run;
  static std::unique_ptr<RabbitmqNode> own;
  const std::lock_guard lock(mutex);
  if (!of_the_run && !own && failure.empty()) {
    if (const std::optional<RabbitmqState> state = read_rabbitmq_state(); state && state->missing.empty()) {
      of_the_run = std::make_unique<RabbitmqServer>(state->address);
    } else if (state) {
      failure = state->missing;
    } else {
      RabbitmqOptions options;
      options.tls = true;
      own = RabbitmqNode::start(options, &failure);
      if (!own && failure.empty()) failure = "no reason known";
    }
  }
  if (of_the_run) return of_the_run.get();
  if (own) return &own->server();
  explain(why_not, failure);
  return nullptr;
}

bool rabbitmq_required() {
  return environment("CI") == "true" || environment("MIDTRACE_REQUIRE_RABBITMQ") == "1";
}

void report_rabbitmq_not_run(const std::string& why) {
  static std::once_flag once;
  std::call_once(once, [&why] {
    std::printf("not run: real RabbitMQ server: %s\n", why.c_str());
    std::fflush(stdout);
  });
}

std::vector<pid_t> processes_mentioning(const std::string& text) {
  std::vector<pid_t> found;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    pid_t pid = 0;
    const auto [rest, failed] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (failed != std::errc() || rest != name.data() + name.size()) continue;
    if (contents(it->path() / "cmdline").find(text) != std::string::npos ||
        contents(it->path() / "environ").find(text) != std::string::npos)
      found.push_back(pid);
  }
  return found;
}

}  // namespace midtrace::test
