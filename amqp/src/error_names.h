// error.type for RabbitMQ: the symbol of a reply code without AMQP_ (`NOT_FOUND`, `NO_ROUTE`), the constant's
// name for a status of rabbitmq-c (`AMQP_STATUS_SOCKET_ERROR`), `_OTHER` for what has none. Static storage;
// any thread. Source: AMQP 0-9-1 reference, constants; amqp.h; conventions 2.8.
#pragma once

#include <midtrace/amqp/library.h>

#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

// Of channel.close, connection.close and basic.return.
std::string_view reply_code_name(int code) noexcept;
// Of an amqp_status_enum.
std::string_view status_name(int status) noexcept;
// Empty for a normal response. An exception of the server's has the name of the reply code in its close.
std::string_view error_name(const amqp_rpc_reply_t& reply) noexcept;

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
