#include "error_names.h"

#include <algorithm>
#include <span>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

constexpr std::string_view other = "_OTHER";

struct Named {
  int code;
  std::string_view name;
};

constexpr Named reply_codes[] = {
    {AMQP_REPLY_SUCCESS, "REPLY_SUCCESS"},
    {AMQP_CONTENT_TOO_LARGE, "CONTENT_TOO_LARGE"},
    {AMQP_NO_ROUTE, "NO_ROUTE"},
    {AMQP_NO_CONSUMERS, "NO_CONSUMERS"},
    {AMQP_CONNECTION_FORCED, "CONNECTION_FORCED"},
    {AMQP_INVALID_PATH, "INVALID_PATH"},
    {AMQP_ACCESS_REFUSED, "ACCESS_REFUSED"},
    {AMQP_NOT_FOUND, "NOT_FOUND"},
    {AMQP_RESOURCE_LOCKED, "RESOURCE_LOCKED"},
    {AMQP_PRECONDITION_FAILED, "PRECONDITION_FAILED"},
    {AMQP_FRAME_ERROR, "FRAME_ERROR"},
    {AMQP_SYNTAX_ERROR, "SYNTAX_ERROR"},
    {AMQP_COMMAND_INVALID, "COMMAND_INVALID"},
    {AMQP_CHANNEL_ERROR, "CHANNEL_ERROR"},
    {AMQP_UNEXPECTED_FRAME, "UNEXPECTED_FRAME"},
    {AMQP_RESOURCE_ERROR, "RESOURCE_ERROR"},
    {AMQP_NOT_ALLOWED, "NOT_ALLOWED"},
    {AMQP_NOT_IMPLEMENTED, "NOT_IMPLEMENTED"},
    {AMQP_INTERNAL_ERROR, "INTERNAL_ERROR"},
};

constexpr Named statuses[] = {
    {AMQP_STATUS_NO_MEMORY, "AMQP_STATUS_NO_MEMORY"},
    {AMQP_STATUS_BAD_AMQP_DATA, "AMQP_STATUS_BAD_AMQP_DATA"},
    {AMQP_STATUS_UNKNOWN_CLASS, "AMQP_STATUS_UNKNOWN_CLASS"},
    {AMQP_STATUS_UNKNOWN_METHOD, "AMQP_STATUS_UNKNOWN_METHOD"},
    {AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED, "AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED"},
    {AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION, "AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION"},
    {AMQP_STATUS_CONNECTION_CLOSED, "AMQP_STATUS_CONNECTION_CLOSED"},
    {AMQP_STATUS_BAD_URL, "AMQP_STATUS_BAD_URL"},
    {AMQP_STATUS_SOCKET_ERROR, "AMQP_STATUS_SOCKET_ERROR"},
    {AMQP_STATUS_INVALID_PARAMETER, "AMQP_STATUS_INVALID_PARAMETER"},
    {AMQP_STATUS_TABLE_TOO_BIG, "AMQP_STATUS_TABLE_TOO_BIG"},
    {AMQP_STATUS_WRONG_METHOD, "AMQP_STATUS_WRONG_METHOD"},
    {AMQP_STATUS_TIMEOUT, "AMQP_STATUS_TIMEOUT"},
    {AMQP_STATUS_TIMER_FAILURE, "AMQP_STATUS_TIMER_FAILURE"},
    {AMQP_STATUS_HEARTBEAT_TIMEOUT, "AMQP_STATUS_HEARTBEAT_TIMEOUT"},
    {AMQP_STATUS_UNEXPECTED_STATE, "AMQP_STATUS_UNEXPECTED_STATE"},
    {AMQP_STATUS_SOCKET_CLOSED, "AMQP_STATUS_SOCKET_CLOSED"},
    {AMQP_STATUS_SOCKET_INUSE, "AMQP_STATUS_SOCKET_INUSE"},
    {AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD, "AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD"},
    {AMQP_STATUS_UNSUPPORTED, "AMQP_STATUS_UNSUPPORTED"},
    {AMQP_STATUS_TCP_ERROR, "AMQP_STATUS_TCP_ERROR"},
    {AMQP_STATUS_TCP_SOCKETLIB_INIT_ERROR, "AMQP_STATUS_TCP_SOCKETLIB_INIT_ERROR"},
    {AMQP_STATUS_SSL_ERROR, "AMQP_STATUS_SSL_ERROR"},
    {AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED, "AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED"},
    {AMQP_STATUS_SSL_PEER_VERIFY_FAILED, "AMQP_STATUS_SSL_PEER_VERIFY_FAILED"},
    {AMQP_STATUS_SSL_CONNECTION_FAILED, "AMQP_STATUS_SSL_CONNECTION_FAILED"},
    {AMQP_STATUS_SSL_SET_ENGINE_FAILED, "AMQP_STATUS_SSL_SET_ENGINE_FAILED"},
#if AMQP_VERSION >= AMQP_VERSION_CODE(0, 14, 0, 0)
    {AMQP_STATUS_SSL_UNIMPLEMENTED, "AMQP_STATUS_SSL_UNIMPLEMENTED"},
#endif
};

std::string_view name_in(std::span<const Named> table, int code) noexcept {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Named& each) { return each.code == code; });
  return found != table.end() ? found->name : other;
}

}  // namespace

std::string_view reply_code_name(int code) noexcept { return name_in(reply_codes, code); }

std::string_view status_name(int status) noexcept { return name_in(statuses, status); }

std::string_view error_name(const amqp_rpc_reply_t& reply) noexcept {
  switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
      return {};
    case AMQP_RESPONSE_NONE:
      return "AMQP_RESPONSE_NONE";
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
      return status_name(reply.library_error);
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      break;
    default:
      return other;
  }
  if (reply.reply.decoded == nullptr) return other;
  if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
    return reply_code_name(static_cast<const amqp_channel_close_t*>(reply.reply.decoded)->reply_code);
  if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD)
    return reply_code_name(static_cast<const amqp_connection_close_t*>(reply.reply.decoded)->reply_code);
  return other;
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
