// OTLP/JSON lines in a file: shared, forked, full, gone.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include <midtrace/export/exporters.h>
#include <midtrace/trace/logger.h>
#include <midtrace/trace/tracer.h>

#include "captured_batch.h"
#include "trace/report.h"

namespace {

using midtrace::Exporter;
using midtrace::ExportResult;
using midtrace::otlp_file_exporter;
using midtrace::Span;
using midtrace::Tracer;
using midtrace::testing::Recorder;
using testing::ElementsAre;
using testing::HasSubstr;

namespace fs = std::filesystem;

class OtlpFile : public testing::Test {
 protected:
  OtlpFile() {
    std::string pattern = (fs::temp_directory_path() / "midtrace-file-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~OtlpFile() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  static std::vector<std::string> lines_of(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);)
      lines.push_back(line);
    return lines;
  }
  static std::string bytes_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // The names of the spans in one line.
  static std::vector<std::string> names_in(const std::string& line) {
    std::vector<std::string> names;
    const auto parsed = nlohmann::json::parse(line);
    for (const auto& scope : parsed["resourceSpans"][0]["scopeSpans"]) {
      for (const auto& span : scope["spans"])
        names.push_back(span["name"]);
    }
    return names;
  }
  static void span(const char* name) { Span s = Tracer::get("shop").start(name); }

 private:
  fs::path directory_;
};

class KeptMessages final : public midtrace::Logger {
 public:
  void log(midtrace::Severity, std::string_view message) noexcept override { messages.emplace_back(message); }
  std::vector<std::string> messages;
};

// Gives batches to an exporter directly, on the collector's thread, and keeps the results.
class Driver final : public Exporter {
 public:
  explicit Driver(std::shared_ptr<Exporter> driven) : driven_(std::move(driven)) {}
  ExportResult export_batch(const midtrace::ExportBatch& batch) noexcept override {
    results.push_back(driven_->export_batch(batch));
    return ExportResult::success;
  }
  std::vector<ExportResult> results;

