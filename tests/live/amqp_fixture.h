// What the live RabbitMQ tests stand on: the shared node with a virtual host of the test's own, and plain
// connections of rabbitmq-c. Where no node can be had, the tests are skipped, or fail when it is required.
#ifndef MIDTRACE_TESTS_LIVE_AMQP_FIXTURE_H_
#define MIDTRACE_TESTS_LIVE_AMQP_FIXTURE_H_

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "live/amqp_peer.h"
#include "support/rabbitmq_node.h"

namespace midtrace::test {

// A view: the text must live as long as it is used.
inline amqp_bytes_t amqp_text(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }
inline std::string to_string(const amqp_bytes_t& bytes) {
  return bytes.len == 0 ? std::string() : std::string(static_cast<const char*>(bytes.bytes), bytes.len);
}

// What a reply says, in one line: "normal", the library's error, or "404 NOT_FOUND - no queue 'x' in vhost
// 'y'".
inline std::string to_string(const amqp_rpc_reply_t& reply) {
  switch (reply.reply_type) {
    case AMQP_RESPONSE_NONE:
      return "no reply";
    case AMQP_RESPONSE_NORMAL:
      return "normal";
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
      return amqp_error_string2(reply.library_error);
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const auto* close = static_cast<const amqp_channel_close_t*>(reply.reply.decoded);
        return std::to_string(close->reply_code) + ' ' + to_string(close->reply_text);
      }
      if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const auto* close = static_cast<const amqp_connection_close_t*>(reply.reply.decoded);
        return std::to_string(close->reply_code) + ' ' + to_string(close->reply_text);
      }
      return amqp_method_name(reply.reply.id) != nullptr ? amqp_method_name(reply.reply.id)
                                                         : "unknown method";
  }
  return "unknown reply";
}

// Free it with amqp_destroy_envelope.
struct DestroyEnvelope {
  void operator()(amqp_envelope_t* envelope) const {
    amqp_destroy_envelope(envelope);
    delete envelope;
  }
};
using AmqpEnvelope = std::unique_ptr<amqp_envelope_t, DestroyEnvelope>;

struct AmqpLogin {
  bool tls = false;
  int frame_max = 131072;
  int heartbeat = 0;
  const amqp_table_t* properties = nullptr;  // of the client; null: rabbitmq-c's own
};

// A connection that is logged in, with channel 1 open. Reading and publishing is rabbitmq-c's business, by
// state(); the few functions here are what nearly every test needs.
class AmqpConnection {
 public:
  static std::unique_ptr<AmqpConnection> open(const RabbitmqServer& server, const std::string& virtual_host,
                                              const AmqpLogin& login, std::string* why_not) {
    std::unique_ptr<AmqpConnection> connection(new AmqpConnection);
    const std::string why = connection->connect(server, virtual_host, login);
    if (why.empty()) return connection;
    if (why_not != nullptr) *why_not = why;
    return nullptr;
  }

  ~AmqpConnection() {
    if (state_ != nullptr) amqp_destroy_connection(state_);
  }
  AmqpConnection(const AmqpConnection&) = delete;
  AmqpConnection& operator=(const AmqpConnection&) = delete;

  amqp_connection_state_t state() const { return state_; }

