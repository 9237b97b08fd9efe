// Whole processes: what the OTLP exporter does at their end, where TLS ends too, and when memory is short.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "tls_fixture.h"

namespace {

using midtrace::test::ChildProcess;
using midtrace::test::ProcessOptions;
using midtrace_test::OtlpTls;
using midtrace_test::span_names;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

using Names = std::vector<std::string>;

class OtlpProcess : public OtlpTls {
 protected:
  // Runs the scenario to its end; its exit code, -1 when a signal ended it or nothing did.
  int run(const char* scenario, const HttpServer& server, const std::string& authorities = {}) {
    ProcessOptions options;
    options.arguments = {MIDTRACE_TEST_OTLP_PROCESS, scenario, server.url() + "/v1/traces"};
    if (!authorities.empty()) options.arguments.push_back(authorities);
    options.log_file = file("output");
    options.run_as = run_as_;
    std::string why_not;
    const auto begin = steady_clock::now();
    const auto status = midtrace::test::run_process(options, seconds(60), &why_not);
    took_ = steady_clock::now() - begin;
    if (!status) {
      ADD_FAILURE() << why_not << "\n" << output();
      return -1;
    }
    EXPECT_EQ(status->signal, 0) << output();
    return status->signal == 0 ? status->code : -1;
  }
  std::string output() const {
    std::ifstream stream(file("output"));
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }
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
  static Names delivered(const HttpServer& server) {
    Names names;
    for (const auto& request : server.requests()) {
      for (const std::string& name : span_names(request.body))
        names.push_back(name);
    }
    return names;
  }

  std::optional<midtrace::test::UserIdentity> run_as_;
  steady_clock::duration took_{};
};

// --- the end of a process, over TLS

struct EndCase {
  const char* scenario;
  Names delivered;
};

class OtlpExit : public OtlpProcess, public testing::WithParamInterface<EndCase> {};
TEST_P(OtlpExit, DeliversWhatEndedInTimeAndSurvivesTheRest) {
  HttpServer server({{}}, server_files());
  EXPECT_EQ(run(GetParam().scenario, server, file("authority.pem")), 0) << output();
  EXPECT_EQ(delivered(server), GetParam().delivered) << output();
  EXPECT_LT(took_, seconds(8)) << "nothing waits for the exit timeout of ten seconds";
}
INSTANTIATE_TEST_SUITE_P(Scenarios, OtlpExit,
                         testing::Values(EndCase{"flush_in_a_handler", {"main", "last"}},
                                         EndCase{"shutdown_in_a_handler", {"main", "last"}},
                                         EndCase{"flush_in_a_destructor", {"main", "last"}},
                                         EndCase{"shutdown_in_a_destructor", {"main", "last"}},
                                         EndCase{"handler_before_setup", {"main"}},
                                         EndCase{"static_before_setup", {"main"}},
                                         EndCase{"second_setup", {"second", "second again"}}),
                         [](const auto& one) { return std::string(one.param.scenario); });

// --- no memory

class OtlpWithoutMemory : public OtlpProcess, public testing::WithParamInterface<const char*> {};
TEST_P(OtlpWithoutMemory, LosesTheBatchUnderItsReasonAndGoesOn) {
  HttpServer server;
  EXPECT_EQ(run(GetParam(), server), 0) << output();
  EXPECT_EQ(told("lost"), 3U);
  EXPECT_EQ(told("export_lost_internal"), 3U) << output();
  EXPECT_EQ(told("export_lost_connection"), 0U);
  ASSERT_THAT(delivered(server), testing::Not(IsEmpty()));
  EXPECT_EQ(delivered(server).back(), "after");
}
INSTANTIATE_TEST_SUITE_P(Scenarios, OtlpWithoutMemory,
                         testing::Values("no_memory_for_a_client", "no_memory_for_a_request"),
                         [](const auto& one) { return std::string(one.param); });

// --- files that this process may not read

TEST_F(OtlpProcess, AFileWithoutPermissionIsInTelemetryError) {
  HttpServer server({{}}, server_files());
  ASSERT_EQ(chmod(file("authority.pem").c_str(), 0), 0);
  if (geteuid() == 0) {  // who may read everything
    run_as_ = midtrace::test::find_user("nobody");
    ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
    for (std::filesystem::path path = MIDTRACE_TEST_OTLP_PROCESS; path.has_relative_path();
         path = path.parent_path()) {
      struct stat status {};
      if (!run_as_ || stat(path.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0)
        GTEST_SKIP() << "run by root, and nobody else may execute " << path;
    }
  }
  EXPECT_EQ(run("only_setup", server, file("authority.pem")), 2);
  EXPECT_THAT(output(),
              AllOf(HasSubstr(file("authority.pem")), HasSubstr("cannot be read: Permission denied")));
}

}  // namespace
