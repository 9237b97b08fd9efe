// What options and the connection add to publish spans, and what no span ever shows.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include <midtrace/export/exporters.h>

#include "live/amqp_headers.h"
#include "live/amqp_traced_fixture.h"
#include "support/child_process.h"

namespace midtrace::test {
namespace {

class AmqpOptions : public AmqpTraced {
 protected:
  testing::OwnedSpan last_span() {
    std::vector<testing::OwnedSpan> spans = recorder_->spans();
    EXPECT_FALSE(spans.empty());
    return spans.empty() ? testing::OwnedSpan{} : spans.back();
  }
};

// --- Headers, sizes, ids.

TEST_F(AmqpOptions, NamedHeadersAreCaptured) {
  TracedConnection amqp =
      connect_traced({.captured_headers = {"x-*", "tenant"}, .excluded_headers = {"x-secret*"}});
  const Message message({text_entry("x-region", "north"), text_entry("x-secret-token", "hunter2"),
                         text_entry("tenant", "blue"), text_entry("other", "unnamed"),
                         int_entry("x-number", 7), text_entry("x-binary", std::string_view("\0\1", 2)),
                         text_entry("x-region", "south")});
  for (const bool confirms : {false, true}) {
    if (confirms) {
      ASSERT_NE(amqp->confirm_select(1), nullptr);
    }
    ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
    if (confirms) {
      ASSERT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 1U);
    }
    EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  messaging.header.tenant = [blue]
  messaging.header.x-region = [north, south]
)");
    recorder_->clear();
  }
}

TEST_F(AmqpOptions, PropagationHeadersAreNeverCaptured) {
  TracedConnection amqp = connect_traced({.captured_headers = {"*"}});
  const Message message({text_entry("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                         text_entry("tracestate", "a=1"), text_entry("baggage", "secret=1"),
                         text_entry("b3", "0"), text_entry("uber-trace-id", "1:1:0:1"),
                         text_entry("uberctx-secret", "1"), text_entry("X-B3-TraceId", "1"),
                         text_entry("own", "1")});
  ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
  std::vector<std::string> captured;
  for (const testing::OwnedAttribute& attribute : last_span().attributes) {
    if (attribute.key.starts_with("messaging.header.")) captured.push_back(attribute.key);
  }
  EXPECT_EQ(captured, std::vector<std::string>{"messaging.header.own"});
}

TEST_F(AmqpOptions, TheBodysSizeIsSaidOnRequest) {
  for (const bool confirms : {false, true}) {
    TracedConnection amqp = connect_traced({.capture_body_size = true});
    if (confirms) {
      ASSERT_NE(amqp->confirm_select(1), nullptr);
    }
    ASSERT_EQ(amqp.publish("", "orders", std::string(300000, 'b')), AMQP_STATUS_OK);
    ASSERT_EQ(amqp.publish("", "orders", ""), AMQP_STATUS_OK);
    if (confirms) {
      ASSERT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 2U);
    }
    const std::vector<testing::OwnedSpan> spans = recorder_->spans();
    ASSERT_EQ(spans.size(), 2U);
    EXPECT_EQ(spans[0].attribute("messaging.message.body.size"), "300000");
    EXPECT_EQ(spans[1].attribute("messaging.message.body.size"), "0");
    recorder_->clear();
  }
}

TEST_F(AmqpOptions, IdsWaitForTheConfirmToo) {
  TracedConnection amqp = connect_traced();
  ASSERT_NE(amqp->confirm_select(1), nullptr);
  {
    // Gone, with its texts, before the span ends.
    const std::string id = "order-7-with-a-rather-long-name";
    const std::string correlation = "basket-3-with-a-rather-long-name";
    Message message;
    message.id(id).correlation(correlation);
    ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
  }
  ASSERT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 1U);
  EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  messaging.message.conversation_id = basket-3-with-a-rather-long-name
  messaging.message.id = order-7-with-a-rather-long-name
)");
}

// --- Hooks.

struct Seen {
  amqp::Operation operation;
  std::string destination;
  bool properties;
  std::string body;
  friend bool operator==(const Seen&, const Seen&) = default;
};

