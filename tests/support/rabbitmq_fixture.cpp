// Starts and stops the RabbitMQ node that all tests of a CTest run share: a CTest fixture.
//
//   rabbitmq_fixture start   leaves a process behind that owns the node; returns when the node is ready.
//   Where there
//                            is no server it says so in one line and succeeds, and the tests skip themselves,
//                            unless it is required (see rabbitmq_node.h)
//   rabbitmq_fixture stop    ends that process and waits for it
//
// The owner also ends when CTest does, by whatever signal, and the node ends with the owner (see
// child_process.h).
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "support/rabbitmq_state.h"

namespace midtrace::test {
namespace {

namespace fs = std::filesystem;

int open_process(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

volatile std::sig_atomic_t asked_to_stop = 0;

// In the owner; never returns. `file` is known beforehand, because its name comes from this process's parent,
// which ends now. `report` gets one line: nothing when the node is ready, else why there is none.
[[noreturn]] void own_node(const fs::path& file, int ctest, int state_file, int report) {
  ::setsid();
  const int nothing = ::open("/dev/null", O_RDWR);
  for (int standard = 0; standard < 3; ++standard)
    ::dup2(nothing, standard);

  // Blocked but while waiting, so that no signal slips in between; threads inherit it.
  sigset_t ending;
  ::sigemptyset(&ending);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    ::sigaddset(&ending, number);
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &ending, &before);
  struct sigaction action {};
  action.sa_handler = [](int) { asked_to_stop = 1; };
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    ::sigaction(number, &action, nullptr);

  int code = 0;
  {
    RabbitmqOptions options;
    options.tls = true;
    std::string why;
    const std::unique_ptr<RabbitmqNode> node = RabbitmqNode::start(options, &why);
    RabbitmqState state;
    if (node) {
      state.owner = ::getpid();
      state.address = node->server().address();
      why.clear();
    } else {
      state.missing = why.empty() ? "no reason known" : why;
      code = 1;
    }
    if (!write_rabbitmq_state(state_file, state)) {
      why = "the state file cannot be written";
      code = 1;
    }
    const std::string line = code == 0 ? "ready" : why;
    const ssize_t written = ::write(report, line.data(), line.size());
    static_cast<void>(written);
    ::close(report);
    pollfd parent{ctest, POLLIN, 0};
    while (code == 0 && asked_to_stop == 0) {
      if (::ppoll(&parent, 1, nullptr, &before) > 0) break;
    }
  }
  if (code == 0) {
    std::error_code ignored;
    fs::remove(file, ignored);
  }
  ::_exit(code);
}

// What runs that were killed have left.
void remove_abandoned(const fs::path& directory) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const int descriptor = ::open(it->path().c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor < 0) continue;
    std::error_code ignored;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) fs::remove(it->path(), ignored);
    ::close(descriptor);
  }
}

int start() {
  const fs::path file = rabbitmq_state_file();
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  remove_abandoned(file.parent_path());
  const pid_t parent = ::getppid();
  const int ctest = open_process(parent);
  const int state_file = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  std::array<int, 2> ends{};
  if (ctest < 0 || ::getppid() != parent || state_file < 0 || ::flock(state_file, LOCK_EX | LOCK_NB) != 0 ||
      ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    std::fprintf(stderr, "rabbitmq_fixture: %s: %s\n", file.c_str(), std::strerror(errno));
    return 1;
  }
  const pid_t owner = ::fork();
  if (owner < 0) {
    std::perror("rabbitmq_fixture: fork");
    return 1;
  }
  if (owner == 0) {
    ::close(ends[0]);
    own_node(file, ctest, state_file, ends[1]);
  }
  ::close(ends[1]);
  std::string outcome;
  std::array<char, 512> part{};
  for (;;) {
    const ssize_t got = ::read(ends[0], part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    outcome.append(part.data(), static_cast<std::size_t>(got));
  }
  if (outcome == "ready") return 0;
  if (outcome.empty()) outcome = "the owner of the node has died";
  if (rabbitmq_required()) {
    std::fprintf(stderr, "real RabbitMQ server: %s\n", outcome.c_str());
    return 1;
  }
  report_rabbitmq_not_run(outcome);
  return 0;
}

int stop() {
  const fs::path file = rabbitmq_state_file();
  const std::optional<RabbitmqState> state = read_rabbitmq_state();
  std::error_code ignored;
  if (!state || !state->missing.empty()) {
    fs::remove(file, ignored);
    return 0;
  }
  const int owner = open_process(state->owner);
  if (owner < 0) return 0;
  ::kill(state->owner, SIGTERM);
  pollfd ended{owner, POLLIN, 0};
  int result = 0;
  do {
    result = ::poll(&ended, 1, 60000);
  } while (result < 0 && errno == EINTR);
  if (result > 0) return 0;
  std::fprintf(stderr, "rabbitmq_fixture: process %d did not end in 60 s and is killed\n", state->owner);
  ::kill(state->owner, SIGKILL);
  fs::remove(file, ignored);
  return 1;
}

}  // namespace
}  // namespace midtrace::test

int main(int count, char** arguments) {
  const std::string command = count == 2 ? arguments[1] : "";
  if ((command != "start" && command != "stop") || midtrace::test::rabbitmq_state_file().empty()) {
    std::fputs("usage: MIDTRACE_TEST_RABBITMQ_STATE=<directory> rabbitmq_fixture start|stop\n", stderr);
    return 2;
  }
  return command == "start" ? midtrace::test::start() : midtrace::test::stop();
}
