// The logger in use when the application gives none.
#include "config/stderr_logger.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace {

using midtrace::Severity;
using midtrace::StderrLogger;

// Standard error is a pipe while this lives.
class PipedStderr {
 public:
  PipedStderr() : saved_(dup(STDERR_FILENO)) {
    EXPECT_EQ(pipe(ends_), 0);
    dup2(ends_[1], STDERR_FILENO);
    close(ends_[1]);
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
  }
  ~PipedStderr() {
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    close_reader();
  }
  std::string read_all() {
    char bytes[65536];
    const ssize_t size = read(ends_[0], bytes, sizeof(bytes));
    return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
  }
  void close_reader() {
    if (ends_[0] >= 0) close(ends_[0]);
    ends_[0] = -1;
  }

 private:
  int saved_;
  int ends_[2] = {-1, -1};
};

TEST(StderrLoggerTest, AMessageIsOneLine) {
  PipedStderr captured;
  StderrLogger(Severity::info).log(Severity::warning, "the queue is full\nand \x1B[31mred");
  EXPECT_EQ(captured.read_all(), "midtrace: warning: the queue is full?and ?[31mred\n");
}

TEST(StderrLoggerTest, WhatIsLessSevereThanTheLevelIsLeftOut) {
  PipedStderr captured;
  StderrLogger logger(Severity::warning);
  logger.log(Severity::debug, "a");
  logger.log(Severity::info, "b");
  logger.log(Severity::warning, "c");
  logger.log(Severity::error, "d");
  StderrLogger(std::nullopt).log(Severity::error, "e");
  EXPECT_EQ(captured.read_all(), "midtrace: warning: c\nmidtrace: error: d\n");
}

TEST(StderrLoggerTest, AFullPipeLosesTheMessageInsteadOfWaiting) {
  PipedStderr captured;
  StderrLogger logger(Severity::info);
  // Blocking writes: the test would hang here if the logger waited.
  for (int i = 0; i < 1000; ++i)
    logger.log(Severity::error, std::string(1000, 'x'));
  EXPECT_GT(captured.read_all().size(), 4096U);
}

TEST(StderrLoggerTest, APipeThatNobodyReadsDoesNotEndTheProcess) {
  ASSERT_NE(signal(SIGPIPE, SIG_DFL), SIG_ERR);
  PipedStderr captured;
  captured.close_reader();
  errno = 42;
  StderrLogger(Severity::info).log(Severity::error, "nobody hears this");
  EXPECT_EQ(errno, 42);
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST(StderrLoggerTest, LongMessagesAreCut) {
  PipedStderr captured;
  StderrLogger(Severity::info).log(Severity::error, std::string(10000, 'x'));
  const std::string line = captured.read_all();
  EXPECT_EQ(line.size(), 4096U);
  EXPECT_EQ(line.back(), '\n');
}

TEST(LogLevel, TheLevelsOfTheSpecificationAreKnown) {
  std::optional<Severity> least;
  EXPECT_TRUE(midtrace::parse_log_level("warn", least));
  EXPECT_EQ(least, Severity::warning);
  EXPECT_TRUE(midtrace::parse_log_level("debug", least));
  EXPECT_EQ(least, Severity::debug);
  EXPECT_TRUE(midtrace::parse_log_level("info", least));
  EXPECT_EQ(least, Severity::info);
  EXPECT_TRUE(midtrace::parse_log_level("error", least));
  EXPECT_EQ(least, Severity::error);
  EXPECT_TRUE(midtrace::parse_log_level("none", least));
  EXPECT_EQ(least, std::nullopt);
  EXPECT_FALSE(midtrace::parse_log_level("loud", least));
}

}  // namespace