TEST_F(AmqpOptions, HooksSeeTheMessageAndMayDescribeTheSpan) {
  for (const bool confirms : {false, true}) {
    std::vector<Seen> starts;
    std::vector<Seen> finishes;
    const auto note = [](std::vector<Seen>& into, const amqp::Call& call) {
      into.push_back(
          {call.operation, std::string(call.destination), call.properties != nullptr, to_string(call.body)});
    };
    amqp::Options options;
    options.on_start = [&](Span& span, const amqp::Call& call) {
      note(starts, call);
      span.set("app.start", true);
    };
    options.on_finish = [&](Span& span, const amqp::Call& call) {
      note(finishes, call);
      span.set("app.finish", true);
    };
    TracedConnection amqp = connect_traced(options);
    if (confirms) {
      ASSERT_NE(amqp->confirm_select(1), nullptr);
    }
    Message message;
    message.id("7");
    ASSERT_EQ(amqp.publish("", "orders", "order", &message.properties), AMQP_STATUS_OK);
    EXPECT_EQ(starts, (std::vector<Seen>{{amqp::Operation::publish, "orders", true, "order"}}));
    if (confirms) {
      EXPECT_TRUE(finishes.empty());
      ASSERT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 1U);
    }
    EXPECT_EQ(finishes,
              (std::vector<Seen>{{amqp::Operation::publish, "orders", !confirms, confirms ? "" : "order"}}));
    EXPECT_EQ(brief(), R"(
publish orders PRODUCER
  app.finish = true
  app.start = true
  messaging.message.id = 7
)");
    recorder_->clear();
  }
}

TEST_F(AmqpOptions, HooksThatThrowAreCountedAndTheMessageGoesOut) {
  const auto plain = connect();
  plain->declare_queue("orders");
  ASSERT_TRUE(plain->consume("orders"));
  std::uint64_t failures = 0;
  for (const bool confirms : {false, true}) {
    const amqp::Hook thrower = [](Span&, const amqp::Call&) { throw std::runtime_error("a bug"); };
    TracedConnection amqp = connect_traced({.on_start = thrower, .on_finish = thrower});
    if (confirms) {
      ASSERT_NE(amqp->confirm_select(1), nullptr);
    }
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
    if (confirms) {
      ASSERT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 1U);
    }
    failures += 2;
    EXPECT_EQ(recorder_->counters()[Counter::hook_failures], failures);
    std::string why;
    const AmqpEnvelope envelope = plain->next(&why);
    ASSERT_TRUE(envelope) << why;
    EXPECT_EQ(headers_of(envelope).size(), 1U);
  }
  EXPECT_EQ(recorder_->spans().size(), 2U);
}

TEST_F(AmqpOptions, HooksAreNotCalledForUnsampledSpans) {
  start_recorder({.sampler = always_off_sampler()});
  int calls = 0;
  const amqp::Hook hook = [&](Span&, const amqp::Call&) { ++calls; };
  TracedConnection amqp = connect_traced({.on_start = hook, .on_finish = hook});
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(calls, 0);
}

// --- The connection.

