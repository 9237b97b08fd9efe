#include "support/child_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <new>
#include <random>
#include <set>
#include <system_error>
#include <utility>

extern "C" char** environ;

namespace midtrace::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// Everything the child needs between fork and exec, prepared beforehand: after the fork of a multithreaded
// process only async-signal-safe functions may be called, so nothing there allocates or formats.
struct ForkPlan {
  std::string program;
  std::string working_directory;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::optional<UserIdentity> run_as;
  int input = -1;
  int output = -1;
  int failure_pipe = -1;
  long descriptor_limit = 0;
  pid_t parent = 0;
};

namespace {

constexpr std::string_view kDirectoryPrefix = "midtrace-test-";
constexpr const char* kLockFile = ".midtrace-test-lock";

void explain(std::string* why_not, std::string text) {
  if (why_not != nullptr) *why_not = std::move(text);
}

std::string error_text(int number) { return std::generic_category().message(number); }

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  void reset(int number = -1) {
    if (number_ >= 0) ::close(number_);
    number_ = number;
  }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

// Opened above 2, so that the child's dup2 onto 0..2 neither overwrites it nor leaves close-on-exec set.
int open_above_standard(const char* path, int flags) {
  Descriptor first(::open(path, flags | O_CLOEXEC, 0644));
  if (first.get() < 0 || first.get() > 2) return first.release();
  return ::fcntl(first.get(), F_DUPFD_CLOEXEC, 3);
}

void close_on_exec_from_three(long limit) {
#ifdef SYS_close_range
  constexpr unsigned kCloseOnExecFlag =
      1U << 2;  // CLOSE_RANGE_CLOEXEC; the header that has it is not everywhere
  if (::syscall(SYS_close_range, 3U, ~0U, kCloseOnExecFlag) == 0) return;
#endif
  for (int descriptor = 3; descriptor < limit; ++descriptor)
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

bool become(const UserIdentity& identity) {
  // Bare system calls: the library's own wrappers signal every thread of the process and take locks that a
  // thread which does not exist in the child may have held.
  if (::syscall(SYS_setgroups, 0, nullptr) != 0) return false;
  if (::syscall(SYS_setresgid, identity.group, identity.group, identity.group) != 0) return false;
  return ::syscall(SYS_setresuid, identity.user, identity.user, identity.user) == 0;
}

[[noreturn]] void fail_in_child(const ForkPlan& plan) {
  const int number = errno;
  const ssize_t written = ::write(plan.failure_pipe, &number, sizeof number);
  static_cast<void>(written);
  ::_exit(127);
}

[[noreturn]] void become_program(const ForkPlan& plan) {
  if (::setpgid(0, 0) != 0) fail_in_child(plan);
  if (plan.run_as && !become(*plan.run_as)) fail_in_child(plan);
  // After the change of user, which would clear it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) fail_in_child(plan);
  // The parent may have died before the line above took effect; then no signal will ever come.
  if (::getppid() != plan.parent) ::_exit(127);

  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  if (::dup2(plan.input, 0) < 0 || ::dup2(plan.output, 1) < 0 || ::dup2(plan.output, 2) < 0)
    fail_in_child(plan);
  close_on_exec_from_three(plan.descriptor_limit);
  if (!plan.working_directory.empty() && ::chdir(plan.working_directory.c_str()) != 0) fail_in_child(plan);
  ::execve(plan.program.c_str(), plan.arguments.data(), plan.environment.data());
  fail_in_child(plan);
}

std::string_view variable_name(std::string_view entry) { return entry.substr(0, entry.find('=')); }

std::vector<std::string> merged_environment(const ProcessOptions& options) {
  std::vector<std::string> merged = options.environment;
  if (!options.inherit_environment) return merged;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view name = variable_name(*entry);
    const bool replaced = std::any_of(options.environment.begin(), options.environment.end(),
                                      [name](const std::string& own) { return variable_name(own) == name; });
    if (!replaced) merged.emplace_back(*entry);
  }
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (std::string& text : strings)
    result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::optional<UserIdentity> find_user(const std::string& name) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return UserIdentity{entry.pw_uid, entry.pw_gid};
}

std::string find_program(std::string_view name) {
  const auto executable = [](const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.empty()) return {};
  if (name.find('/') != std::string_view::npos) return executable(name) ? std::string(name) : std::string();
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string_view directory = rest.substr(0, end);
    if (!directory.empty() && executable(fs::path(directory) / name)) return fs::path(directory) / name;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

std::unique_ptr<ChildProcess> ChildProcess::start(const ProcessOptions& options, std::string* why_not) {
  if (options.arguments.empty()) {
    explain(why_not, "no program given");
    return nullptr;
  }
  ForkPlan plan;
  plan.program = find_program(options.arguments.front());
  if (plan.program.empty()) {
    explain(why_not, options.arguments.front() + ": no such program");
    return nullptr;
  }
  if (plan.program.front() != '/') plan.program = fs::absolute(plan.program);
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = merged_environment(options);
  plan.arguments = pointers(arguments);
  plan.environment = pointers(environment);
  plan.working_directory = options.working_directory;
  plan.run_as = options.run_as;
  plan.descriptor_limit = std::min(::sysconf(_SC_OPEN_MAX), 65536L);
  plan.parent = ::getpid();

  const std::string log = options.log_file.empty() ? "/dev/null" : options.log_file.string();
  const Descriptor input(open_above_standard("/dev/null", O_RDONLY));
  const Descriptor output(open_above_standard(log.c_str(), O_WRONLY | O_CREAT | O_APPEND));
  std::array<int, 2> ends{-1, -1};
  if (input.get() < 0 || output.get() < 0 || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    explain(why_not, log + ": " + error_text(errno));
    return nullptr;
  }
  const Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  Descriptor high_write_end(::fcntl(write_end.get(), F_DUPFD_CLOEXEC, 3));
  write_end.reset();
  if (high_write_end.get() < 0) {
    explain(why_not, "pipe: " + error_text(errno));
    return nullptr;
  }
  plan.input = input.get();
  plan.output = output.get();
  plan.failure_pipe = high_write_end.get();

  std::unique_ptr<ChildProcess> child(new ChildProcess);
  child->owner_ = plan.parent;
  // The keeper closes the write end after the fork; exec closes the child's copy. End of file then means
  // success.
  const int result_pipe = high_write_end.release();
  try {
    child->keeper_ =
        std::thread([&plan, result_pipe, self = child.get()] { self->keep(&plan, result_pipe); });
  } catch (const std::system_error& error) {
    ::close(result_pipe);
    explain(why_not, std::string("thread: ") + error.what());
    return nullptr;
  }
  int failure = 0;
  ssize_t got = 0;
  do {
    got = ::read(read_end.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof failure)) {
    explain(why_not, plan.program + ": " + error_text(failure));
    return nullptr;
  }
  return child;
}

void ChildProcess::keep(const ForkPlan* plan, int result_pipe) {
  // Signals aimed at the test belong to its own threads.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);

  const pid_t child = ::fork();
  if (child == 0) become_program(*plan);
  if (child < 0) {
    const int number = errno;
    const ssize_t written = ::write(result_pipe, &number, sizeof number);
    static_cast<void>(written);
    {
      const std::lock_guard lock(mutex_);
      status_ = ExitStatus{127, 0};
    }
    ::close(result_pipe);
    return;
  }
  pid_ = child;
  ::close(result_pipe);  // from here on `plan` may be gone
  reap();
}

void ChildProcess::reap() {
  siginfo_t ended{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  const std::lock_guard lock(mutex_);
  // Still a zombie, so that its number cannot belong to anyone else yet: the time to end what is left of the
  // group.
  ::kill(-pid_, SIGKILL);
  int raw = 0;
  while (::waitpid(pid_, &raw, 0) < 0 && errno == EINTR) {
  }
  status_ = WIFSIGNALED(raw) ? ExitStatus{0, WTERMSIG(raw)} : ExitStatus{WEXITSTATUS(raw), 0};
  ended_.notify_all();
}

ChildProcess::~ChildProcess() {
  if (owner_ != ::getpid()) {
    // The thread does not exist here: its handle can be neither joined, detached nor destroyed, only left
    // alone.
    alignas(std::thread) static std::array<std::byte, sizeof(std::thread)> abandoned;
    new (abandoned.data()) std::thread(std::move(keeper_));
    return;
  }
  signal(SIGKILL);
  if (keeper_.joinable()) keeper_.join();
}

bool ChildProcess::running() const {
  const std::lock_guard lock(mutex_);
  return !status_.has_value();
}

std::optional<ExitStatus> ChildProcess::wait(milliseconds deadline) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, deadline, [this] { return status_.has_value(); });
  return status_;
}

bool ChildProcess::signal(int number) {
  const std::lock_guard lock(mutex_);
  // Under the lock the process is not reaped yet, so the number is still ours.
  return !status_ && pid_ > 0 && owner_ == ::getpid() && ::kill(-pid_, number) == 0;
}

bool ChildProcess::stop(milliseconds deadline, int first_signal) {
  signal(first_signal);
  signal(SIGCONT);  // a stopped process would not see it
  if (wait(deadline)) return true;
  signal(SIGKILL);
  wait(std::chrono::hours(1));
  return false;
}

std::optional<ExitStatus> run_process(const ProcessOptions& options, milliseconds deadline,
                                      std::string* why_not) {
  const std::unique_ptr<ChildProcess> child = ChildProcess::start(options, why_not);
  if (!child) return std::nullopt;
  std::optional<ExitStatus> status = child->wait(deadline);
  if (!status) {
    explain(why_not,
            options.arguments.front() + ": still running after " + std::to_string(deadline.count()) + " ms");
  }
  return status;
}

namespace {

bool can_listen(std::uint16_t port, std::uint16_t* bound) {
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (socket.get() < 0) return false;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  if (::listen(socket.get(), 1) != 0) return false;
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  *bound = ntohs(address.sin_port);
  return true;
}

unsigned ephemeral_range_start() {
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  unsigned low = 0;
  return range >> low ? low : 32768U;
}

}  // namespace

std::uint16_t free_loopback_port() {
  static std::mutex mutex;
  static std::set<std::uint16_t> handed_out;
  static std::mt19937 random{std::random_device{}()};
  const std::lock_guard lock(mutex);
  constexpr unsigned kLowest = 12000;
  const unsigned end = std::min(ephemeral_range_start(), 65536U);
  const bool room = end > kLowest + 1000;
  for (int attempt = 0; attempt < 500; ++attempt) {
    std::uint16_t wanted = 0;  // 0: the kernel chooses, where all ports are ephemeral
    if (room)
      wanted = static_cast<std::uint16_t>(std::uniform_int_distribution<unsigned>(kLowest, end - 1)(random));
    std::uint16_t bound = 0;
    if (can_listen(wanted, &bound) && handed_out.insert(bound).second) return bound;
  }
  return 0;
}

std::string last_lines(const fs::path& file, std::size_t lines) {
  std::ifstream stream(file);
  std::deque<std::string> kept;
  for (std::string line; std::getline(stream, line);) {
    kept.push_back(std::move(line));
    if (kept.size() > lines) kept.pop_front();
  }
  std::string text;
  for (const std::string& line : kept)
    text += line + '\n';
  return text;
}

namespace {

// A killed server may still write for an instant; a second look then finds what the first left.
void remove_tree(const fs::path& directory) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    std::error_code error;
    fs::remove_all(directory, error);
    if (!error) return;
    std::this_thread::sleep_for(milliseconds(50));
  }
}

