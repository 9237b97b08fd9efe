// The plugin's properties: which option each one is, what it takes, and what becomes of the rest.

#include "properties.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trace/report.h"

#include <midtrace/trace/counters.h>

namespace midtrace {
namespace {

using kafka::CommitSpans;
using kafka::ExistingContext;
using kafka::IncomingContext;
using kafka::Options;
using kafka::PollSpans;
using kafka::SendEnd;
using kafka::plugin::Properties;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Names = std::vector<std::string>;

class KeptMessages final : public Logger {
 public:
  void log(Severity, std::string_view message) noexcept override {
    const std::lock_guard guard(mutex_);
    messages.emplace_back(message);
  }
  Names messages;

 private:
  std::mutex mutex_;
};

class KafkaPluginProperties : public ::testing::Test {
 protected:
  void SetUp() override {
    set_logger(logger_);
    forget_reports();
  }
  void TearDown() override { set_logger(nullptr); }
  static std::uint64_t problems() { return counters()[Counter::invalid_configuration]; }
  const Names& messages() const { return logger_->messages; }
  void forget_messages() {
    logger_->messages.clear();
    forget_reports();
  }

 private:
  std::shared_ptr<KeptMessages> logger_ = std::make_shared<KeptMessages>();
};

// Everything that a property may change, to tell also what one must not.
std::string described(const Options& options) {
  std::ostringstream text;
  const auto list = [&text](const char* name, const Names& names) {
    text << name << "[";
    for (const std::string& each : names)
      text << "<" << each << ">";
    text << "] ";
  };
  text << "mode " << (options.mode ? static_cast<int>(*options.mode) : -1);
  text << " send_end " << static_cast<int>(options.end_send_at);
  text << " existing " << static_cast<int>(options.existing_context);
  text << " incoming " << static_cast<int>(options.incoming_context);
  text << " poll " << static_cast<int>(options.poll_spans);
  text << " commit " << static_cast<int>(options.commit_spans);
  text << " key " << options.capture_message_key << " body " << options.capture_body_size;
  text << " queue_time " << options.capture_queue_time << " server <" << options.server_address << ">";
  text << " flush " << options.close_flush_timeout.count() << " ";
  list(options.baggage_keys ? "baggage" : "all baggage", options.baggage_keys.value_or(Names{}));
  list("untraced", options.untraced_topics);
  list("unpropagated", options.unpropagated_topics);
  list("headers", options.captured_headers);
  list("excluded", options.excluded_headers);
  return text.str();
}

Options defaults() {
  Options options;
  options.poll_spans = PollSpans::off;
  options.commit_spans = CommitSpans::off;
  return options;
}

struct Good {
  const char* property;
  const char* value;
  void (*change)(Options& options);
};
constexpr Good good[] = {
    {"midtrace.kafka.mode", "off", [](Options& o) { o.mode = ModuleMode::off; }},
    {"midtrace.kafka.mode", "propagate", [](Options& o) { o.mode = ModuleMode::propagate; }},
    {"midtrace.kafka.mode", "on", [](Options& o) { o.mode = ModuleMode::on; }},
    {"midtrace.kafka.mode", " OFF ", [](Options& o) { o.mode = ModuleMode::off; }},
    {"midtrace.kafka.send.end", "delivery", [](Options& o) { o.end_send_at = SendEnd::delivery; }},
    {"midtrace.kafka.send.end", "enqueue", [](Options& o) { o.end_send_at = SendEnd::enqueue; }},
    {"midtrace.kafka.existing.context", "automatic",
     [](Options& o) { o.existing_context = ExistingContext::automatic; }},
    {"midtrace.kafka.existing.context", "keep",
     [](Options& o) { o.existing_context = ExistingContext::keep; }},
    {"midtrace.kafka.existing.context", "replace",
     [](Options& o) { o.existing_context = ExistingContext::replace; }},
    {"midtrace.kafka.incoming.context", "continue",
     [](Options& o) { o.incoming_context = IncomingContext::continue_trace; }},
    {"midtrace.kafka.incoming.context", "restart",
     [](Options& o) { o.incoming_context = IncomingContext::restart; }},
    {"midtrace.kafka.incoming.context", "ignore",
     [](Options& o) { o.incoming_context = IncomingContext::ignore; }},
    {"midtrace.kafka.baggage.keys", "tenant, region",
     [](Options& o) {
       o.baggage_keys = Names{"tenant", "region"};
     }},
    {"midtrace.kafka.baggage.keys", "", [](Options& o) { o.baggage_keys = Names{}; }},
    {"midtrace.kafka.untraced.topics", "audit,,Log*, ",
     [](Options& o) {
       o.untraced_topics = {"audit", "Log*"};
     }},
    {"midtrace.kafka.unpropagated.topics", "old-?", [](Options& o) { o.unpropagated_topics = {"old-?"}; }},
    {"midtrace.kafka.poll.spans", "true", [](Options& o) { o.poll_spans = PollSpans::on; }},
    {"midtrace.kafka.poll.spans", "false", [](Options&) {}},
    {"midtrace.kafka.commit.spans", "True", [](Options& o) { o.commit_spans = CommitSpans::on; }},
    {"midtrace.kafka.commit.spans", "false", [](Options&) {}},
    {"midtrace.kafka.headers", "x-*, Tenant",
     [](Options& o) {
       o.captured_headers = {"x-*", "Tenant"};
     }},
    {"midtrace.kafka.headers.excluded", "x-token", [](Options& o) { o.excluded_headers = {"x-token"}; }},
    {"midtrace.kafka.message.key", "false", [](Options& o) { o.capture_message_key = false; }},
    {"midtrace.kafka.message.key", "true", [](Options&) {}},
    {"midtrace.kafka.message.body.size", "true", [](Options& o) { o.capture_body_size = true; }},
    {"midtrace.kafka.message.body.size", "false", [](Options&) {}},
    {"midtrace.kafka.queue.time", "false", [](Options& o) { o.capture_queue_time = false; }},
    {"midtrace.kafka.queue.time", "true", [](Options&) {}},
    {"midtrace.kafka.server.address", " broker.example:9093 ",
     [](Options& o) { o.server_address = "broker.example:9093"; }},
    {"midtrace.kafka.close.flush.timeout.ms", "0",
     [](Options& o) { o.close_flush_timeout = std::chrono::milliseconds(0); }},
    {"midtrace.kafka.close.flush.timeout.ms", "2147483647",
     [](Options& o) { o.close_flush_timeout = std::chrono::milliseconds(2147483647); }},
};

TEST_F(KafkaPluginProperties, AreOptionsByOtherNames) {
  EXPECT_EQ(described(Properties().options()), described(defaults()));
  for (const Good& row : good) {
    SCOPED_TRACE(std::string(row.property) + "=" + row.value);
    Properties properties;
    EXPECT_TRUE(properties.set(row.property, row.value));
    Options expected = defaults();
    row.change(expected);
    EXPECT_EQ(described(properties.options()), described(expected));
  }
  EXPECT_THAT(messages(), IsEmpty());
}

struct Bad {
  const char* property;
  const char* value;
  const char* takes;
};
constexpr Bad bad[] = {
    {"midtrace.kafka.mode", "sideways", "off, propagate or on"},
    {"midtrace.kafka.mode", "", "off, propagate or on"},
    {"midtrace.kafka.send.end", "later", "delivery or enqueue"},
    {"midtrace.kafka.existing.context", "merge", "automatic, keep or replace"},
    {"midtrace.kafka.incoming.context", "continue_trace", "continue, restart or ignore"},
    {"midtrace.kafka.poll.spans", "1", "true or false"},
    {"midtrace.kafka.commit.spans", "yes", "true or false"},
    {"midtrace.kafka.message.key", "on", "true or false"},
    {"midtrace.kafka.message.body.size", "0", "true or false"},
    {"midtrace.kafka.queue.time", "true false", "true or false"},
    {"midtrace.kafka.close.flush.timeout.ms", "soon", "a whole number of milliseconds"},
    {"midtrace.kafka.close.flush.timeout.ms", "", "a whole number of milliseconds"},
    {"midtrace.kafka.close.flush.timeout.ms", "-1", "a whole number of milliseconds"},
    {"midtrace.kafka.close.flush.timeout.ms", "1.5", "a whole number of milliseconds"},
    {"midtrace.kafka.close.flush.timeout.ms", "500ms", "a whole number of milliseconds"},
    {"midtrace.kafka.close.flush.timeout.ms", "2147483648", "a whole number of milliseconds"},
    {"midtrace.kafka.close.flush.timeout.ms", "99999999999999", "a whole number of milliseconds"},
};

TEST_F(KafkaPluginProperties, ThatCannotBeUsedAreReportedCountedAndTheDefault) {
  for (const Bad& row : bad) {
    SCOPED_TRACE(std::string(row.property) + "=" + row.value);
    forget_messages();
    const std::uint64_t before = problems();
    Properties properties;
    EXPECT_TRUE(properties.set(row.property, row.value)) << "refusing it would stop the program";
    EXPECT_EQ(described(properties.options()), described(defaults()));
    EXPECT_EQ(problems() - before, 1U);
    EXPECT_THAT(messages(), ElementsAre(std::string(row.property) + " is \"" + row.value +
                                        "\", which is not " + row.takes + "; using the default"));
  }
}

TEST_F(KafkaPluginProperties, OneBadValueLeavesTheOthersAlone) {
  Properties properties;
  properties.set("midtrace.kafka.mode", "sideways");
  properties.set("midtrace.kafka.poll.spans", "true");
  properties.set("midtrace.kafka.queue.time", "perhaps");
  Options expected = defaults();
  expected.poll_spans = PollSpans::on;
  EXPECT_EQ(described(properties.options()), described(expected));
  EXPECT_THAT(messages(), SizeIs(2));
}

TEST_F(KafkaPluginProperties, ThatDoNotExistAreNamedWithoutTheirValueAndTheRealOnesListed) {
  Properties properties;
  EXPECT_TRUE(properties.set("midtrace.kafka.colour", "MARKER"));
  EXPECT_EQ(described(properties.options()), described(defaults()));
  ASSERT_THAT(messages(), SizeIs(1));
  EXPECT_THAT(messages()[0],
              AllOf(HasSubstr("\"midtrace.kafka.colour\" is no property"), Not(HasSubstr("MARKER"))));

  // The list is that of the table above, so that none is left untested.
  std::set<std::string> tested;
  for (const Good& row : good)
    tested.insert(row.property);
  std::set<std::string> listed;
  const std::string_view begin = "There are ";
  const std::size_t at = messages()[0].find(begin);
  ASSERT_NE(at, std::string::npos) << messages()[0];
  std::istringstream names(messages()[0].substr(at + begin.size()));
  for (std::string name; names >> name;) {
    while (name.ends_with(',') || name.ends_with('.'))
      name.pop_back();
    listed.insert(name);
  }
  EXPECT_EQ(listed, tested);
}

TEST_F(KafkaPluginProperties, OfOthersAreNotTaken) {
  Properties properties;
  for (const char* name :
       {"bootstrap.servers", "midtrace", "Midtrace.kafka.mode", "", "xmidtrace.kafka.mode"})
    EXPECT_FALSE(properties.set(name, "off")) << name;
  EXPECT_EQ(described(properties.options()), described(defaults()));
  EXPECT_THAT(messages(), IsEmpty());
}

TEST_F(KafkaPluginProperties, TheLastValueCountsAndNullTakesItBack) {
  Properties properties;
  properties.set("midtrace.kafka.mode", "off");
  properties.set("midtrace.kafka.mode", "propagate");
  EXPECT_EQ(properties.options().mode, ModuleMode::propagate);
  EXPECT_TRUE(properties.set("midtrace.kafka.mode", nullptr));
  EXPECT_TRUE(properties.set("midtrace.kafka.mode", nullptr)) << "also one that is not set";
  EXPECT_EQ(described(properties.options()), described(defaults()));
}

TEST_F(KafkaPluginProperties, ThatAreNoOptionsStandForVariables) {
  Properties properties;
  properties.set("midtrace.service.name", "shop");
  properties.set("midtrace.exporter.otlp.endpoint", "http://collector.example:4318");
  properties.set("midtrace.otlp.file", "");
  EXPECT_STREQ(properties.variable("OTEL_SERVICE_NAME"), "shop");
  EXPECT_STREQ(properties.variable("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://collector.example:4318");
  EXPECT_STREQ(properties.variable("MIDTRACE_OTLP_FILE"), "") << "set, though empty";
  EXPECT_EQ(properties.variable("OTEL_TRACES_EXPORTER"), nullptr);
  EXPECT_EQ(properties.variable("SERVICE_NAME"), nullptr);
  EXPECT_STREQ(properties.value("service.name"), "shop");
  EXPECT_EQ(properties.value("midtrace.service.name"), nullptr);
  EXPECT_EQ(described(properties.options()), described(defaults()));
  EXPECT_THAT(messages(), IsEmpty());
}

TEST_F(KafkaPluginProperties, VisitsThoseThatStandForVariablesOnly) {
  Properties properties;
  properties.set("midtrace.service.name", "shop");
  properties.set("midtrace.kafka.mode", "off");
  properties.set("midtrace.kafkaesque", "yes");
  std::vector<std::pair<std::string, std::string>> visited;
  properties.for_each_variable(
      [&](std::string_view name, std::string_view value) { visited.emplace_back(name, value); });
  EXPECT_THAT(visited, ElementsAre(std::pair<std::string, std::string>("kafkaesque", "yes"),
                                   std::pair<std::string, std::string>("service.name", "shop")));
}

}  // namespace
}  // namespace midtrace
