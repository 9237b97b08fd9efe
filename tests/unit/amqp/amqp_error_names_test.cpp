// error.type of RabbitMQ: the protocol's symbols, rabbitmq-c's constants, and one for everything else.

#include "error_names.h"

#include <amqp_framing.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace midtrace {
namespace {

using amqp::detail::error_name;
using amqp::detail::reply_code_name;
using amqp::detail::status_name;

TEST(AmqpErrorNames, ReplyCodesHaveTheProtocolsSymbols) {
  struct {
    int code;
    const char* name;
  } const cases[] = {{200, "REPLY_SUCCESS"},
                     {311, "CONTENT_TOO_LARGE"},
                     {312, "NO_ROUTE"},
                     {313, "NO_CONSUMERS"},
                     {320, "CONNECTION_FORCED"},
                     {402, "INVALID_PATH"},
                     {403, "ACCESS_REFUSED"},
                     {404, "NOT_FOUND"},
                     {405, "RESOURCE_LOCKED"},
                     {406, "PRECONDITION_FAILED"},
                     {501, "FRAME_ERROR"},
                     {502, "SYNTAX_ERROR"},
                     {503, "COMMAND_INVALID"},
                     {504, "CHANNEL_ERROR"},
                     {505, "UNEXPECTED_FRAME"},
                     {506, "RESOURCE_ERROR"},
                     {530, "NOT_ALLOWED"},
                     {540, "NOT_IMPLEMENTED"},
                     {541, "INTERNAL_ERROR"},
                     {0, "_OTHER"},
                     {-9, "_OTHER"},
                     {407, "_OTHER"},
                     {65535, "_OTHER"}};
  for (const auto& each : cases)
    EXPECT_EQ(reply_code_name(each.code), each.name) << each.code;
}

TEST(AmqpErrorNames, EveryStatusThatThisLibraryKnowsHasANameOfItsOwn) {
  struct {
    int first;
    int end;
  } const ranges[] = {{AMQP_STATUS_NO_MEMORY, _AMQP_STATUS_NEXT_VALUE},
                      {AMQP_STATUS_TCP_ERROR, _AMQP_STATUS_TCP_NEXT_VALUE},
                      {AMQP_STATUS_SSL_ERROR, _AMQP_STATUS_SSL_NEXT_VALUE}};
  std::set<std::string_view> names;
  for (const auto& range : ranges) {
    for (int status = range.first; status > range.end; --status) {
      EXPECT_TRUE(status_name(status).starts_with("AMQP_STATUS_")) << status;
      EXPECT_TRUE(names.insert(status_name(status)).second) << status;
    }
    EXPECT_EQ(status_name(range.end), "_OTHER");
  }
}

TEST(AmqpErrorNames, AStatusHasItsConstantsName) {
  EXPECT_EQ(status_name(AMQP_STATUS_SOCKET_ERROR), "AMQP_STATUS_SOCKET_ERROR");
  EXPECT_EQ(status_name(AMQP_STATUS_TIMEOUT), "AMQP_STATUS_TIMEOUT");
  EXPECT_EQ(status_name(AMQP_STATUS_TABLE_TOO_BIG), "AMQP_STATUS_TABLE_TOO_BIG");
  EXPECT_EQ(status_name(AMQP_STATUS_TCP_SOCKETLIB_INIT_ERROR), "AMQP_STATUS_TCP_SOCKETLIB_INIT_ERROR");
  EXPECT_EQ(status_name(AMQP_STATUS_SSL_PEER_VERIFY_FAILED), "AMQP_STATUS_SSL_PEER_VERIFY_FAILED");
  EXPECT_EQ(status_name(AMQP_STATUS_OK), "_OTHER");
  EXPECT_EQ(status_name(404), "_OTHER");
}

TEST(AmqpErrorNames, AReplyHasTheNameOfItsException) {
  amqp_channel_close_t channel = {};
  channel.reply_code = 404;
  amqp_connection_close_t connection = {};
  connection.reply_code = 320;
  struct {
    const char* what;
    amqp_response_type_enum type;
    amqp_method_number_t method;
    void* decoded;
    int library_error;
    const char* name;
  } const cases[] = {
      {"normal", AMQP_RESPONSE_NORMAL, 0, nullptr, 0, ""},
      {"none", AMQP_RESPONSE_NONE, 0, nullptr, 0, "AMQP_RESPONSE_NONE"},
      {"library", AMQP_RESPONSE_LIBRARY_EXCEPTION, 0, nullptr, AMQP_STATUS_CONNECTION_CLOSED,
       "AMQP_STATUS_CONNECTION_CLOSED"},
      {"library, unknown", AMQP_RESPONSE_LIBRARY_EXCEPTION, 0, nullptr, -4711, "_OTHER"},
      {"channel", AMQP_RESPONSE_SERVER_EXCEPTION, AMQP_CHANNEL_CLOSE_METHOD, &channel, 0, "NOT_FOUND"},
      {"connection", AMQP_RESPONSE_SERVER_EXCEPTION, AMQP_CONNECTION_CLOSE_METHOD, &connection, 0,
       "CONNECTION_FORCED"},
      {"another method", AMQP_RESPONSE_SERVER_EXCEPTION, AMQP_BASIC_ACK_METHOD, &channel, 0, "_OTHER"},
      {"nothing decoded", AMQP_RESPONSE_SERVER_EXCEPTION, AMQP_CHANNEL_CLOSE_METHOD, nullptr, 0, "_OTHER"},
  };
  for (const auto& each : cases) {
    amqp_rpc_reply_t reply = {};
    reply.reply_type = each.type;
    reply.reply.id = each.method;
    reply.reply.decoded = each.decoded;
    reply.library_error = each.library_error;
    EXPECT_EQ(error_name(reply), each.name) << each.what;
  }
}

}  // namespace
}  // namespace midtrace
