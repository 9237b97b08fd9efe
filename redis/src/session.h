// Session: the tracing state of one connection behind its Client; spans start and end here, and nowhere else.
//
// Every command that is sent gets a number, every reply belongs to the oldest one without. Commands sent on
// their own, with no reply due, need no more than their call; all others are of a Batch, in a queue of those
// that wait for replies: a pipeline takes commands until the first of its replies is read, a transaction
// until what ends it. On the connection's thread; only the constructor throws, for lack of memory. hiredis's
// errno is left as it is.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "batch.h"
#include "command_policy.h"
#include "peer.h"
#include "ready_options.h"
#include "resp.h"
#include "ring.h"

#include <midtrace/redis/library.h>
#include <midtrace/redis/options.h>
#include <midtrace/trace/attribute.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

class Session {
 public:
  // `context` must outlive it.
  Session(redisContext* context, Options options);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // What redisCommand() returns, for a command that hiredis has formatted.
  void* command(std::string_view formatted) noexcept;
  // What redisAppendFormattedCommand() returns: of a command that hiredis has formatted, and of whatever the
  // application wants to have sent.
  int append(std::string_view formatted) noexcept;
  int append_unread(std::string_view bytes) noexcept;
  // What redisGetReply() returns.
  int get_reply(void** reply) noexcept;

  // The connection is given up: what is open ends, and is lost.
  void close() noexcept;
  // What redisReconnect() returns.
  int reconnect() noexcept;
  // Connecting began then, and is over.
  void connected(std::uint64_t start_tick) noexcept;

 private:
  // A SELECT or RESET outside of transactions, until its reply is there.
  struct DatabaseChange {
    std::uint64_t command;
    int database;
  };
  // What attributes_of() is told; views need to live only for the start of the span.
  struct Described {
    std::string_view operation = {};  // empty: no command, and so in no database
    std::string_view text = {};
    std::string_view procedure = {};
    std::uint64_t batch_size = 1;  // 1: no batch
    bool in_one_database = true;
  };

  void* single(const Command& command, const CommandPolicy* policy) noexcept;
  Span start_single(const Command& command, const CommandPolicy* policy) noexcept;
  void describe_reply(Span& span, const redisReply& reply) noexcept;

  void track(const Command& command, const CommandPolicy* policy) noexcept;
  Batch& batch_for(CommandRole role) noexcept;
  void start_batch(Batch& batch) noexcept;
  void answered(const redisReply* reply) noexcept;
  void transaction_ended(Batch& batch, const redisReply& reply) noexcept;
  void finish_front() noexcept;
  void finish(Batch& batch) noexcept;
  void fail_all(std::string_view error_name) noexcept;

  // Whether a span may start now; `ambient` is set then.
  bool wants_span(Context& ambient) const noexcept;
  bool too_short(std::uint64_t start_tick) const noexcept;
  std::span<const Attribute> attributes_of(const Described& described);
  std::string_view text_of(const CommandPolicy* policy, const Command& command, std::size_t most);
  void run_hook(const Hook& hook, Span& span, const Call& call) const noexcept;

  void set_peer() noexcept;
  // `reply` is null where it cannot be read.
  void select(const redisReply* reply, int database) noexcept;
  // After a call that failed; `error_before` is the context's err before it.
  std::string_view failure(int error_before, int error_number) noexcept;
  const redisReply* readable(void* reply) const noexcept;
  void stop_tracking() noexcept;

  redisContext* const context_;
  const ReadyOptions options_;
  Peer peer_;
  int database_;               // negative: unknown
  bool tracking_ = true;       // replies and commands correspond
  std::uint64_t sent_ = 0;     // commands
  std::uint64_t replied_ = 0;  // of these
  Ring<Batch> batches_;
  Ring<DatabaseChange> changes_;
  std::string_view last_failure_;  // static

  // Used again by every span.
  std::vector<char> text_;
  std::vector<Attribute> attributes_;
  std::array<char, 16> database_text_{};
};

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
