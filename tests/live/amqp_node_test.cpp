// The real RabbitMQ node of the test support works: what the live tests of the amqp module stand on, checked
// without the module. Plain clients only, so that a failure here means the server or its set-up, never the
// tracing.
#include <gtest/gtest.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "live/amqp_fixture.h"
#include "live/amqp_peer.h"
#include "support/child_process.h"
#include "support/rabbitmq_node.h"

namespace midtrace::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

bool becomes_true(const std::function<bool()>& condition, seconds limit = seconds(60)) {
  const auto deadline = steady_clock::now() + limit;
  while (!condition()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return true;
}

class AmqpNode : public OnRabbitmq<testing::Test> {};

TEST_F(AmqpNode, CarriesAMessage) {
  EXPECT_TRUE(server_->answers());
  const auto connection = connect();
  const std::string queue = connection->declare_queue("first");
  ASSERT_EQ(queue, "first") << connection->last_reply();
  ASSERT_TRUE(connection->consume(queue)) << connection->last_reply();
  ASSERT_EQ(connection->publish("", queue, "hello"), AMQP_STATUS_OK);
  std::string why;
  const AmqpEnvelope envelope = connection->next(&why);
  ASSERT_TRUE(envelope) << why;
  EXPECT_EQ(to_string(envelope->message.body), "hello");
  EXPECT_EQ(to_string(envelope->routing_key), "first");
}

TEST_F(AmqpNode, SpeaksTls) {
  AmqpLogin login;
  login.tls = true;
  const auto connection = connect(login);
  EXPECT_EQ(connection->declare_queue("secret"), "secret") << connection->last_reply();
}

TEST_F(AmqpNode, GivesEachTestAVirtualHostOfItsOwn) {
  std::string why;
  const std::string other = virtual_host_ + "-other";
  ASSERT_TRUE(server_->create_virtual_host(other, &why)) << why;
  const auto here = connect();
  ASSERT_EQ(here->declare_queue("same"), "same");
  const auto there = AmqpConnection::open(*server_, other, {}, &why);
  ASSERT_TRUE(there) << why;
  EXPECT_EQ(amqp_queue_declare(there->state(), 1, amqp_text("same"), 1, 0, 0, 0, amqp_empty_table), nullptr);
  EXPECT_NE(there->last_reply().find("404 NOT_FOUND - no queue 'same' in vhost '" + other + "'"),
            std::string::npos)
      << there->last_reply();
  EXPECT_TRUE(server_->delete_virtual_host(other, &why)) << why;
  EXPECT_EQ(AmqpConnection::open(*server_, other, {}, &why), nullptr);
  EXPECT_FALSE(server_->create_virtual_host("a\">>", &why));
}

TEST_F(AmqpNode, ClosesOneConnectionAndNoOther) {
  const auto unlucky = connect();
  const auto lucky = connect();
  std::string why;
  EXPECT_EQ(server_->close_connection_from(unlucky->local_port(), &why), 1) << why;
  amqp_frame_t frame;
  timeval limit{60, 0};
  ASSERT_EQ(amqp_simple_wait_frame_noblock(unlucky->state(), &frame, &limit), AMQP_STATUS_OK);
  ASSERT_EQ(frame.frame_type, AMQP_FRAME_METHOD);
  ASSERT_EQ(frame.payload.method.id, static_cast<amqp_method_number_t>(AMQP_CONNECTION_CLOSE_METHOD));
  EXPECT_EQ(static_cast<amqp_connection_close_t*>(frame.payload.method.decoded)->reply_code, 320);
  EXPECT_EQ(lucky->declare_queue("alive"), "alive") << lucky->last_reply();
  EXPECT_EQ(server_->close_connections(virtual_host_, &why), 1) << why;
}

TEST_F(AmqpNode, SaysWhatAnExpressionFailedWith) {
  std::string why;
  EXPECT_EQ(server_->evaluate("1 + 2", &why), "3") << why;
  EXPECT_EQ(server_->evaluate("erlang:error(nonsense)", &why), std::nullopt);
  EXPECT_NE(why.find("nonsense"), std::string::npos) << why;
}

// [name, kind, value]; the kinds are those of RabbitMQ, each at an edge of its range.
constexpr const char* kEveryKind = R"([
  ["bool", "t", true], ["int8", "b", -128],
  ["uint8", "B", 255], ["int16", "s", -32768], ["uint16", "u", 65535],
  ["int32", "I", -2147483648], ["uint32", "i", 4294967295], ["int64", "l", -9223372036854775808],
  ["float", "f", 0.5],
  ["double", "d", 0.1], ["decimal", "D", [2, 314]], ["timestamp", "T", 1700000000],
  ["void", "V", null], ["text", "S", "grün"],
  ["binary text", "S", {"hex": "00ff"}], ["bytes", "x", {"hex": "00ff00"}],
  ["table", "F", [["inner", "S", "a"], ["deeper", "F", [["n", "I", 1]]]]],
  ["array", "A", [["I", 1], ["S", "b"], ["F", [["x", "x", {"hex": "01"}]]]]]
])";

