// examples/hand_off as its user runs it: one trace, whatever thread the work is on, and log lines that name
// it.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "support/child_process.h"

namespace midtrace::test {
namespace {

TEST(HandOffExample, IsOneTraceAndItsLogLinesNameTheSpans) {
  const TemporaryDirectory directory;
  ProcessOptions options;
  options.arguments = {MIDTRACE_TEST_EXAMPLE};
  options.environment = {"OTEL_TRACES_EXPORTER=otlp_file", "OTEL_TRACES_SAMPLER=always_on",
                         "MIDTRACE_OTLP_FILE=" + (directory.path() / "spans.jsonl").string()};
  options.log_file = directory.path() / "log";
  std::string why_not;
  const auto status = run_process(options, std::chrono::seconds(30), &why_not);
  ASSERT_TRUE(status && status->success()) << why_not;

  std::set<std::string> traces;
  std::map<std::string, std::string> parents;  // by name, the parent's id
  std::map<std::string, std::string> ids;      // by name
  std::ifstream spans(directory.path() / "spans.jsonl");
  for (std::string line; std::getline(spans, line);) {
    const nlohmann::json document = nlohmann::json::parse(line);
    for (const auto& scope : document.at("resourceSpans").at(0).at("scopeSpans")) {
      for (const auto& span : scope.at("spans")) {
        traces.insert(span.at("traceId"));
        ids[span.at("name")] = span.at("spanId");
        parents[span.at("name")] = span.value("parentSpanId", "");
      }
    }
  }
  ASSERT_EQ(traces.size(), 1U);
  EXPECT_EQ(parents,
            (std::map<std::string, std::string>{
                {"order", ""}, {"charge", ids["order"]}, {"pack", ids["order"]}, {"notify", ids["order"]}}));

  std::map<std::string, std::string> logged;  // by what was said, the span's id
  std::ifstream log(directory.path() / "log");
  const std::regex form("trace_id=([0-9a-f]{32}) span_id=([0-9a-f]{16}) (.*)");
  for (std::string line; std::getline(log, line);) {
    std::smatch parts;
    ASSERT_TRUE(std::regex_match(line, parts, form)) << line;
    EXPECT_EQ(parts[1], *traces.begin());
    logged[parts[3]] = parts[2];
  }
  EXPECT_EQ(logged, (std::map<std::string, std::string>{{"charged", ids["charge"]},
                                                        {"packing", ids["pack"]},
                                                        {"packed, on another thread", ids["pack"]},
                                                        {"notified", ids["notify"]}}));
}

}  // namespace
}  // namespace midtrace::test
