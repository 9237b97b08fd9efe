// Throw-away child processes for live tests: servers that a test starts itself and that must not outlive it.
//
// A child runs in its own process group with standard input from /dev/null, standard output and error
// appended to one log file, default signal handling and no inherited file descriptor. It ends with the test,
// however the test ends:
//   - ~ChildProcess and stop() signal the whole group, wait, and reap;
//   - when the test dies without running destructors, the kernel kills the child (PR_SET_PDEATHSIG).
//     That signal is tied to the *thread* that forked, so every child is forked by a keeper thread of its
//     own which lives as long as the child; start() may therefore be called from any thread, short-lived
//     ones included.
// Two limits: the kernel's signal reaches the direct child only, so start servers themselves rather than
// shell scripts that fork them, and a program that changes its own user id loses it - use
// ProcessOptions::run_as.
//
// Errors: start() answers nullptr and explains in one line in `why_not` (which may be null). Nothing throws
// but TemporaryDirectory's constructor. Threads: all functions may be called from any thread; one
// ChildProcess may be used by several threads at once, as long as none of them destroys it. After a fork
// without exec (a death test) the copies in the new process do nothing when destroyed.
#ifndef MIDTRACE_TESTS_SUPPORT_CHILD_PROCESS_H_
#define MIDTRACE_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace midtrace::test {

// A user to become before exec; no supplementary groups are kept.
struct UserIdentity {
  uid_t user = 0;
  gid_t group = 0;
};

// The identity of a named account, or nothing when there is no such account.
std::optional<UserIdentity> find_user(const std::string& name);

struct ProcessOptions {
  // arguments[0] is the program: a path, or a name looked up in PATH.
  std::vector<std::string> arguments;
  // "NAME=value" entries; with `inherit_environment` they are laid over the test's own environment.
  std::vector<std::string> environment;
  bool inherit_environment = true;
  std::filesystem::path working_directory;  // empty: the test's own
  std::filesystem::path log_file;           // empty: output is discarded
  std::optional<UserIdentity> run_as;       // needs root
};

struct ExitStatus {
  int code = 0;    // exit code, when signal is 0
  int signal = 0;  // the signal that ended the process, or 0
  bool success() const { return code == 0 && signal == 0; }
};

class ChildProcess {
 public:
  // Returns once the program was executed (not merely forked).
  static std::unique_ptr<ChildProcess> start(const ProcessOptions& options, std::string* why_not);

  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool running() const;

  // Waits for the process to end by itself; nothing when it still runs after `deadline`.
  std::optional<ExitStatus> wait(std::chrono::milliseconds deadline);

  // Sends `first_signal` to the group, and KILL when the process still runs after `deadline`. True when KILL
  // was not needed (also when it had ended before). On return the process is reaped.
  bool stop(std::chrono::milliseconds deadline = std::chrono::seconds(10), int first_signal = SIGTERM);

  // Sends a signal to the whole group, e.g. SIGSTOP and SIGCONT; false when the process has ended.
  bool signal(int number);

 private:
  ChildProcess() = default;
  void keep(const struct ForkPlan* plan, int result_pipe);
  void reap();

  pid_t owner_ = 0;  // the process that started the child; copies in forked processes are inert
  std::atomic<pid_t> pid_{-1};
  std::thread keeper_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<ExitStatus> status_;
};

// Runs a program to its end, for the set-up steps of a server. Nothing when it did not start or was killed at
// the deadline; `why_not` then says which.
std::optional<ExitStatus> run_process(const ProcessOptions& options, std::chrono::milliseconds deadline,
                                      std::string* why_not);

// The full path of a program: `name` itself when it contains a slash, else looked up in PATH. Empty when
// absent.
std::string find_program(std::string_view name);

// A TCP port on 127.0.0.1 that nothing listens on, never the same twice in one process; 0 when there is none.
// It lies below the ephemeral range, so that no outgoing connection takes it before the server does, and a
// client that reconnects to a stopped server cannot connect to itself. Another process may still win it:
// retry a failed start.
std::uint16_t free_loopback_port();

// The last `lines` lines of a file, for failure messages; empty when it cannot be read.
std::string last_lines(const std::filesystem::path& file, std::size_t lines);

// A fresh directory (mode 0700; widen it for a server that runs as another user), removed with all its
// content by the destructor. What a killed test left behind is removed by the next one that makes a
// directory: every directory holds a lock file, locked as long as its owner lives. Throws std::system_error.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  pid_t owner_ = 0;
  int lock_ = -1;
  std::filesystem::path path_;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_CHILD_PROCESS_H_