TEST_F(AmqpNode, RoundTripsEveryKindOfHeaderThroughPython) {
  std::string why;
  if (!amqp_peers_are_installed(&why)) {
    ASSERT_FALSE(rabbitmq_required()) << why;
    GTEST_SKIP() << why;
  }
  const auto connection = connect();
  ASSERT_EQ(connection->declare_queue("headers"), "headers") << connection->last_reply();
  ASSERT_TRUE(peer().python({"publish", "", "headers", "body", kEveryKind}, &why)) << why;
  const auto text = peer().python({"get", "headers"}, &why);
  ASSERT_TRUE(text) << why;
  const json message = json::parse(*text);
  EXPECT_EQ(message["headers"], json::parse(kEveryKind));
  EXPECT_EQ(message["body"], "body");
}

TEST_F(AmqpNode, PythonReadsTheHeadersOfRabbitmqC) {
  std::string why;
  if (!amqp_peers_are_installed(&why)) {
    ASSERT_FALSE(rabbitmq_required()) << why;
    GTEST_SKIP() << why;
  }
  const auto connection = connect();
  ASSERT_EQ(connection->declare_queue("c"), "c") << connection->last_reply();
  std::array<amqp_table_entry_t, 2> entries{};
  entries[0].key = amqp_text("traceparent");
  entries[0].value.kind = AMQP_FIELD_KIND_UTF8;
  entries[0].value.value.bytes = amqp_text("00-1-2-01");
  entries[1].key = amqp_text("short");
  entries[1].value.kind = AMQP_FIELD_KIND_I16;
  entries[1].value.value.i16 = -7;
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_HEADERS_FLAG;
  properties.headers = {static_cast<int>(entries.size()), entries.data()};
  ASSERT_EQ(connection->publish("", "c", "body", &properties), AMQP_STATUS_OK);
  const auto text = peer().python({"get", "c"}, &why);
  ASSERT_TRUE(text) << why;
  EXPECT_EQ(json::parse(*text)["headers"],
            json::parse(R"([["traceparent", "S", "00-1-2-01"], ["short", "s", -7]])"));
}

TEST_F(AmqpNode, TalksToTheToolsOfAmqpTools) {
  std::string why;
  if (!amqp_peers_are_installed(&why)) {
    ASSERT_FALSE(rabbitmq_required()) << why;
    GTEST_SKIP() << why;
  }
  const auto connection = connect();
  ASSERT_EQ(connection->declare_queue("tools"), "tools") << connection->last_reply();
  ASSERT_TRUE(peer().tool({"amqp-publish", "-r", "tools", "-H", "k: v", "-b", "from a tool"}, &why)) << why;
  EXPECT_EQ(peer().tool({"amqp-get", "-q", "tools"}, &why), "from a tool") << why;
  EXPECT_EQ(peer().tool({"amqp-get", "-q", "no such queue"}, &why), std::nullopt);
}

// A test that kills a node has one of its own, which runs beside the shared one.
class AmqpOwnNode : public AmqpNode {
 protected:
  void SetUp() override {
    AmqpNode::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    std::string why;
    node_ = RabbitmqNode::start(&why);
    ASSERT_TRUE(node_) << why;
  }

  void TearDown() override {
    if (node_ && HasFailure()) std::printf("own node:\n%s", node_->server().log_tail().c_str());
    AmqpNode::TearDown();
  }

  std::unique_ptr<AmqpConnection> connect_to_own() {
    std::string why;
    auto connection = AmqpConnection::open(node_->server(), "/", {}, &why);
    EXPECT_TRUE(connection) << why;
    return connection;
  }

  std::unique_ptr<RabbitmqNode> node_;
};