  // The port of this end, by which the server can be told to close just this connection.
  std::uint16_t local_port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(amqp_get_sockfd(state_), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

  // "normal", or what went wrong with the last synchronous call.
  std::string last_reply() const { return to_string(amqp_get_rpc_reply(state_)); }

  // Declares a queue (an empty name: the server chooses one) and returns its name, empty when it was refused.
  std::string declare_queue(std::string_view name, amqp_table_t arguments = amqp_empty_table,
                            bool durable = false) {
    const amqp_queue_declare_ok_t* ok =
        amqp_queue_declare(state_, 1, amqp_text(name), 0, durable ? 1 : 0, 0, 0, arguments);
    return ok != nullptr ? to_string(ok->queue) : std::string();
  }

  // An amqp_status_enum.
  int publish(std::string_view exchange, std::string_view routing_key, std::string_view body,
              const amqp_basic_properties_t* properties = nullptr) {
    return amqp_basic_publish(state_, 1, amqp_text(exchange), amqp_text(routing_key), 0, 0, properties,
                              amqp_text(body));
  }

  // Consumes with automatic acknowledgement.
  bool consume(std::string_view queue) {
    return amqp_basic_consume(state_, 1, amqp_text(queue), amqp_empty_bytes, 0, 1, 0, amqp_empty_table) !=
           nullptr;
  }

  // The next delivery, or null with the reason in `why_not`.
  AmqpEnvelope next(std::string* why_not, std::chrono::seconds deadline = std::chrono::seconds(60)) {
    amqp_maybe_release_buffers(state_);
    timeval limit{deadline.count(), 0};
    AmqpEnvelope envelope(new amqp_envelope_t{});
    const amqp_rpc_reply_t reply = amqp_consume_message(state_, envelope.get(), &limit, 0);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return envelope;
    if (why_not != nullptr) *why_not = to_string(reply);
    *envelope = amqp_envelope_t{};  // freed already
    return nullptr;
  }

 private:
  AmqpConnection() : state_(amqp_new_connection()) {}

  std::string connect(const RabbitmqServer& server, const std::string& virtual_host, const AmqpLogin& login) {
    if (state_ == nullptr) return "amqp_new_connection failed";
    amqp_socket_t* socket = login.tls ? amqp_ssl_socket_new(state_) : amqp_tcp_socket_new(state_);
    if (socket == nullptr) return "no socket";
    if (login.tls) {
      const int status = amqp_ssl_socket_set_cacert(socket, server.authority_file().c_str());
      if (status != AMQP_STATUS_OK) return amqp_error_string2(status);
    }
    timeval limit{60, 0};
    // rabbitmq-c 0.11 does not find addresses in certificates.
    const int status = amqp_socket_open_noblock(socket, login.tls ? "localhost" : RabbitmqServer::kHost,
                                                login.tls ? server.tls_port() : server.port(), &limit);
    if (status != AMQP_STATUS_OK) return amqp_error_string2(status);
    const amqp_rpc_reply_t reply =
        amqp_login_with_properties(state_, virtual_host.c_str(), 0, login.frame_max, login.heartbeat,
                                   login.properties != nullptr ? login.properties : &amqp_empty_table,
                                   AMQP_SASL_METHOD_PLAIN, RabbitmqServer::kUser, RabbitmqServer::kPassword);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) return to_string(reply);
    if (amqp_channel_open(state_, 1) == nullptr) return last_reply();
    return {};
  }

  amqp_connection_state_t state_;
};

// `Base` is the fixture to stand on: testing::Test, or one that traces as well.
template <class Base>
class OnRabbitmq : public Base {
 protected:
  void SetUp() override {
    std::string why;
    server_ = shared_rabbitmq(&why);
    if (server_ != nullptr) {
      static std::atomic<unsigned> count{0};
      const std::string name =
          "test-" + std::to_string(::getpid()) + '-' + std::to_string(count.fetch_add(1));
      ASSERT_TRUE(server_->create_virtual_host(name, &why)) << why;
      virtual_host_ = name;
      Base::SetUp();
      return;
    }
    ASSERT_FALSE(rabbitmq_required()) << "real RabbitMQ server: " << why;
    report_rabbitmq_not_run(why);
    GTEST_SKIP() << "the real RabbitMQ server is not here: " << why;
  }

  void TearDown() override {
    Base::TearDown();
    if (virtual_host_.empty()) return;
    if (this->HasFailure()) std::printf("%s", server_->log_tail().c_str());
    std::string why;
    EXPECT_TRUE(server_->delete_virtual_host(virtual_host_, &why)) << why;
  }

  // To the test's virtual host; never null.
  std::unique_ptr<AmqpConnection> connect(const AmqpLogin& login = {}) {
    std::string why;
    std::unique_ptr<AmqpConnection> connection = AmqpConnection::open(*server_, virtual_host_, login, &why);
    if (!connection) throw std::runtime_error("no connection to RabbitMQ: " + why);
    return connection;
  }

  AmqpPeer peer() const { return {*server_, virtual_host_}; }

  const RabbitmqServer* server_ = nullptr;
  std::string virtual_host_;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_AMQP_FIXTURE_H_
