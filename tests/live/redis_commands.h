// What a running server says of its commands (COMMAND, COMMAND DOCS), in the form of server_commands.h.
// Read without hiredis, which breaks the connection over what is nested deeper than seven arrays.
#ifndef MIDTRACE_TESTS_LIVE_REDIS_COMMANDS_H_
#define MIDTRACE_TESTS_LIVE_REDIS_COMMANDS_H_

#include <string>
#include <vector>

#include "support/redis_server.h"
#include "unit/redis/server_commands.h"

namespace midtrace::test {

struct LiveCommand {
  std::string name;
  int arity = 0;
  std::string flags;
  std::string keys;  // but for those of which the server says that it cannot tell by their position
  std::string words;

  // A view: this must live as long as it is used.
  ServerCommand description() const { return {name, arity, flags, keys, words}; }
};

// Every command and sub-command, sorted by name. Throws std::runtime_error when the server answers nothing of
// the kind.
std::vector<LiveCommand> read_commands(const RedisServer& server);

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_REDIS_COMMANDS_H_
