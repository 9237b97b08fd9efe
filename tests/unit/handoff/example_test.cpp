// examples/hand_off as its user runs it: one trace, whatever thread the work is on, and log lines that name
// it.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "support/child_process.h"

namespace midtrace::test {
namespace {

struct LogLine {
  std::string trace_id;
  std::string span_id;
  std::string said;
};

// "trace_id=<32 digits> span_id=<16 digits> <what was said>", or nullopt for anything else.
std::optional<LogLine> parse_log_line(std::string_view line) {
  const auto take = [&line](std::string_view label, std::size_t digits) -> std::optional<std::string> {
    if (!line.starts_with(label) || line.size() < label.size() + digits + 1) return std::nullopt;
    const std::string_view id = line.substr(label.size(), digits);
    if (id.find_first_not_of("0123456789abcdef") != id.npos) return std::nullopt;
    if (line[label.size() + digits] != ' ') return std::nullopt;
    line.remove_prefix(label.size() + digits + 1);
    return std::string(id);
  };
  const auto trace_id = take("trace_id=", 32);
  const auto span_id = take("span_id=", 16);
  if (!trace_id || !span_id) return std::nullopt;
  return LogLine{*trace_id, *span_id, std::string(line)};
}

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
  for (std::string line; std::getline(log, line);) {
    const auto parsed = parse_log_line(line);
    ASSERT_TRUE(parsed) << line;
    EXPECT_EQ(parsed->trace_id, *traces.begin());
    logged[parsed->said] = parsed->span_id;
  }
  EXPECT_EQ(logged, (std::map<std::string, std::string>{{"charged", ids["charge"]},
                                                        {"packing", ids["pack"]},
                                                        {"packed, on another thread", ids["pack"]},
                                                        {"notified", ids["notify"]}}));
}

}  // namespace
}  // namespace midtrace::test
