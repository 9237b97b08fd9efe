// AmqpWire: the other end of a rabbitmq-c connection, in memory, for what is measured or counted to the last
// system call.
//
// rabbitmq-c encodes, decodes and keeps everything as with a broker, but what it sends is dropped and
// counted, and what it receives is what the test has put into the wire before. A program that has
// amqp_wire.cpp among its own sources has its own send() and recv(), which go to the kernel for every
// descriptor but a wire's. The descriptor is a connected TCP socket on the loopback address, so the rest of
// the C library takes it for what it is. A client that reads more than there is waits without end: give it a
// timeout.
//
// Not for programs with a sanitizer, which has a send() and recv() of its own. Different wires may be used by
// different threads.
#ifndef MIDTRACE_TESTS_SUPPORT_AMQP_WIRE_H_
#define MIDTRACE_TESTS_SUPPORT_AMQP_WIRE_H_

#include <amqp.h>
#include <amqp_framing.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace midtrace::test {

class AmqpWire {
 public:
  AmqpWire();
  // After the connection is destroyed.
  ~AmqpWire();
  AmqpWire(const AmqpWire&) = delete;
  AmqpWire& operator=(const AmqpWire&) = delete;

  // Puts the connection on this wire; it closes the descriptor. False when there was none.
  bool carry(amqp_connection_state_t state);

  // --- What the client reads next, in the order of the calls.

  // What a broker says to a login, so that amqp_login() finds its answers.
  void put_login();
  // `decoded` is the method's structure of amqp_framing.h.
  void put_method(amqp_channel_t channel, amqp_method_number_t method, const void* decoded);
  void put_content(amqp_channel_t channel, const amqp_basic_properties_t& properties, std::string_view body);
  void put_delivery(amqp_channel_t channel, std::string_view consumer, std::uint64_t tag,
                    std::string_view exchange, std::string_view routing_key,
                    const amqp_basic_properties_t& properties, std::string_view body);
  void put_confirm(amqp_channel_t channel, std::uint64_t tag, bool multiple);

  // Bytes that the client has not read yet.
  std::size_t unread() const { return incoming_.size() - read_; }
  std::uint64_t sent_bytes() const { return sent_bytes_; }

  // For send() and recv().
  std::size_t take(const void* data, std::size_t size);
  std::size_t give(void* data, std::size_t size);

 private:
  void put_frame(std::uint8_t type, amqp_channel_t channel, std::string_view payload);

  int descriptor_ = -1;
  int peer_ = -1;
  bool carried_ = false;
  std::string incoming_;
  std::size_t read_ = 0;
  std::uint64_t sent_bytes_ = 0;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_AMQP_WIRE_H_
