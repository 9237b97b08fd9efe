// Runs a scenario of process_program.cpp in a process of its own, and reads what it left behind.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "support/child_process.h"

namespace midtrace_test {

struct ExportedSpan {
  std::string file;  // without directory and extension: the process id
  std::string trace_id, span_id, parent_span_id, name;
};

class ProcessRunner {
 public:
  explicit ProcessRunner(std::string scenario, std::vector<std::string> before = {}) {
    std::vector<std::string> arguments = std::move(before);
    arguments.insert(arguments.end(), {MIDTRACE_TEST_PROCESS, std::move(scenario), files().string()});
    std::filesystem::create_directory(files());
    std::string why_not;
    midtrace::test::ProcessOptions options;
    options.arguments = std::move(arguments);
    options.log_file = log();
    process_ = midtrace::test::ChildProcess::start(options, &why_not);
    if (process_ == nullptr) ADD_FAILURE() << why_not;
  }

  midtrace::test::ChildProcess& process() { return *process_; }
  // The exit status; a failure of the test when there is none in time.
  midtrace::test::ExitStatus wait(std::chrono::seconds patience = std::chrono::seconds(100)) {
    const auto status = process_->wait(patience);
    if (!status) ADD_FAILURE() << "it did not end:\n" << output();
    return status.value_or(midtrace::test::ExitStatus{-1, 0});
  }
  void succeeds() {
    const auto status = wait();
    EXPECT_TRUE(status.success()) << "code " << status.code << ", signal " << status.signal << "\n"
                                  << output();
  }

  std::filesystem::path directory() const { return directory_.path(); }
  std::string output() const {
    std::ifstream stream(log());
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }
  // What it told under `name`.
  std::optional<std::uint64_t> told(const std::string& name) const {
    std::istringstream lines(output());
    std::string word;
    std::uint64_t number = 0;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream parts(line);
      if (parts >> word >> number && word == name) return number;
    }
    return std::nullopt;
  }

  // Every span of every file.
  std::vector<ExportedSpan> spans() const {
    constexpr std::string_view beginning = "{\"traceId\":";
    std::vector<ExportedSpan> result;
    for (const auto& entry : std::filesystem::directory_iterator(files())) {
      std::ifstream stream(entry.path());
      for (std::string line; std::getline(stream, line);) {
        EXPECT_EQ(line.back(), '}') << "a line is whole or not there";
        for (std::size_t at = line.find(beginning); at != std::string::npos;) {
          const std::size_t next = std::min(line.find(beginning, at + 1), line.size());
          const std::string_view span = std::string_view(line).substr(at, next - at);
          result.push_back({entry.path().stem(), text_of(span, "traceId"), text_of(span, "spanId"),
                            text_of(span, "parentSpanId"), text_of(span, "name")});
          at = next == line.size() ? std::string::npos : next;
        }
      }
    }
    return result;
  }

 private:
  // The first text field of that name; names of spans here need no escapes.
  static std::string text_of(std::string_view span, const std::string& field) {
    const std::string before = "\"" + field + "\":\"";
    const std::size_t at = span.find(before);
    if (at == std::string_view::npos) return {};
    const std::string_view rest = span.substr(at + before.size());
    return std::string(rest.substr(0, rest.find('"')));
  }

  std::filesystem::path files() const { return directory_.path() / "spans"; }
  std::filesystem::path log() const { return directory_.path() / "output"; }

  midtrace::test::TemporaryDirectory directory_;
  std::unique_ptr<midtrace::test::ChildProcess> process_;
};

inline std::vector<std::string> names_in(const std::vector<ExportedSpan>& spans,
                                         const std::string& file = {}) {
  std::vector<std::string> names;
  for (const ExportedSpan& span : spans) {
    if (file.empty() || span.file == file) names.push_back(span.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline long count_of(const std::vector<std::string>& names, const std::string& name) {
  return std::count(names.begin(), names.end(), name);
}

}  // namespace midtrace_test
