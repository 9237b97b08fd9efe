// Batch: the commands that have one span together, those of a pipeline or of a transaction, from the first
// one sent to the last reply.
//
// What a span needs to know when it completes, and no more: however many commands there are, it takes the
// text's limit and some hundred bytes, and without a recording span no text. Commands are known by their
// number on the connection. On the connection's thread; nothing throws.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "batch_text.h"
#include "command_policy.h"
#include "resp.h"

#include <midtrace/redis/library.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

class Batch {
 public:
  // Empty, of a pipeline or of a transaction that begins with the command of this number.
  void begin(bool of_transaction, std::uint64_t command) noexcept;

  // A command that counts: of a transaction not MULTI and what ends it. Its text is wanted only where
  // wants_text().
  void add(const CommandPolicy* policy, Arguments command) noexcept;
  void add_text(std::string_view one, std::size_t most) noexcept { text.add(one, most); }
  bool wants_text() const noexcept { return span.recording() && !text.full(); }
  // The first error of all is the span's.
  void note_reply(const redisReply& reply) noexcept;
  void note_failure(std::string_view error_name) noexcept;

  // `PIPELINE GET`, `MULTI`, or of a pipeline's only command its own; valid while `into` is.
  std::string_view name(std::array<char, 64>& into) const noexcept;
  bool is_plain_command() const noexcept { return !transaction && commands == 1; }
  // Empty unless all commands have the same.
  std::string_view procedure() const noexcept { return same_procedure_ ? procedure_ : std::string_view(); }
  bool failed() const noexcept { return !error_type_.empty(); }
  std::string_view error_type() const noexcept { return error_type_; }
  // The prefix of an error reply.
  std::string_view status_code() const noexcept { return status_code_; }
  // The first MOVED or ASK reply.
  std::string_view redirection() const noexcept { return redirection_; }

  std::uint64_t first = 0;  // numbers of commands
  std::uint64_t end = 0;
  std::uint64_t commands = 0;  // those that count
  PendingSpan span;
  std::uint64_t start_tick = 0;  // where a minimum duration is asked for
  BatchText text;
  bool decided = false;      // whether it has a span
  bool answered = false;     // some reply was read
  bool transaction = false;  // began with MULTI
  bool open = false;         // of a transaction: nothing that ends it was sent yet
  CommandRole ended_by = CommandRole::plain;
  bool aborted = false;
  bool discarded = false;
  // SELECT in it: how many, and the last one's place among the commands and its database.
  std::uint64_t selects = 0;
  std::uint64_t last_select = 0;
  int selected = 0;

 private:
  std::array<char, 32> operation_{};  // the first command's, as it was sent
  std::uint8_t operation_size_ = 0;
  bool same_operation_ = true;
  bool same_procedure_ = true;
  std::string procedure_;
  std::string error_type_;
  std::string status_code_;
  std::string redirection_;
};

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
