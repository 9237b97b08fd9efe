// What error replies and broken connections are called on spans, and where a cluster's redirections lead.
//
// Nothing throws or allocates; any thread. Views are of the argument, or static. Source: conventions 3.3 and
// 3.5; Redis, "Simple errors" and "Redis cluster specification"; hiredis, read.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

// `REDIS_ERR_EOF`. hiredis says of a time limit that passed that reading or writing failed, with an errno of
// EAGAIN: that is REDIS_ERR_TIMEOUT, as its newer versions call it.
std::string_view connection_error_name(int error, int error_number) noexcept;

// The text before the first blank. Empty unless it is of capitals, digits, `_` and `-`, begins with a capital
// and has at most 32: scripts may return any text, with values in it.
std::string_view error_prefix(std::string_view message) noexcept;

// MOVED and ASK.
struct Redirection {
  std::string_view kind;
  std::int64_t slot;
  std::string_view node;  // `host:port`; without a host it is the one that answered
};
std::optional<Redirection> redirection_of(std::string_view message) noexcept;

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
