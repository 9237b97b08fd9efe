// Names and text of a command for its span: db.operation.name, db.stored_procedure.name, db.query.text.
//
// The text is in the syntax of redis-cli: the command, and its arguments, of which those that its policy
// (command_policy.h) does not show are `?`. Shown ones with blanks or quotes, empty ones and those that look
// like something of ours are in double quotes, with \ before " and \; values are never quoted. Runs of `?`
// stay as they are. A text that does not fit ends after an argument, with ` ...`; it takes time for what fits
// alone, however long the command is.
//
// An unknown command's name is shown when it consists of letters, dots, dashes and underscores, at most 24:
// rename-command gives secret names to commands, and those that are proposed for that are random. Otherwise
// it is `?` in the text and _OTHER as operation.
//
// Nothing here throws or allocates; any thread. Source: conventions 3.3, 3.5, 4; Redis, "Redis CLI".
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "command_policy.h"
#include "resp.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

inline constexpr std::size_t default_query_text_bytes = 4096;

// Of a command's name and the argument after it; null for unknown commands.
const CommandPolicy* policy_of(Arguments command) noexcept;

// The name as it was sent, without a sub-command's (`CONFIG`, of which only the text has the second word).
std::string_view operation_name(const CommandPolicy* policy, std::string_view name) noexcept;

// A function's name, or the SHA-1 of a script; empty for everything else, and for what cannot be one.
std::string_view stored_procedure_name(const CommandPolicy* policy, Arguments command) noexcept;

struct QueryText {
  std::string_view text;  // of the buffer; empty when not even the name fits
  bool truncated = false;
};

// `policy` is policy_of(command).
QueryText write_query_text(const CommandPolicy* policy, Arguments command, std::span<char> into) noexcept;

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