 private:
  std::shared_ptr<Exporter> driven_;
};

TEST_F(OtlpFile, EachBatchIsALineOfItsOwn) {
  Recorder recorder(midtrace_test::recording_into(otlp_file_exporter(path("spans.jsonl"))));
  span("first");
  span("second");
  recorder.spans();
  span("third");
  recorder.spans();
  const auto lines = lines_of(path("spans.jsonl"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(names_in(lines[0]), ElementsAre("first", "second"));
  EXPECT_THAT(names_in(lines[1]), ElementsAre("third"));
  EXPECT_EQ(bytes_of(path("spans.jsonl")).back(), '\n');
}

TEST_F(OtlpFile, WhatIsInTheFileStaysAndThePermissionsAreModest) {
  std::ofstream(path("old.jsonl")) << "an older line\n";
  const mode_t mask = umask(0);
  {
    Recorder recorder(midtrace_test::recording_into(otlp_file_exporter(path("old.jsonl"))));
    span("work");
  }
  { Recorder recorder(midtrace_test::recording_into(otlp_file_exporter(path("new.jsonl")))); }
  umask(mask);
  const auto lines = lines_of(path("old.jsonl"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], "an older line");
  EXPECT_THAT(names_in(lines[1]), ElementsAre("work"));
  EXPECT_EQ(fs::status(path("new.jsonl")).permissions(), static_cast<fs::perms>(0644));
}

TEST_F(OtlpFile, TheProcessIdReplacesEveryMark) {
  const std::string pid = std::to_string(getpid());
  Recorder recorder(midtrace_test::recording_into(otlp_file_exporter(path("a-%p-%p%.jsonl"))));
  span("work");
  recorder.spans();
  EXPECT_EQ(lines_of(path("a-" + pid + "-" + pid + "%.jsonl")).size(), 1U);
}

TEST_F(OtlpFile, OpenSaysThePathTheReasonAndWhatToDo) {
  EXPECT_EQ(otlp_file_exporter(path("none/spans.jsonl"))->open(),
            "Cannot open the trace file \"" + path("none/spans.jsonl") +
                "\" for appending: No such file or directory; create the directory, or choose another path");
  fs::create_directory(path("folder"));
  EXPECT_EQ(otlp_file_exporter(path("folder"))->open(),
            "Cannot open the trace file \"" + path("folder") +
                "\" for appending: Is a directory; give the path of a file, not of a directory");
  EXPECT_EQ(otlp_file_exporter(path("fine.jsonl"))->open(), "");
}

TEST_F(OtlpFile, ANamedPipeWithoutAReaderIsAnErrorAndNoHang) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(otlp_file_exporter(path("pipe"))->open(),
              HasSubstr("start the reader of the named pipe first"));
}

TEST_F(OtlpFile, ANamedPipeWithAReaderGetsWholeLinesHoweverSlowItReads) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  const int reader = open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  fcntl(reader, F_SETFL, 0);
  std::string received;
  {
    Recorder recorder(midtrace_test::recording_into(otlp_file_exporter(path("pipe"))));
    const std::string large(100000, 'x');
    {
      Span s = Tracer::get("shop").start("large");
      s.set("text", large);
    }
    std::thread reading([&] {
      char bytes[10000];
      while (received.find('\n') == std::string::npos) {
        const ssize_t size = read(reader, bytes, sizeof(bytes));
        if (size > 0) received.append(bytes, static_cast<std::size_t>(size));
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    recorder.spans();
    reading.join();
  }
  close(reader);
  EXPECT_GT(received.size(), 100000U);
  EXPECT_THAT(names_in(received), ElementsAre("large"));
}

TEST_F(OtlpFile, StandardOutputIsAMinusSign) {
  const int saved = dup(STDOUT_FILENO);
  const int file = open(path("captured").c_str(), O_WRONLY | O_CREAT, 0600);
  dup2(file, STDOUT_FILENO);
  close(file);
  {
    Recorder recorder(midtrace_test::recording_into(otlp_file_exporter("-")));
    span("work");
  }
  // It must not have been closed.
  EXPECT_EQ(write(STDOUT_FILENO, "mine\n", 5), 5);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  const auto lines = lines_of(path("captured"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(names_in(lines[0]), ElementsAre("work"));
  EXPECT_EQ(lines[1], "mine");
}

TEST_F(OtlpFile, AForkedChildWritesItsOwnFileWherePathHasTheProcessId) {
  Recorder recorder(midtrace_test::recording_into(otlp_file_exporter(path("%p.jsonl"))));
  span("before");
  recorder.spans();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    span("in the child");
    _exit(recorder.telemetry().flush() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  span("after");
  recorder.spans();
  const auto parents = lines_of(path(std::to_string(getpid()) + ".jsonl"));
  ASSERT_EQ(parents.size(), 2U);
  EXPECT_THAT(names_in(parents[0]), ElementsAre("before"));
  EXPECT_THAT(names_in(parents[1]), ElementsAre("after"));
  const auto childs = lines_of(path(std::to_string(child) + ".jsonl"));
  ASSERT_EQ(childs.size(), 1U);
  EXPECT_THAT(names_in(childs[0]), ElementsAre("in the child"));
}

TEST_F(OtlpFile, ProcessesSharingOneFileNeverMixTheirLines) {
  constexpr int processes = 4;
  constexpr int batches = 50;
  Recorder recorder(midtrace_test::recording_into(otlp_file_exporter(path("shared.jsonl"))));
  span("parent");
  recorder.spans();
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool flushed = true;
      for (int b = 0; b < batches; ++b) {
        {
          Span s = Tracer::get("shop").start("work");
          s.set("text", std::string(5000, 'x'));
        }
        flushed = recorder.telemetry().flush() && flushed;
      }
      _exit(flushed ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const auto lines = lines_of(path("shared.jsonl"));
  EXPECT_EQ(lines.size(), 1U + processes * batches);
  for (const std::string& line : lines)
    EXPECT_EQ(names_in(line).size(), 1U);
}

TEST_F(OtlpFile, AFailedWriteLosesTheBatchAndIsReportedOnceWithPathAndReason) {
  const auto driver = std::make_shared<Driver>(otlp_file_exporter("/dev/full"));
  Recorder recorder(midtrace_test::recording_into(driver));
  const auto logger = std::make_shared<KeptMessages>();
  midtrace::set_logger(logger);
  midtrace::forget_reports();
  span("one");
  recorder.spans();
  span("two");
  recorder.spans();
  midtrace::set_logger(nullptr);
  EXPECT_THAT(driver->results, ElementsAre(ExportResult::failure, ExportResult::failure));
  EXPECT_THAT(
      logger->messages,
      ElementsAre(
          "Cannot write to the trace file \"/dev/full\": No space left on device; a batch of 1 spans is "
          "lost. To keep the next ones, free some space, or choose another path"));
}

TEST_F(OtlpFile, AFileThatCannotBeOpenedAtFirstIsTriedAgainAtTheNextBatch) {
  const auto driver = std::make_shared<Driver>(otlp_file_exporter(path("later/spans.jsonl")));
  Recorder recorder(midtrace_test::recording_into(driver));
  span("lost");
  recorder.spans();
  fs::create_directory(path("later"));
  span("kept");
  recorder.spans();
  EXPECT_THAT(driver->results, ElementsAre(ExportResult::failure, ExportResult::success));
  const auto lines = lines_of(path("later/spans.jsonl"));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(names_in(lines[0]), ElementsAre("kept"));
}

TEST_F(OtlpFile, ALineThatWasCutOffDoesNotSpoilTheNext) {
  const auto driver = std::make_shared<Driver>(otlp_file_exporter(path("cut.jsonl")));
  Recorder recorder(midtrace_test::recording_into(driver));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{300, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  span("cut");
  recorder.spans();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old);
  span("whole");
  recorder.spans();
  EXPECT_THAT(driver->results, ElementsAre(ExportResult::failure, ExportResult::success));
  const auto lines = lines_of(path("cut.jsonl"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].size(), 300U);
  EXPECT_THAT(names_in(lines[1]), ElementsAre("whole"));
}

// The descriptor of the process that leads to `path`.
int descriptor_of(const std::string& path) {
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    if (fs::read_symlink(entry.path(), ignored) == path) return std::stoi(entry.path().filename().string());
  }
  return -1;
}

TEST_F(OtlpFile, ADescriptorThatTheApplicationClosedAndReusedIsNotWrittenTo) {
  Recorder recorder(midtrace_test::recording_into(otlp_file_exporter(path("spans.jsonl"))));
  span("first");
  recorder.spans();
  const int ours = descriptor_of(path("spans.jsonl"));
  ASSERT_GT(ours, 2);
  // What a daemon does: closes everything, then opens a file of its own under the same number.
  const int precious = open(path("precious").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(dup2(precious, ours), ours);
  close(precious);
  span("second");
  recorder.spans();
  EXPECT_EQ(bytes_of(path("precious")), "");
  EXPECT_EQ(fcntl(ours, F_GETFD) >= 0, true) << "the application's descriptor must stay open";
  close(ours);
  const auto lines = lines_of(path("spans.jsonl"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(names_in(lines[1]), ElementsAre("second"));
}

TEST_F(OtlpFile, TheFileNeverTakesTheNumberOfAStandardStream) {
  const int saved = dup(STDIN_FILENO);
  close(STDIN_FILENO);
  const auto exporter = otlp_file_exporter(path("spans.jsonl"));
  EXPECT_EQ(exporter->open(), "");
  EXPECT_GT(descriptor_of(path("spans.jsonl")), 2);
  dup2(saved, STDIN_FILENO);
  close(saved);
}

TEST_F(OtlpFile, TheDescriptorIsNotInheritedByOtherPrograms) {
  const auto exporter = otlp_file_exporter(path("spans.jsonl"));
  EXPECT_EQ(exporter->open(), "");
  EXPECT_EQ(fcntl(descriptor_of(path("spans.jsonl")), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

}  // namespace