TEST_F(AmqpOptions, TheDupOptInAddsTheOldNames) {
  ASSERT_EQ(setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http, messaging/dup", 1), 0);
  {
    std::vector<amqp_table_entry_t> entries{text_entry("connection_name", "checkout")};
    const amqp_table_t properties = table_of(entries);
    TracedConnection amqp = connect_traced({}, {.properties = &properties});
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  }
  unsetenv("OTEL_SEMCONV_STABILITY_OPT_IN");
  EXPECT_EQ(tree(), R"(
publish orders PRODUCER
  messaging.client.id = checkout
  messaging.client_id = checkout
  messaging.destination.name = orders
  messaging.operation = publish
  messaging.operation.name = publish
  messaging.operation.type = send
  messaging.rabbitmq.destination.routing_key = orders
  messaging.system = rabbitmq
  midtrace.amqp.vhost = VHOST
  network.peer.address = 127.0.0.1
  network.peer.port = PORT
  server.address = 127.0.0.1
  server.port = PORT
)");
}

TEST_F(AmqpOptions, TheConnectionsNameIsTheClientsId) {
  std::vector<amqp_table_entry_t> entries{text_entry("product", "shop"),
                                          text_entry("connection_name", "checkout")};
  const amqp_table_t properties = table_of(entries);
  {
    TracedConnection amqp = connect_traced({}, {.properties = &properties});
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
    EXPECT_EQ(last_span().attribute("messaging.client.id"), "checkout");
  }
  // One that is no text is no id.
  entries[1] = text_entry("connection_name", std::string_view("\0\1", 2));
  TracedConnection amqp = connect_traced({}, {.properties = &properties});
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(last_span().attribute("messaging.client.id"), "");
}

TEST_F(AmqpOptions, TheServersAddressIsWhatWasOpenedOrWhatIsSaid) {
  struct Case {
    std::string option;
    std::string address;
    std::string port;
  };
  const std::string port = std::to_string(server_->port());
  for (const Case& each :
       {Case{"", "localhost", port}, Case{"broker.example", "broker.example", "5672"},
        Case{"broker.example:1234", "broker.example", "1234"},
        Case{"[2001:db8::1]:1234", "2001:db8::1", "1234"}, Case{"2001:db8::1", "2001:db8::1", "5672"}}) {
    TracedConnection amqp({.server_address = each.option});
    timeval limit{60, 0};
    ASSERT_EQ(
        amqp->socket_open_noblock(amqp_tcp_socket_new(amqp->get()), "localhost", server_->port(), &limit),
        AMQP_STATUS_OK);
    ASSERT_EQ(to_string(amqp->login(virtual_host_.c_str(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
                                    RabbitmqServer::kUser, RabbitmqServer::kPassword)),
              "normal");
    ASSERT_NE(amqp->channel_open(1), nullptr);
    ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
    const testing::OwnedSpan span = last_span();
    EXPECT_EQ(span.attribute("server.address"), each.address) << each.option;
    EXPECT_EQ(span.attribute("server.port"), each.port) << each.option;
    EXPECT_EQ(span.attribute("network.peer.address"), "127.0.0.1") << each.option;
    EXPECT_EQ(span.attribute("network.peer.port"), port) << each.option;
    EXPECT_EQ(span.attribute("midtrace.amqp.vhost"), virtual_host_);
    EXPECT_EQ(span.attribute("midtrace.amqp.tls"), "");
  }
}

TEST_F(AmqpOptions, TheDefaultVirtualHostGoesWithoutSaying) {
  TracedConnection amqp({});
  ASSERT_EQ(amqp->socket_open(amqp_tcp_socket_new(amqp->get()), RabbitmqServer::kHost, server_->port()),
            AMQP_STATUS_OK);
  ASSERT_EQ(to_string(amqp->login("/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, RabbitmqServer::kUser,
                                  RabbitmqServer::kPassword)),
            "normal");
  ASSERT_NE(amqp->channel_open(1), nullptr);
  ASSERT_EQ(amqp.publish("", "nobody's"), AMQP_STATUS_OK);
  EXPECT_EQ(last_span().attribute("midtrace.amqp.vhost"), "");
}

TEST_F(AmqpOptions, TlsIsSaid) {
  TracedConnection amqp({});
  amqp_socket_t* const socket = amqp->ssl_socket_new(amqp_ssl_socket_new);
  ASSERT_NE(socket, nullptr);
  ASSERT_EQ(amqp_ssl_socket_set_cacert(socket, server_->authority_file().c_str()), AMQP_STATUS_OK);
  timeval limit{60, 0};
  ASSERT_EQ(amqp->socket_open_noblock(socket, "localhost", server_->tls_port(), &limit), AMQP_STATUS_OK);
  ASSERT_EQ(to_string(amqp->login(virtual_host_.c_str(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
                                  RabbitmqServer::kUser, RabbitmqServer::kPassword)),
            "normal");
  ASSERT_NE(amqp->channel_open(1), nullptr);
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(last_span().attribute("midtrace.amqp.tls"), "true");
  EXPECT_EQ(last_span().attribute("server.address"), "localhost");
  EXPECT_EQ(last_span().attribute("server.port"), std::to_string(server_->tls_port()));
  EXPECT_EQ(last_span().attribute("network.peer.address"), "127.0.0.1");
}

// Hands on, from a port of ::1 to one of 127.0.0.1, what comes and goes on one connection.
class SixToFour {
 public:
  explicit SixToFour(std::uint16_t target) : listener_(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    socklen_t size = sizeof address;
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 1) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      return;
    port_ = ntohs(address.sin6_port);
    thread_ = std::thread([this, target] { run(target); });
  }
  ~SixToFour() {
    if (listener_ >= 0) ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    if (listener_ >= 0) ::close(listener_);
  }
  SixToFour(const SixToFour&) = delete;
  SixToFour& operator=(const SixToFour&) = delete;

  // 0 where there is no IPv6.
  std::uint16_t port() const { return port_; }

 private:
  void run(std::uint16_t target) {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(target);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      while (hand_on(client, server)) {
      }
    }
    ::close(server);
    ::close(client);
  }
  // Until one of them ends.
  static bool hand_on(int client, int server) {
    std::array<pollfd, 2> both{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    if (::poll(both.data(), both.size(), -1) <= 0) return false;
    for (std::size_t side = 0; side < both.size(); ++side) {
      if (both[side].revents == 0) continue;
      std::array<char, 65536> buffer;
      const ssize_t count = ::recv(both[side].fd, buffer.data(), buffer.size(), 0);
      if (count <= 0) return false;
      for (ssize_t sent = 0; sent < count;) {
        const ssize_t step = ::send(both[1 - side].fd, buffer.data() + sent,
                                    static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
        if (step <= 0) return false;
        sent += step;
      }
    }
    return true;
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(AmqpOptions, APeerOfIpv6IsNamed) {
  const SixToFour six(server_->port());
  if (six.port() == 0) GTEST_SKIP() << "no IPv6 here";
  TracedConnection amqp({});
  timeval limit{60, 0};
  ASSERT_EQ(amqp->socket_open_noblock(amqp_tcp_socket_new(amqp->get()), "::1", six.port(), &limit),
            AMQP_STATUS_OK);
  ASSERT_EQ(to_string(amqp->login(virtual_host_.c_str(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
                                  RabbitmqServer::kUser, RabbitmqServer::kPassword)),
            "normal");
  ASSERT_NE(amqp->channel_open(1), nullptr);
  ASSERT_EQ(amqp.publish("", "orders"), AMQP_STATUS_OK);
  EXPECT_EQ(last_span().attribute("server.address"), "::1");
  EXPECT_EQ(last_span().attribute("server.port"), std::to_string(six.port()));
  EXPECT_EQ(last_span().attribute("network.peer.address"), "::1");
  EXPECT_EQ(last_span().attribute("network.peer.port"), std::to_string(six.port()));
}

// --- What no span shows.

TEST_F(AmqpOptions, BodiesHeaderValuesAndPasswordsAreNeverExported) {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "spans";
  start_recorder({.more_exporters = {otlp_file_exporter(file.string())}});
  {
    std::vector<amqp_table_entry_t> client{text_entry("product", "MARKER-product")};
    const amqp_table_t client_properties = table_of(client);
    {
      // A password that is refused.
      TracedConnection refused({.channel_spans = true});
      timeval limit{60, 0};
      ASSERT_EQ(refused->socket_open_noblock(amqp_tcp_socket_new(refused->get()), RabbitmqServer::kHost,
                                             server_->port(), &limit),
                AMQP_STATUS_OK);
      EXPECT_NE(to_string(refused->login(virtual_host_.c_str(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
                                         "MARKER-user", "MARKER-password")),
                "normal");
    }
    TracedConnection amqp = connect_traced({.channel_spans = true}, {.properties = &client_properties});
    std::vector<amqp_table_entry_t> arguments{text_entry("x-marker", "MARKER-argument")};
    ASSERT_EQ(amqp.declare_queue("orders", table_of(arguments)), "orders") << amqp.last_reply();
    ASSERT_NE(amqp->confirm_select(1), nullptr);
    ASSERT_TRUE(amqp.consume("orders"));
    Message message({text_entry("x-header", "MARKER-header"), text_entry("MARKER-name", "value")});
    message.properties._flags |= AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_TYPE_FLAG |
                                 AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG;
    message.properties.content_type = amqp_text("MARKER-content-type");
    message.properties.type = amqp_text("MARKER-type");
    message.properties.app_id = amqp_text("MARKER-app");
    message.properties.reply_to = amqp_text("MARKER-reply-to");
    Context ambient;
    ambient.baggage = Baggage().with("key", "MARKER-baggage");
    const Scope scope(ambient);
    ASSERT_EQ(amqp.publish("", "orders", "MARKER-body", &message.properties, true), AMQP_STATUS_OK);
    ASSERT_EQ(amqp.publish("", "nowhere", "MARKER-body", &message.properties, true), AMQP_STATUS_OK);
    EXPECT_EQ(amqp->wait_for_confirms(1, nullptr).acked, 2U);
    const AmqpEnvelope envelope = amqp.next();
    ASSERT_TRUE(envelope);
    {
      const auto processing = amqp::process(*amqp, *envelope);
      EXPECT_EQ(amqp->basic_nack(1, envelope->delivery_tag, 0, 0), AMQP_STATUS_OK);
    }
    EXPECT_EQ(amqp->queue_declare(1, amqp_text("missing"), 1, 0, 0, 0, amqp_empty_table), nullptr);
  }
  EXPECT_FALSE(recorder_->spans().empty());
  std::ifstream stream(file, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  EXPECT_NE(text.find("publish orders"), std::string::npos) << text;
  EXPECT_EQ(text.find("MARKER"), std::string::npos) << text;
}

}  // namespace
}  // namespace midtrace::test
