// The main example as its user runs it: two processes, one broker, the files of both read back.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/kafka_broker.h"

using namespace std::chrono_literals;

namespace midtrace::test {
namespace {

struct Span {
  std::string trace_id, span_id, parent_span_id, name, service;
  int kind = 0;
  int status = 0;
  std::uint64_t dropped_links = 0;
  std::vector<std::string> linked_span_ids;
};

std::vector<Span> read_spans(const std::filesystem::path& path) {
  std::vector<Span> spans;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json document = nlohmann::json::parse(line);
    for (const auto& resource_spans : document.at("resourceSpans")) {
      std::string service;
      for (const auto& attribute : resource_spans.at("resource").at("attributes")) {
        if (attribute.at("key") == "service.name") service = attribute.at("value").at("stringValue");
      }
      for (const auto& scope_spans : resource_spans.at("scopeSpans")) {
        for (const auto& json : scope_spans.at("spans")) {
          Span span;
          span.trace_id = json.at("traceId");
          span.span_id = json.at("spanId");
          span.parent_span_id = json.value("parentSpanId", "");
          span.name = json.at("name");
          span.service = service;
          span.kind = json.at("kind");
          span.status = json.contains("status") ? json["status"].value("code", 0) : 0;
          span.dropped_links = json.value("droppedLinksCount", std::uint64_t{0});
          for (const auto& link : json.value("links", nlohmann::json::array())) {
            span.linked_span_ids.push_back(link.at("spanId"));
          }
          spans.push_back(std::move(span));
        }
      }
    }
  }
  return spans;
}

// Runs both programs; the spans of both files. Without a bootstrap address checkout brings its own broker.
std::vector<Span> run_pipeline(int orders, const std::vector<std::string>& environment = {},
                               const std::string& bootstrap = {}) {
  const TemporaryDirectory directory;
  const std::filesystem::path root = directory.path();
  const std::string start_file = (root / "start").string();
  const auto start = [&](const char* program, const char* name) {
    ProcessOptions options;
    options.arguments = {program, "--orders", std::to_string(orders), "--start-file", start_file};
    if (!bootstrap.empty()) options.arguments.insert(options.arguments.end(), {"--bootstrap", bootstrap});
    options.environment = environment;
    options.environment.push_back("OTEL_TRACES_EXPORTER=otlp_file");
    options.environment.push_back("MIDTRACE_OTLP_FILE=" + (root / (std::string(name) + ".jsonl")).string());
    options.log_file = root / (std::string(name) + ".log");
    std::string why_not;
    auto process = ChildProcess::start(options, &why_not);
    EXPECT_NE(process, nullptr) << why_not;
    return process;
  };
  const auto checkout = start(MIDTRACE_ORDER_CHECKOUT, "checkout");
  for (int i = 0; i < 600 && !std::filesystem::exists(start_file); ++i)
    std::this_thread::sleep_for(50ms);
  EXPECT_TRUE(std::filesystem::exists(start_file)) << last_lines(root / "checkout.log", 20);
  const auto fulfilment = start(MIDTRACE_ORDER_FULFILMENT, "fulfilment");
  const auto fulfilled = fulfilment->wait(60s);
  EXPECT_TRUE(fulfilled && fulfilled->success()) << last_lines(root / "fulfilment.log", 20);
  std::ofstream(start_file + ".done").put('\n');
  const auto checked_out = checkout->wait(60s);
  EXPECT_TRUE(checked_out && checked_out->success()) << last_lines(root / "checkout.log", 20);

  std::vector<Span> spans = read_spans(root / "checkout.jsonl");
  for (Span& span : read_spans(root / "fulfilment.jsonl"))
    spans.push_back(std::move(span));
  return spans;
}

std::vector<const Span*> named(const std::vector<Span>& spans, const std::string& name) {
  std::vector<const Span*> found;
  for (const Span& span : spans) {
    if (span.name == name) found.push_back(&span);
  }
  return found;
}

// Which sends the process spans of a topic link to; each must be one that was exported.
std::multiset<std::string> linked_sends(const std::vector<Span>& spans, const std::string& topic) {
  std::set<std::string> sends;
  for (const Span* send : named(spans, "send " + topic))
    sends.insert(send->span_id);
  std::multiset<std::string> linked;
  for (const Span* process : named(spans, "process " + topic)) {
    for (const std::string& id : process->linked_span_ids) {
      EXPECT_EQ(sends.count(id), 1U) << "a link of '" << process->name << "' leads nowhere: " << id;
      linked.insert(id);
    }
  }
  return linked;
}

TEST(OrderPipeline, EveryOrdersSendIsReachedFromTheSpanThatHandledIt) {
  const std::vector<Span> spans = run_pipeline(30);
  EXPECT_EQ(named(spans, "place order").size(), 30U);
  ASSERT_EQ(named(spans, "send orders").size(), 20U);
  ASSERT_EQ(named(spans, "send bulk-orders").size(), 10U);

  const std::multiset<std::string> singles = linked_sends(spans, "orders");
  EXPECT_EQ(singles.size(), 20U);
  EXPECT_EQ(std::set<std::string>(singles.begin(), singles.end()).size(), 20U);

  const std::multiset<std::string> bulk = linked_sends(spans, "bulk-orders");
  std::uint64_t dropped = 0;
  for (const Span* process : named(spans, "process bulk-orders"))
    dropped += process->dropped_links;
  EXPECT_EQ(bulk.size() + dropped, 10U);
  EXPECT_EQ(std::set<std::string>(bulk.begin(), bulk.end()).size(), bulk.size());
}

TEST(OrderPipeline, AnOrderThatIsHandledAloneIsOneTraceFromTheCustomerToTheParcel) {
  const std::vector<Span> spans = run_pipeline(30);
  std::map<std::string, const Span*> by_id;
  for (const Span& span : spans)
    by_id[span.span_id] = &span;

  std::set<std::string> traces;
  for (const Span* process : named(spans, "process orders")) {
    traces.insert(process->trace_id);
    std::vector<std::string> way;
    for (const Span* span = process; span != nullptr;) {
      way.push_back(span->service + ": " + span->name);
      EXPECT_EQ(span->trace_id, process->trace_id);
      const auto parent = by_id.find(span->parent_span_id);
      span = parent != by_id.end() ? parent->second : nullptr;
    }
    EXPECT_EQ(way, (std::vector<std::string>{"fulfilment: process orders", "checkout: send orders",
                                             "checkout: place order"}));
  }
  EXPECT_EQ(traces.size(), 20U);
  // 7, 14 and 28 ask for what is out of stock.
  std::size_t failed = 0;
  for (const Span* process : named(spans, "process orders"))
    failed += process->status == 2 ? 1 : 0;
  EXPECT_EQ(failed, 3U);
}

TEST(OrderPipeline, SamplingOneTraceInTenKeepsEverySingleOrderWholeOrAbsent) {
  const std::vector<Span> spans =
      run_pipeline(600, {"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.1"});
  std::set<std::string> placed;
  for (const Span* span : named(spans, "place order"))
    placed.insert(span->span_id);
  EXPECT_GT(placed.size(), 20U);
  EXPECT_LT(placed.size(), 140U);
  EXPECT_EQ(named(spans, "send orders").size() + named(spans, "send bulk-orders").size(), placed.size());
  EXPECT_EQ(named(spans, "process orders").size(), named(spans, "send orders").size());
  // A batch links to every message that carried a context, sampled or not; those that were sampled are all
  // there.
  std::set<std::string> linked;
  for (const Span* process : named(spans, "process bulk-orders")) {
    linked.insert(process->linked_span_ids.begin(), process->linked_span_ids.end());
  }
  for (const Span* send : named(spans, "send bulk-orders"))
    EXPECT_EQ(linked.count(send->span_id), 1U);
}

TEST(OrderPipeline, RunsOnARealKafkaBrokerThatHasSeenOtherOrdersBefore) {
  std::string why_not;
  KafkaBroker* const broker = shared_kafka_broker(&why_not);
  if (broker == nullptr) {
    report_kafka_not_run(why_not);
    if (kafka_broker_required()) FAIL() << why_not;
    GTEST_SKIP() << why_not;
  }
  ASSERT_TRUE(broker->create_topic("orders", 1, {}, &why_not)) << why_not;
  ASSERT_TRUE(broker->create_topic("bulk-orders", 1, {}, &why_not)) << why_not;
  run_pipeline(9, {}, broker->bootstrap_servers());
  const std::vector<Span> spans = run_pipeline(12, {}, broker->bootstrap_servers());
  EXPECT_EQ(named(spans, "place order").size(), 12U);
  EXPECT_EQ(linked_sends(spans, "orders").size(), 8U);
  EXPECT_EQ(linked_sends(spans, "bulk-orders").size(), 4U);
  std::set<std::string> placed;
  for (const Span* span : named(spans, "place order"))
    placed.insert(span->trace_id);
  for (const Span* process : named(spans, "process orders"))
    EXPECT_EQ(placed.count(process->trace_id), 1U);
}

}  // namespace
}  // namespace midtrace::test
