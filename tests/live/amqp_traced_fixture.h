// What the live tests of midtrace::amqp share: a Recorder, a virtual host of the test's own, and traced
// connections that are logged in.
//
// Connections that a test makes are destroyed before the Recorder, so that spans which end with a connection
// are in its tree.
#ifndef MIDTRACE_TESTS_LIVE_AMQP_TRACED_FIXTURE_H_
#define MIDTRACE_TESTS_LIVE_AMQP_TRACED_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <midtrace/amqp.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "live/amqp_fixture.h"
#include "live/recording.h"

namespace midtrace::test {

// A traced connection with channel 1 open. The tracing wrapper is used by `->`.
class TracedConnection {
 public:
  explicit TracedConnection(amqp::Options options)
      : connection_(std::make_unique<amqp::Connection>(amqp_new_connection(), std::move(options))) {}
  TracedConnection(TracedConnection&&) = default;
  ~TracedConnection() {
    if (connection_ != nullptr && connection_->get() != nullptr) connection_->destroy_connection();
  }

  amqp::Connection* operator->() const { return connection_.get(); }
  amqp::Connection& operator*() const { return *connection_; }

  std::string declare_queue(std::string_view name, amqp_table_t arguments = amqp_empty_table,
                            bool durable = false, bool exclusive = false) {
    const amqp_queue_declare_ok_t* ok =
        connection_->queue_declare(1, amqp_text(name), 0, durable ? 1 : 0, exclusive ? 1 : 0, 0, arguments);
    return ok != nullptr ? to_string(ok->queue) : std::string();
  }
  bool consume(std::string_view queue, bool no_ack = false) {
    return connection_->basic_consume(1, amqp_text(queue), amqp_empty_bytes, 0, no_ack ? 1 : 0, 0,
                                      amqp_empty_table) != nullptr;
  }
  int publish(std::string_view exchange, std::string_view routing_key, std::string_view body = "order",
              const amqp_basic_properties_t* properties = nullptr, bool mandatory = false) {
    return connection_->basic_publish(1, amqp_text(exchange), amqp_text(routing_key), mandatory ? 1 : 0, 0,
                                      properties, amqp_text(body));
  }
  // The next delivery; null with a failure when none comes.
  AmqpEnvelope next(std::chrono::seconds deadline = std::chrono::seconds(60)) {
    connection_->maybe_release_buffers();
    timeval limit{deadline.count(), 0};
    AmqpEnvelope envelope(new amqp_envelope_t{});
    const amqp_rpc_reply_t reply = connection_->consume_message(envelope.get(), &limit, 0);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return envelope;
    *envelope = amqp_envelope_t{};
    ADD_FAILURE() << "no delivery: " << to_string(reply);
    return nullptr;
  }
  std::string last_reply() const { return to_string(connection_->get_rpc_reply()); }

 private:
  std::unique_ptr<amqp::Connection> connection_;
};

class Traced : public Recording {
 protected:
  // The tree without what differs from run to run.
  std::string tree(testing::TreeOptions options = {}) {
    for (const char* varying : {"midtrace.messaging.queue_time", "midtrace.messaging.clock_skewed"})
      options.without.push_back(varying);
    options.masked["server.port"] = "PORT";
    options.masked["network.peer.port"] = "PORT";
    options.masked["midtrace.amqp.vhost"] = "VHOST";
    return recorder_->tree(options);
  }
  // The tree with what differs between the messages only; tree() of some tests shows the rest.
  std::string brief() {
    return recorder_->tree(
        {.without = {"messaging.system", "messaging.operation.name", "messaging.operation.type",
                     "messaging.client.id", "server.address", "server.port", "network.peer.address",
                     "network.peer.port", "midtrace.amqp.vhost", "messaging.destination.name",
                     "messaging.rabbitmq.destination.routing_key", "midtrace.messaging.queue_time",
                     "midtrace.messaging.clock_skewed"}});
  }
};

class AmqpTraced : public OnRabbitmq<Traced> {
 protected:
  TracedConnection connect_traced(amqp::Options options = {}, const AmqpLogin& login = {}) {
    TracedConnection connection(std::move(options));
    amqp_socket_t* const socket = amqp_tcp_socket_new(connection->get());
    timeval limit{60, 0};
    EXPECT_EQ(connection->socket_open_noblock(socket, RabbitmqServer::kHost, server_->port(), &limit),
              AMQP_STATUS_OK);
    const amqp_rpc_reply_t reply = connection->login_with_properties(
        virtual_host_.c_str(), 0, login.frame_max, login.heartbeat, login.properties, AMQP_SASL_METHOD_PLAIN,
        RabbitmqServer::kUser, RabbitmqServer::kPassword);
    EXPECT_EQ(to_string(reply), "normal");
    EXPECT_NE(connection->channel_open(1), nullptr);
    return connection;
  }
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_AMQP_TRACED_FIXTURE_H_
