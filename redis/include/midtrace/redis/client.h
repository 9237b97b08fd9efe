// Client: hiredis's blocking calls on one connection, traced.
//
//   midtrace::redis::Client redis{redisConnect("127.0.0.1", 6379)};
//   auto reply = redis.command("SET %s %b", key, data, size);
//
// It owns the redisContext and frees it. The members are hiredis's functions without `redis`, with their
// format strings, return values and errors (get()->err, errstr, errno). A command is formatted once, by
// hiredis; those bytes are sent, and read for the span. What is done through get() is not seen: while replies
// are due, or a transaction is open, neither commands nor replies may go past the Client.
//
// Spans, of kind CLIENT, none of them ever current:
//
//   GET                     command(): from the call until the reply.
//   PIPELINE, PIPELINE GET  append_command() and get_reply(): from the first append to the last reply, one
//                           span for all commands that are sent until the first of their replies is read. A
//                           single one has the span of its own name.
//   MULTI, MULTI GET        from MULTI until the reply to EXEC or DISCARD, whether sent one by one or in a
//                           pipeline, of which it is a part with a span of its own.
//
// Replies belong to commands in their order: a command() while replies are due gives the oldest, as in
// hiredis. Replies that were not read when the connection ends (release(), reconnect(), destruction) leave a
// span that failed with `connection_closed`, and count (Counter::operations_lost). After a command that may
// have more or fewer replies than one (SUBSCRIBE, MONITOR, CLIENT REPLY OFF) nothing more is traced until
// reconnect().
//
// A context may be null or in error, as hiredis gives it; on a null one commands return null, or REDIS_ERR.
// Threads: one at a time uses a Client. Nothing throws. hiredis writes to connections that the server closed:
// ignore SIGPIPE. Source: OpenTelemetry database conventions, Redis; conventions 3.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <memory>

#include <midtrace/context/function_ref.h>
#include <midtrace/redis/library.h>
#include <midtrace/redis/options.h>

namespace midtrace {
inline namespace v1 {
namespace redis {

namespace detail {
class Session;
}  // namespace detail

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

class Client {
 public:
  explicit Client(redisContext* context, Options options = {}) noexcept;
  // Made of the context that `make` gives: `Client::connect([] { return redisConnect("localhost", 6379); })`.
  // As the constructor, but connecting has its span (Options::connect_spans). What `make` throws is thrown.
  static Client connect(FunctionRef<redisContext*()> make, Options options = {});
  ~Client();
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;

  redisContext* get() const noexcept { return context_; }
  // The context is the caller's again; the Client is left with none.
  redisContext* release() noexcept;
  // redisReconnect(): with the database 0, and without authentication, as hiredis leaves it.
  int reconnect() noexcept;

  // --- One command, and its reply. Null for a format that is wrong and when the connection fails.

  Reply command(const char* format, ...) noexcept;
  Reply vcommand(const char* format, va_list arguments) noexcept;
  Reply command_argv(int argc, const char** argv, const std::size_t* lengths) noexcept;
  // As hiredis returns it: the caller frees the reply, which is no redisReply where the context's reader
  // makes others.
  void* raw_command(const char* format, ...) noexcept;
  void* raw_vcommand(const char* format, va_list arguments) noexcept;
  void* raw_command_argv(int argc, const char** argv, const std::size_t* lengths) noexcept;

  // --- Pipelines. REDIS_OK or REDIS_ERR.

  int append_command(const char* format, ...) noexcept;
  int vappend_command(const char* format, va_list arguments) noexcept;
  int append_command_argv(int argc, const char** argv, const std::size_t* lengths) noexcept;
  // One or more whole commands as hiredis formats them. After anything else it is not known how many replies
  // there will be, and nothing is traced until reconnect().
  int append_formatted_command(const char* command, std::size_t size) noexcept;
  int get_reply(void** reply) noexcept;
  int get_reply(Reply& reply) noexcept;

 private:
  void close() noexcept;

  redisContext* context_;
  std::unique_ptr<detail::Session> session_;  // null when off, and for lack of memory
};

}  // namespace redis
}  // namespace v1
}  // namespace midtrace
