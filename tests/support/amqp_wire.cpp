#include "support/amqp_wire.h"

#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace midtrace::test {

namespace {

// By descriptor.
constinit std::array<std::atomic<AmqpWire*>, 4096> wires{};

AmqpWire* wire_of(int descriptor) {
  if (descriptor < 0 || static_cast<std::size_t>(descriptor) >= wires.size()) return nullptr;
  return wires[static_cast<std::size_t>(descriptor)].load(std::memory_order_relaxed);
}

// Two ends of a connection on the loopback address.
bool connect_ends(int& left, int& right) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, any, size) == 0 && ::listen(listener, 1) == 0 &&
      ::getsockname(listener, any, &size) == 0) {
    left = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(left, any, size) == 0) right = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  }
  ::close(listener);
  return left >= 0 && right >= 0;
}

void append_number(std::string& to, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    to += static_cast<char>((value >> shift) & 0xFFU);
}

// rabbitmq-c takes no pointers to const here.
amqp_bytes_t view(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

}  // namespace

AmqpWire::AmqpWire() {
  if (connect_ends(descriptor_, peer_) && static_cast<std::size_t>(descriptor_) < wires.size())
    wires[static_cast<std::size_t>(descriptor_)].store(this);
}

AmqpWire::~AmqpWire() {
  if (descriptor_ >= 0 && static_cast<std::size_t>(descriptor_) < wires.size())
    wires[static_cast<std::size_t>(descriptor_)].store(nullptr);
  if (!carried_) ::close(descriptor_);
  ::close(peer_);
}

bool AmqpWire::carry(amqp_connection_state_t state) {
  if (wire_of(descriptor_) != this) return false;
  amqp_socket_t* const socket = amqp_tcp_socket_new(state);
  if (socket == nullptr) return false;
  amqp_tcp_socket_set_sockfd(socket, descriptor_);
  carried_ = true;
  return true;
}

void AmqpWire::put_login() {
  amqp_connection_start_t start{};
  start.version_major = 0;
  start.version_minor = 9;
  start.mechanisms = view("PLAIN");
  start.locales = view("en_US");
  put_method(0, AMQP_CONNECTION_START_METHOD, &start);
  amqp_connection_tune_t tune{};
  tune.channel_max = 2047;
  tune.frame_max = 131072;
  put_method(0, AMQP_CONNECTION_TUNE_METHOD, &tune);
  amqp_connection_open_ok_t opened{};
  put_method(0, AMQP_CONNECTION_OPEN_OK_METHOD, &opened);
}

void AmqpWire::put_method(amqp_channel_t channel, amqp_method_number_t method, const void* decoded) {
  std::array<char, 4096> buffer{};
  const int size =
      amqp_encode_method(method, const_cast<void*>(decoded), amqp_bytes_t{buffer.size(), buffer.data()});
  std::string payload;
  append_number(payload, method, 4);
  payload.append(buffer.data(), static_cast<std::size_t>(std::max(size, 0)));
  put_frame(AMQP_FRAME_METHOD, channel, payload);
}

void AmqpWire::put_content(amqp_channel_t channel, const amqp_basic_properties_t& properties,
                           std::string_view body) {
  std::array<char, 4096> buffer{};
  amqp_basic_properties_t copy = properties;
  const int size =
      amqp_encode_properties(AMQP_BASIC_CLASS, &copy, amqp_bytes_t{buffer.size(), buffer.data()});
  std::string payload;
  append_number(payload, AMQP_BASIC_CLASS, 2);
  append_number(payload, 0, 2);
  append_number(payload, body.size(), 8);
  payload.append(buffer.data(), static_cast<std::size_t>(std::max(size, 0)));
  put_frame(AMQP_FRAME_HEADER, channel, payload);
  if (!body.empty()) put_frame(AMQP_FRAME_BODY, channel, body);
}

void AmqpWire::put_delivery(amqp_channel_t channel, std::string_view consumer, std::uint64_t tag,
                            std::string_view exchange, std::string_view routing_key,
                            const amqp_basic_properties_t& properties, std::string_view body) {
  amqp_basic_deliver_t deliver{};
  deliver.consumer_tag = view(consumer);
  deliver.delivery_tag = tag;
  deliver.exchange = view(exchange);
  deliver.routing_key = view(routing_key);
  put_method(channel, AMQP_BASIC_DELIVER_METHOD, &deliver);
  put_content(channel, properties, body);
}

void AmqpWire::put_confirm(amqp_channel_t channel, std::uint64_t tag, bool multiple) {
  amqp_basic_ack_t ack{};
  ack.delivery_tag = tag;
  ack.multiple = multiple ? 1 : 0;
  put_method(channel, AMQP_BASIC_ACK_METHOD, &ack);
}

void AmqpWire::put_frame(std::uint8_t type, amqp_channel_t channel, std::string_view payload) {
  if (read_ == incoming_.size()) {
    incoming_.clear();
    read_ = 0;
  }
  append_number(incoming_, type, 1);
  append_number(incoming_, channel, 2);
  append_number(incoming_, payload.size(), 4);
  incoming_.append(payload);
  append_number(incoming_, AMQP_FRAME_END, 1);
}

std::size_t AmqpWire::take(const void*, std::size_t size) {
  sent_bytes_ += size;
  return size;
}

std::size_t AmqpWire::give(void* data, std::size_t size) {
  const std::size_t given = std::min(size, unread());
  std::memcpy(data, incoming_.data() + read_, given);
  read_ += given;
  return given;
}

}  // namespace midtrace::test

// The C library's own names. rabbitmq-c, a shared library, finds the program's first.
extern "C" {

[[gnu::visibility("default")]] ssize_t send(int descriptor, const void* data, std::size_t size, int flags) {
  if (midtrace::test::AmqpWire* wire = midtrace::test::wire_of(descriptor))
    return static_cast<ssize_t>(wire->take(data, size));
  return ::syscall(SYS_sendto, descriptor, data, size, flags, nullptr, 0);
}

[[gnu::visibility("default")]] ssize_t recv(int descriptor, void* data, std::size_t size, int flags) {
  if (midtrace::test::AmqpWire* wire = midtrace::test::wire_of(descriptor)) {
    const std::size_t given = wire->give(data, size);
    if (given != 0) return static_cast<ssize_t>(given);
    errno = EAGAIN;
    return -1;
  }
  return ::syscall(SYS_recvfrom, descriptor, data, size, flags, nullptr, nullptr);
}

}  // extern "C"