// Takes the lock of a directory that nobody owns any more; -1 when it is owned, or no directory of ours.
int lock_directory(const fs::path& directory, int extra_flags) {
  const fs::path file = directory / kLockFile;
  Descriptor lock(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | extra_flags, 0600));
  if (lock.get() < 0 || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return -1;
  // Whoever held the lock before may have removed the file under us.
  struct stat status {};
  if (::fstat(lock.get(), &status) != 0 || status.st_nlink == 0 || status.st_uid != ::geteuid()) return -1;
  return lock.release();
}

void remove_abandoned(const fs::path& parent) {
  std::error_code error;
  std::vector<fs::path> candidates;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const bool named_like_ours = it->path().filename().string().starts_with(kDirectoryPrefix);
    if (named_like_ours && fs::is_directory(it->symlink_status(ignored))) candidates.push_back(it->path());
  }
  for (const fs::path& directory : candidates) {
    const Descriptor lock(lock_directory(directory, 0));
    if (lock.get() >= 0) remove_tree(directory);
  }
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() : owner_(::getpid()) {
  const fs::path parent = fs::temp_directory_path();
  remove_abandoned(parent);
  // A second round when another test's clean-up takes the new directory for an abandoned one before it is
  // locked.
  for (int attempt = 0; attempt < 10 && lock_ < 0; ++attempt) {
    std::string name = parent / (std::string(kDirectoryPrefix) + "XXXXXX");
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
    lock_ = lock_directory(path_, O_CREAT);
  }
  if (lock_ < 0) throw std::system_error(EBUSY, std::generic_category(), path_.string());
}

TemporaryDirectory::~TemporaryDirectory() {
  if (owner_ == ::getpid()) remove_tree(path_);
  ::close(lock_);
}

}  // namespace midtrace::test
