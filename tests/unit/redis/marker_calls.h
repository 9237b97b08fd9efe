// Calls of a command with markers where data may be, and what their texts show of them: the check that no
// literal leaks, against whatever describes the commands (server_commands.h).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server_commands.h"

namespace midtrace::test {

// Which arguments are names: from a position on every `step`th, one alone when `step` is 0; counted from the
// end when it is negative; or whatever follows a word.
struct Reviewed {
  Reviewed(std::string_view name, int from, int every = 0, std::string_view word = {})
      : what(name), first(from), step(every), behind(word) {}

  std::string_view what;
  int first;
  int step;
  std::string_view behind;
};

// What is shown although it is neither a key nor a word nor a short number: a list made by hand.
const std::multimap<std::string_view, Reviewed>& reviewed();

struct MarkerCounts {
  std::size_t hidden = 0;
  std::map<std::string, std::size_t, std::less<>> reviewed;  // shown, by the command's name
};

// Makes up calls of a command, valid and not, always the same ones. Fails the test where a text shows an
// argument that is neither a key by the command's description, nor a word of its syntax, nor a short number,
// nor reviewed.
void expect_only_names_shown(const ServerCommand& command, MarkerCounts& counts);

// The shortest call of a command, in which every argument is `name` where nothing else is wanted.
std::vector<std::string> shortest_call(const ServerCommand& command);

// An argument in a text.
struct Token {
  std::string text;
  bool quoted = false;
};

// What the text of a call shows, one token for each argument.
std::vector<Token> shown(const std::vector<std::string>& call);

}  // namespace midtrace::test
