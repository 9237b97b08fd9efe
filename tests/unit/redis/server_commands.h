// The commands of Redis 7.2 as the server itself describes them (COMMAND INFO, COMMAND DOCS): what the policy
// is compared with. Restated, and independent of the policy.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace midtrace::test {

struct ServerCommand {
  std::string_view name;   // `CONFIG SET` for a sub-command
  int arity;               // with the name; negative: at least
  std::string_view flags;  // r readonly, w write, b blocking, p pubsub
  // Where keys are, separated by commas: `FIRST LAST [stepN] [half]` or `FIRST count`. FIRST is a position
  // (the name's is 0) or `WORD@POSITION`, behind that word from there on; LAST counts from FIRST, or from the
  // end when it is negative; `half` of them are keys; `count` is a number of keys, which follow it.
  std::string_view keys;
  std::string_view words;  // the words of its syntax
};

std::span<const ServerCommand> server_commands();

// For each argument of a call whether it is a key. Where a word may begin keys, it does so everywhere.
std::vector<bool> keys_of(const ServerCommand& command, std::span<const std::string> arguments);

std::vector<std::string_view> split(std::string_view text, std::string_view separator);
bool equal_without_case(std::string_view one, std::string_view other);

}  // namespace midtrace::test
