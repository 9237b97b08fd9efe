// StderrLogger: the logger in use when the application gives none: one line per message on standard error.
//
// OTEL_LOG_LEVEL is the least severity that is written: none, error, warn, info (the default), debug.
// A message never waits and never harms: when standard error would block, or nobody reads it any more, it is
// lost. Control characters are replaced, because a message may quote foreign values. Any thread; a line is
// one write.
#pragma once

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <optional>
#include <string_view>

#include <midtrace/trace/logger.h>

namespace midtrace {
inline namespace v1 {

namespace stderr_logger {

// A pipe that is ready takes this much without waiting (PIPE_BUF).
inline constexpr std::size_t longest_line = 4096;

inline std::string_view prefix(Severity severity) noexcept {
  switch (severity) {
    case Severity::debug:
      return "midtrace: debug: ";
    case Severity::info:
      return "midtrace: info: ";
    case Severity::warning:
      return "midtrace: warning: ";
    case Severity::error:
      break;
  }
  return "midtrace: error: ";
}

// One write that cannot raise SIGPIPE, which would end an application that does not expect it from a tracer.
inline void write_without_sigpipe(int descriptor, const char* line, std::size_t size) noexcept {
  sigset_t broken_pipe;
  sigset_t pending;
  sigset_t before;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  sigemptyset(&pending);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  if (pthread_sigmask(SIG_BLOCK, &broken_pipe, &before) != 0) return;
  if (write(descriptor, line, size) < 0 && errno == EPIPE && !was_pending) {
    const timespec at_once{};
    while (sigtimedwait(&broken_pipe, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace stderr_logger

class StderrLogger final : public Logger {
 public:
  // Nothing: write nothing at all.
  explicit StderrLogger(std::optional<Severity> least) noexcept : least_(least) {}
  void log(Severity severity, std::string_view message) noexcept override;

 private:
  std::optional<Severity> least_;
};

inline void StderrLogger::log(Severity severity, std::string_view message) noexcept {
  if (!least_ || severity < *least_) return;
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  const int errno_before = errno;
  if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0) {
    std::array<char, stderr_logger::longest_line> line;
    std::size_t size = 0;
    for (const char c : stderr_logger::prefix(severity))
      line[size++] = c;
    for (const char c : message) {
      if (size + 1 == line.size()) break;
      line[size++] = static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
    line[size++] = '\n';
    stderr_logger::write_without_sigpipe(STDERR_FILENO, line.data(), size);
  }
  errno = errno_before;
}

// Reads the value of OTEL_LOG_LEVEL in lower case. False when it is no level.
inline bool parse_log_level(std::string_view word, std::optional<Severity>& least) noexcept {
  if (word == "none" || word == "off") {
    least = std::nullopt;
  } else if (word == "error" || word == "fatal") {
    least = Severity::error;
  } else if (word == "warn" || word == "warning") {
    least = Severity::warning;
  } else if (word == "info") {
    least = Severity::info;
  } else if (word == "debug" || word == "verbose" || word == "trace" || word == "all") {
    least = Severity::debug;
  } else {
    return false;
  }
  return true;
}

}  // namespace v1
}  // namespace midtrace
