// What tracing takes from the machine over time: memory that stays flat, and no system call that waits.
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "process_runner.h"

namespace {

using midtrace_test::ProcessRunner;

TEST(Memory, after_five_million_spans_is_what_it_was_after_one) {
  ProcessRunner run("memory_of_many_spans");
  run.succeeds();
  const std::uint64_t one = run.told("after_one_million").value_or(0);
  const std::uint64_t five = run.told("after_five_million").value_or(0);
  EXPECT_GT(one, 0U);
  EXPECT_LE(five, one + 1024) << "in KiB";
  EXPECT_EQ(run.told("exported"), run.told("finished"));
  EXPECT_EQ(run.told("exported").value_or(0) + run.told("dropped").value_or(0), 5010000U);
}

TEST(Memory, after_a_hundred_thousand_short_threads_is_what_it_was_after_ten_thousand) {
  ProcessRunner run("memory_of_many_threads");
  run.succeeds();
  const std::uint64_t early = run.told("after_10000").value_or(0);
  const std::uint64_t late = run.told("after_100000").value_or(0);
  EXPECT_GT(early, 0U);
  EXPECT_LE(late, early + 1024) << "in KiB";
  constexpr std::uint64_t spans_before = 40 * 2 * 512;
  EXPECT_EQ(run.told("started"), spans_before + 100000);
  EXPECT_EQ(run.told("exported").value_or(0) + run.told("dropped").value_or(0), spans_before + 100000);
}

// The system calls of application threads between the marks, with how often each occurred.
std::map<std::string, int> calls_between_marks(const std::filesystem::path& trace, int& marked_threads) {
  std::map<std::string, int> calls;
  std::set<std::string> inside;
  std::ifstream stream(trace);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream parts(line);
    std::string thread;
    std::string rest;
    parts >> thread;
    std::getline(parts >> std::ws, rest);
    const std::string name = rest.substr(0, rest.find('('));
    if (name == "getpgid") {
      inside.insert(thread);
      ++marked_threads;
    } else if (name == "getsid") {
      inside.erase(thread);
    } else if (inside.count(thread) != 0 && rest.find(" resumed>") == std::string::npos) {
      const bool is_futex = name == "futex";
      const bool waits = rest.find("FUTEX_WAIT") != std::string::npos;
      ++calls[is_futex ? (waits ? "futex wait" : "futex wake") : name];
    }
  }
  return calls;
}

TEST(SystemCalls, of_application_threads_never_wait_though_the_exporter_never_returns) {
  const std::string strace = midtrace::test::find_program("strace");
  if (strace.empty()) GTEST_SKIP() << "strace is not installed";
  std::string why_not;
  midtrace::test::ProcessOptions trial;
  trial.arguments = {strace, "-f", "-o", "/dev/null", "/bin/true"};
  const auto permitted = midtrace::test::run_process(trial, std::chrono::seconds(20), &why_not);
  if (!permitted || !permitted->success())
    GTEST_SKIP() << "strace may not trace here (ptrace is not permitted)";
  const midtrace::test::TemporaryDirectory directory;
  const std::filesystem::path trace = directory.path() / "calls";
  ProcessRunner run("quiet_threads", {strace, "-f", "-qq", "-o", trace.string()});
  run.succeeds();
  EXPECT_GT(run.told("dropped").value_or(0), 100000U);
  int threads = 0;
  const auto calls = calls_between_marks(trace, threads);
  EXPECT_EQ(threads, 4);
  // Memory that the pool grows by, the collector's wake-up, and giving way to whoever holds a spin lock. None
  // of them waits.
  const std::set<std::string> harmless{"brk",     "mmap",       "munmap",     "mprotect",
                                       "madvise", "futex wake", "sched_yield"};
  for (const auto& [name, times] : calls)
    EXPECT_TRUE(harmless.count(name) != 0) << name << " " << times << " times";
}

}  // namespace
