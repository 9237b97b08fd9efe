#include <midtrace/redis/client.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "session.h"

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace redis {

namespace {

// A command as hiredis formats it; of no bytes when it cannot.
class Formatted {
 public:
  // Uses up `arguments`.
  Formatted(const char* format, va_list arguments) noexcept
      : size_(redisvFormatCommand(&bytes_, format, arguments)) {}
  Formatted(int argc, const char** argv, const std::size_t* lengths) noexcept
      : size_(redisFormatCommandArgv(&bytes_, argc, argv, lengths)) {}
  ~Formatted() {
    if (size_ >= 0) redisFreeCommand(bytes_);
  }
  Formatted(const Formatted&) = delete;
  Formatted& operator=(const Formatted&) = delete;

  bool failed() const noexcept { return size_ < 0; }
  std::string_view bytes() const noexcept { return {bytes_, static_cast<std::size_t>(size_)}; }

 private:
  char* bytes_ = nullptr;
  long long size_;
};

}  // namespace

Client::Client(redisContext* context, Options options) noexcept : context_(context) {
  if (context == nullptr) return;
  try {
    const ModuleMode mode = options.mode.has_value() ? *options.mode : module_mode("REDIS");
    if (mode == ModuleMode::on) session_ = std::make_unique<detail::Session>(context, std::move(options));
  } catch (...) {
    count(Counter::dropped_no_record);
    report(Severity::warning, "redis.client",
           "A Redis connection is not traced, because there was no memory for its state.");
  }
}

Client Client::connect(FunctionRef<redisContext*()> make, Options options) {
  const std::uint64_t start_tick = options.connect_spans ? current_tick() : 0;
  Client made(make(), std::move(options));
  if (made.session_ != nullptr) made.session_->connected(start_tick);
  return made;
}

Client::~Client() { close(); }

Client::Client(Client&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)), session_(std::move(other.session_)) {}

Client& Client::operator=(Client&& other) noexcept {
  if (this != &other) {
    close();
    context_ = std::exchange(other.context_, nullptr);
    session_ = std::move(other.session_);
  }
  return *this;
}

void Client::close() noexcept {
  if (redisContext* const context = release()) redisFree(context);
}

redisContext* Client::release() noexcept {
  if (session_ != nullptr) session_->close();
  session_.reset();
  return std::exchange(context_, nullptr);
}

int Client::reconnect() noexcept {
  if (context_ == nullptr) return REDIS_ERR;
  if (session_ == nullptr) return redisReconnect(context_);
  session_->close();
  return session_->reconnect();
}

void* Client::raw_vcommand(const char* format, va_list arguments) noexcept {
  if (context_ == nullptr) return nullptr;
  if (session_ == nullptr) return redisvCommand(context_, format, arguments);
  va_list again;
  va_copy(again, arguments);
  const Formatted formatted(format, arguments);
  // So that the context has the error that hiredis gives.
  void* const reply =
      formatted.failed() ? redisvCommand(context_, format, again) : session_->command(formatted.bytes());
  va_end(again);
  return reply;
}

void* Client::raw_command(const char* format, ...) noexcept {
  va_list arguments;
  va_start(arguments, format);
  void* const reply = raw_vcommand(format, arguments);
  va_end(arguments);
  return reply;
}

void* Client::raw_command_argv(int argc, const char** argv, const std::size_t* lengths) noexcept {
  if (context_ == nullptr) return nullptr;
  if (session_ == nullptr) return redisCommandArgv(context_, argc, argv, lengths);
  const Formatted formatted(argc, argv, lengths);
  return formatted.failed() ? redisCommandArgv(context_, argc, argv, lengths)
                            : session_->command(formatted.bytes());
}

Reply Client::vcommand(const char* format, va_list arguments) noexcept {
  return Reply(static_cast<redisReply*>(raw_vcommand(format, arguments)));
}

Reply Client::command(const char* format, ...) noexcept {
  va_list arguments;
  va_start(arguments, format);
  void* const reply = raw_vcommand(format, arguments);
  va_end(arguments);
  return Reply(static_cast<redisReply*>(reply));
}

Reply Client::command_argv(int argc, const char** argv, const std::size_t* lengths) noexcept {
  return Reply(static_cast<redisReply*>(raw_command_argv(argc, argv, lengths)));
}

int Client::vappend_command(const char* format, va_list arguments) noexcept {
  if (context_ == nullptr) return REDIS_ERR;
  if (session_ == nullptr) return redisvAppendCommand(context_, format, arguments);
  va_list again;
  va_copy(again, arguments);
  const Formatted formatted(format, arguments);
  const int status =
      formatted.failed() ? redisvAppendCommand(context_, format, again) : session_->append(formatted.bytes());
  va_end(again);
  return status;
}

int Client::append_command(const char* format, ...) noexcept {
  va_list arguments;
  va_start(arguments, format);
  const int status = vappend_command(format, arguments);
  va_end(arguments);
  return status;
}

int Client::append_command_argv(int argc, const char** argv, const std::size_t* lengths) noexcept {
  if (context_ == nullptr) return REDIS_ERR;
  if (session_ == nullptr) return redisAppendCommandArgv(context_, argc, argv, lengths);
  const Formatted formatted(argc, argv, lengths);
  return formatted.failed() ? redisAppendCommandArgv(context_, argc, argv, lengths)
                            : session_->append(formatted.bytes());
}

int Client::append_formatted_command(const char* command, std::size_t size) noexcept {
  if (context_ == nullptr) return REDIS_ERR;
  if (session_ == nullptr) return redisAppendFormattedCommand(context_, command, size);
  return session_->append_unread({command, size});
}

int Client::get_reply(void** reply) noexcept {
  if (context_ == nullptr) return REDIS_ERR;
  return session_ != nullptr ? session_->get_reply(reply) : redisGetReply(context_, reply);
}

int Client::get_reply(Reply& reply) noexcept {
  void* got = nullptr;
  const int status = get_reply(&got);
  reply.reset(static_cast<redisReply*>(got));
  return status;
}

}  // namespace redis
}  // namespace v1
}  // namespace midtrace
