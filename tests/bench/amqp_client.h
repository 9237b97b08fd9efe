// What the AMQP cases share: connections whose wire is in memory, and the ways to publish and to consume in
// blocks of many messages.
//
// One thread per client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/amqp.h>
#include <midtrace/propagation/propagator.h>

#include "support/amqp_wire.h"
#include "workload.h"

namespace midtrace::bench {

inline constexpr std::string_view amqp_sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
inline constexpr std::string_view amqp_unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

inline amqp_bytes_t amqp_view(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

// Properties with one header, which lives here.
class WithHeader {
 public:
  explicit WithHeader(amqp_basic_properties_t properties, std::string_view value) : properties_(properties) {
    entry_.key = amqp_view("traceparent");
    entry_.value.kind = AMQP_FIELD_KIND_UTF8;
    entry_.value.value.bytes = amqp_view(value);
    properties_._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties_.headers = {1, &entry_};
  }
  WithHeader(const WithHeader&) = delete;
  WithHeader& operator=(const WithHeader&) = delete;
  const amqp_basic_properties_t& get() const { return properties_; }

 private:
  amqp_table_entry_t entry_{};
  amqp_basic_properties_t properties_;
};

// A connection with channel 1 open, in confirm mode when asked, and consumers of `orders`: one that
// acknowledges, one that does not.
class AmqpClient {
 public:
  AmqpClient(bool traced, bool confirms);
  AmqpClient(const AmqpClient&) = delete;
  AmqpClient& operator=(const AmqpClient&) = delete;
  ~AmqpClient();

  bool ready() const { return ready_; }
  std::size_t failures() const { return failures_; }
  test::AmqpWire& wire() { return wire_; }

  // One message of 100 bytes with a content type and a delivery mode, as it is or with a header that somebody
  // adds by hand.
  void publish();
  void publish_with(std::string_view header);

  // `count` confirms into the wire, one for each of the oldest unconfirmed messages; then they are read.
  void put_confirms(std::size_t count, bool multiple = false);
  void read_confirms(std::size_t count);

  // `count` deliveries into the wire, with this header unless it is empty.
  void put_deliveries(std::size_t count, std::string_view header, bool acknowledged = true);
  // Reads one, works on it and acknowledges it. `by_hand` looks for the header.
  void consume_one(bool by_hand);
  // Reads `size` of them, works on all as one batch, and acknowledges them with one multiple ack.
  void consume_batch(std::size_t size, bool by_hand);
  // Reads one of those that are not to be acknowledged, and looks for the header at most.
  void consume_unacknowledged(bool by_hand);
  // Reads without acknowledging, and acknowledges later; the number of those that stay grows.
  void consume_and_leave();

 private:
  bool connect(bool confirms);
  bool add_consumer(std::string_view tag, bool no_ack);
  bool next(amqp_envelope_t& envelope);
  void ack(std::uint64_t tag, bool multiple);
  void release();
  void look_by_hand(const amqp_envelope_t& envelope);

  test::AmqpWire wire_;
  amqp_connection_state_t state_;
  std::optional<amqp::Connection> traced_;
  amqp_basic_properties_t properties_{};
  char payload_[100] = {};
  std::vector<amqp_envelope_t> batch_;
  std::uint64_t confirmed_ = 0;  // the last sequence number of which a confirm was put into the wire
  std::uint64_t delivered_ = 0;
  std::uint64_t read_since_release_ = 0;
  bool ready_ = false;
  std::size_t failures_ = 0;
};

}  // namespace midtrace::bench
