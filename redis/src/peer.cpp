#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <limits>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

void ask_socket(int descriptor, Peer& peer) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  if (descriptor < 0 || getpeername(descriptor, address, &size) != 0) return;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto* const four = reinterpret_cast<const sockaddr_in*>(&storage);
    if (inet_ntop(AF_INET, &four->sin_addr, text.data(), text.size()) == nullptr) return;
    peer.port = ntohs(four->sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto* const six = reinterpret_cast<const sockaddr_in6*>(&storage);
    if (inet_ntop(AF_INET6, &six->sin6_addr, text.data(), text.size()) == nullptr) return;
    peer.port = ntohs(six->sin6_port);
  }
  peer.address = text.data();
}

}  // namespace

Peer peer_of(const redisContext& context) {
  Peer peer;
  if (context.connection_type == REDIS_CONN_UNIX) {
    if (context.unix_sock.path != nullptr) peer.server_address = context.unix_sock.path;
    peer.address = peer.server_address;
    return peer;
  }
  ask_socket(context.fd, peer);
  if (context.connection_type == REDIS_CONN_TCP && context.tcp.host != nullptr) {
    peer.server_address = context.tcp.host;
    if (context.tcp.port > 0 && context.tcp.port <= std::numeric_limits<std::uint16_t>::max())
      peer.server_port = static_cast<std::uint16_t>(context.tcp.port);
  } else {
    peer.server_address = peer.address;  // made from a descriptor
    peer.server_port = peer.port;
  }
  return peer;
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