TEST_F(AmqpOwnNode, IsKilledAndComesBackWithWhatIsDurable) {
  EXPECT_NE(node_->server().port(), server_->port());
  const auto shared = connect();
  {
    const auto connection = connect_to_own();
    ASSERT_TRUE(connection);
    ASSERT_EQ(connection->declare_queue("durable", amqp_empty_table, true), "durable");
    ASSERT_EQ(amqp_confirm_select(connection->state(), 1) != nullptr, true);
    amqp_basic_properties_t persistent{};
    persistent._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    persistent.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    ASSERT_EQ(connection->publish("", "durable", "kept", &persistent), AMQP_STATUS_OK);
    amqp_frame_t frame;
    timeval limit{60, 0};
    ASSERT_EQ(amqp_simple_wait_frame_noblock(connection->state(), &frame, &limit), AMQP_STATUS_OK);
    ASSERT_EQ(frame.payload.method.id, static_cast<amqp_method_number_t>(AMQP_BASIC_ACK_METHOD));
    std::string why;
    ASSERT_TRUE(node_->server().write_metadata(&why)) << why;

    node_->stop(RabbitmqNode::StopMode::kKill);
    EXPECT_FALSE(node_->running());
    EXPECT_FALSE(node_->server().answers());
    // Closed or reset, as the kernel sees it.
    EXPECT_NE(amqp_simple_wait_frame_noblock(connection->state(), &frame, &limit), AMQP_STATUS_OK);
  }
  EXPECT_EQ(shared->declare_queue("unharmed"), "unharmed") << shared->last_reply();
  std::string why;
  ASSERT_TRUE(node_->restart(RabbitmqNode::StopMode::kKill, &why)) << why;
  const auto connection = connect_to_own();
  ASSERT_TRUE(connection);
  ASSERT_TRUE(connection->consume("durable")) << connection->last_reply();
  const AmqpEnvelope envelope = connection->next(&why);
  ASSERT_TRUE(envelope) << why;
  EXPECT_EQ(to_string(envelope->message.body), "kept");
}

TEST_F(AmqpOwnNode, StopsAndStartsItsApplication) {
  std::string why;
  ASSERT_TRUE(node_->server().stop_application(&why)) << why;
  EXPECT_TRUE(node_->running());
  EXPECT_FALSE(node_->server().answers());
  ASSERT_TRUE(node_->server().start_application(&why)) << why;
  EXPECT_TRUE(node_->server().answers());
}

TEST_F(AmqpOwnNode, LeavesNothingBehind) {
  const std::filesystem::path directory = node_->server().address().directory;
  EXPECT_GE(processes_mentioning(directory.string()).size(), 2U) << "the server and its port mapper";
  node_.reset();
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_TRUE(becomes_true([&] { return processes_mentioning(directory.string()).empty(); }))
      << "helpers of the virtual machine end by themselves when it is gone";
}

// The fixture of a CTest run: a process that owns the node, and that CTest or the test machine may kill.
class AmqpSharedNode : public AmqpNode {
 protected:
  void SetUp() override {
    AmqpNode::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ProcessOptions options;
    options.arguments = {"/bin/sh", "-c", R"("$0" start && exec sleep 1000)", MIDTRACE_TEST_RABBITMQ_FIXTURE};
    options.environment = {"MIDTRACE_TEST_RABBITMQ_STATE=" + directory_.path().string()};
    options.log_file = directory_.path() / "output";
    std::string why;
    run_ = ChildProcess::start(options, &why);
    ASSERT_TRUE(run_) << why;
    const std::filesystem::path file = directory_.path() / ("run-" + std::to_string(run_->pid()));
    std::string kind;
    ASSERT_TRUE(becomes_true(
        [&] {
          std::ifstream stream(file);
          int port = 0;
          return !run_->running() ||
                 (stream >> kind >> owner_ >> port >> port >> port >> port >> home_ && !stream.fail());
        },
        seconds(200)));
    ASSERT_EQ(kind, "node") << last_lines(options.log_file, 10);
    EXPECT_GE(processes_mentioning(home_).size(), 2U) << "the server and its port mapper";
  }

  bool nothing_is_left() {
    return becomes_true([this] { return processes_mentioning(home_).empty(); });
  }

  TemporaryDirectory directory_;
  std::unique_ptr<ChildProcess> run_;
  pid_t owner_ = 0;
  std::string home_;
};

TEST_F(AmqpSharedNode, EndsWithTheTestRun) {
  run_->stop(seconds(10), SIGKILL);
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(AmqpSharedNode, EndsWithItsOwner) {
  ASSERT_EQ(::kill(owner_, SIGKILL), 0);
  EXPECT_TRUE(nothing_is_left());
}

}  // namespace
}  // namespace midtrace::test
