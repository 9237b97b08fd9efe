// The program as a user runs it: arguments and files in, text, messages and exit code out.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "spans.h"

namespace midtrace::view {
namespace {

using waterfall::testing::count_of;

class Program : public ::testing::Test {
 protected:
  struct Outcome {
    int exit_code = -1;
    std::string output;
    std::string messages;
  };

  Program() {
    std::string name = (std::filesystem::temp_directory_path() / "midtrace-view-XXXXXX").string();
    const char* made = mkdtemp(name.data());
    folder_ = made == nullptr ? std::string(".") : std::string(made);
  }
  ~Program() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name, std::string_view text) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  // `arguments` go through the shell; the environment is the bare minimum.
  Outcome run(const std::string& arguments, const std::string& environment = "") const {
    const std::string messages = folder_ + "/stderr";
    const std::string command =
        "env -i " + environment + " '" MIDTRACE_VIEW_PROGRAM "' " + arguments + " 2>'" + messages + "'";
    Outcome outcome;
    std::FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) {
      return outcome;
    }
    std::array<char, 4096> block{};
    std::size_t count = 0;
    while ((count = std::fread(block.data(), 1, block.size(), pipe)) > 0) {
      outcome.output.append(block.data(), count);
    }
    const int status = pclose(pipe);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    std::ifstream in(messages, std::ios::binary);
    outcome.messages.assign(std::istreambuf_iterator<char>(in), {});
    return outcome;
  }

 private:
  std::string folder_;
};

constexpr std::string_view kLine =
    R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736",)"
    R"("spanId":"00f067aa0ba902b7","name":"GET","startTimeUnixNano":"1000000","endTimeUnixNano":"2000000"}]}]}]})"
    "\n";

TEST_F(Program, DrawsTheExampleOfItsReadme) {
  const Outcome outcome = run("--width 100 '" MIDTRACE_VIEW_EXAMPLE "'");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.messages, "");
  EXPECT_EQ(count_of(outcome.output, "process orders"), 3U + 1U)
      << "under each sender, and as the slowest span";
  EXPECT_TRUE(outcome.output.ends_with(
      "\n\n5 traces · 21 spans · 1 error · slowest billing process orders 131 ms\n"));
}

TEST_F(Program, ReadsStandardInputForADashAndWithoutAnyFile) {
  const std::string path = file("a.jsonl", kLine);
  const std::string expected = run("'" + path + "'").output;
  EXPECT_NE(expected, "");
  EXPECT_EQ(run("- < '" + path + "'").output, expected);
  EXPECT_EQ(run("< '" + path + "'").output, expected);
}

TEST_F(Program, UsesNoColourOffATerminalUnlessAsked) {
  const std::string path = file("a.jsonl", kLine);
  EXPECT_EQ(run(path).output.find('\x1b'), std::string::npos);
  EXPECT_NE(run("--color " + path).output.find('\x1b'), std::string::npos);
}

TEST_F(Program, HonoursColumnsOffATerminal) {
  const std::string path = file("a.jsonl", kLine);
  EXPECT_EQ(run(path, "COLUMNS=64").output, run("--width 64 " + path).output);
}

TEST_F(Program, ReportsAMalformedLineDrawsTheRestAndExitsWithOne) {
  const std::string path = file("bad.jsonl", std::string(kLine) + "{\"broken\n" + std::string(kLine));
  const Outcome outcome = run(path);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(count_of(outcome.messages, "\n"), 1U);
  EXPECT_NE(outcome.messages.find("bad.jsonl:2: column"), std::string::npos) << outcome.messages;
  EXPECT_NE(outcome.output.find("1 trace · 1 span"), std::string::npos);
}

TEST_F(Program, NeutralisesWhatAMessageQuotes) {
  const Outcome outcome = run(file("bad.jsonl", "\x1b]0;owned\x07\n"));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.messages.find('\x1b'), std::string::npos);
}

TEST_F(Program, DoesNotFloodTheTerminalWithMessages) {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text += "{oops\n";
  }
  const Outcome outcome = run(file("bad.jsonl", text));
  EXPECT_LT(count_of(outcome.messages, "\n"), 60U);
  EXPECT_NE(outcome.messages.find("more such problems"), std::string::npos);
}

TEST_F(Program, SaysWhichFileIsMissingDrawsTheOthersAndExitsWithTwo) {
  const Outcome outcome = run("/nowhere/x.jsonl " + file("a.jsonl", kLine));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.messages, "midtrace-view: cannot read /nowhere/x.jsonl: No such file or directory\n");
  EXPECT_NE(outcome.output.find("GET"), std::string::npos);
}

TEST_F(Program, SaysWhenThereIsNothingToDraw) {
  const Outcome none = run(file("metrics.jsonl", "{\"resourceMetrics\":[]}\n"));
  EXPECT_EQ(none.exit_code, 0);
  EXPECT_EQ(none.messages, "midtrace-view: no spans found\n");
  const Outcome unmatched = run("--trace ffff " + file("a.jsonl", kLine));
  EXPECT_EQ(unmatched.exit_code, 0);
  EXPECT_EQ(unmatched.messages, "midtrace-view: no trace matches\n");
}

TEST_F(Program, ExplainsItselfAndRejectsWhatItDoesNotKnow) {
  EXPECT_NE(run("--help").output.find("usage: midtrace-view"), std::string::npos);
  EXPECT_TRUE(run("--version").output.starts_with("midtrace-view "));
  const Outcome unknown = run("--frobnicate x");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.messages.find("unknown option --frobnicate"), std::string::npos);
}

TEST_F(Program, ReportsThatItsOutputCouldNotBeWritten) {
  const Outcome outcome = run(file("a.jsonl", kLine) + " > /dev/full");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.messages.find("cannot write"), std::string::npos);
}

}  // namespace
}  // namespace midtrace::view
