// Peer: whom a connection is to, as server.* and network.peer.* name it.
//
// Throws only for lack of memory; on the connection's thread. Source: conventions 3.3.
#pragma once

#include <cstdint>
#include <string>

#include <midtrace/redis/library.h>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

inline constexpr std::uint16_t default_port = 6379;

// Empty and 0: unknown. Of a Unix socket both addresses are its path.
struct Peer {
  std::string server_address;
  std::uint16_t server_port = 0;
  std::string address;
  std::uint16_t port = 0;
};

Peer peer_of(const redisContext& context);

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
