#include "errors.h"

#include <cerrno>
#include <charconv>

#include <midtrace/redis/library.h>

#include "messaging/text.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

constexpr std::size_t most_prefix_bytes = 32;
constexpr std::size_t most_node_bytes = 260;
constexpr std::int64_t slots = 16384;
// Of hiredis 1.0 and newer.
constexpr int timeout_error = 6;

}  // namespace

std::string_view connection_error_name(int error, int error_number) noexcept {
  switch (error) {
    case REDIS_ERR_IO:
      return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == ETIMEDOUT
                 ? "REDIS_ERR_TIMEOUT"
                 : "REDIS_ERR_IO";
    case REDIS_ERR_EOF:
      return "REDIS_ERR_EOF";
    case REDIS_ERR_PROTOCOL:
      return "REDIS_ERR_PROTOCOL";
    case REDIS_ERR_OOM:
      return "REDIS_ERR_OOM";
    case REDIS_ERR_OTHER:
      return "REDIS_ERR_OTHER";
    case timeout_error:
      return "REDIS_ERR_TIMEOUT";
    default:
      return "_OTHER";
  }
}

std::string_view error_prefix(std::string_view message) noexcept {
  const std::string_view prefix = message.substr(0, message.find(' '));
  if (prefix.empty() || prefix.size() > most_prefix_bytes) return {};
  if (prefix.front() < 'A' || prefix.front() > 'Z') return {};
  for (const char c : prefix) {
    const bool shown = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!shown) return {};
  }
  return prefix;
}

std::optional<Redirection> redirection_of(std::string_view message) noexcept {
  Redirection found{error_prefix(message), 0, {}};
  if (found.kind != "MOVED" && found.kind != "ASK") return {};
  message.remove_prefix(found.kind.size());
  if (message.empty()) return {};
  message.remove_prefix(1);
  const char* const end = message.data() + message.size();
  const auto [after, error] = std::from_chars(message.data(), end, found.slot);
  if (error != std::errc() || after == end || *after != ' ' || found.slot < 0 || found.slot >= slots)
    return {};
  found.node = message.substr(static_cast<std::size_t>(after - message.data()) + 1);
  const bool plain = !found.node.empty() && found.node.size() <= most_node_bytes &&
                     found.node.find(' ') == found.node.npos && messaging::is_plain_text(found.node);
  if (!plain) return {};
  return found;
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
