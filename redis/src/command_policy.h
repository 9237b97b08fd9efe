// What of each Redis command may be shown, and what kind of command it is: one reviewed table.
//
// The table has every command and sub-command of Redis 7.2, Sentinel's included. What is not in it is
// unknown, and none of its arguments may be shown. A sub-command's name is its container's, a space, and its
// own; only a known one is shown. A row's pattern speaks of the arguments after the name:
//
//   k              a key
//   p              a pattern or prefix of keys
//   f              the name of a field, in a hash or a stream entry
//   c              a pub/sub channel, or a pattern of channels
//   g              a consumer group
//   w              the name of a configuration parameter: letters, digits, dashes
//   u              the name of a function: letters, digits, underscores
//   s              the SHA-1 of a script: 40 hexadecimal digits
//   #              a number that is no data: a count, a range of positions, a duration, a database, a slot
//   i              the id of a stream entry, of which only 0, 0-0, $, *, -, + and > are shown
//   ~              `=` or `~`, or nothing
//   _              anything else: never shown
//   A*             the letter A as often as arguments are there for it and for what follows
//   (AB)*          groups of letters until the end; nothing is shown when the last group is incomplete
//   <ONE|OTHER>    one of these words; without one, nothing more is shown
//   [ONE OTHER:A]  options in any order, with their arguments, until an argument is none of them
//   @              a number, and as many keys
//   =              as many unknown arguments as the last @ had keys
//   %              keys, and as many ids of entries, until the end
//
// What comes after a pattern's end is never shown. The names (k p f c g) are shown when they are plain text
// of at most most_name_bytes; words in the letter case as they were sent.
//
// Values, members, scores, increments, offsets in strings and bitmaps, points in time, cursors, scripts,
// serialized values, addresses, users, client names and ids are data. Nothing of AUTH is shown, of HELLO only
// the protocol's version. Sorted by what the commands are for; looked up by a hash, without regard to letter
// case. Nothing here throws or allocates; any thread. Source: conventions 4; commands and keys as Redis 7.2
// documents them (COMMAND DOCS, COMMAND INFO).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

inline constexpr std::size_t most_name_bytes = 256;

enum class Trait : std::uint16_t {
  reads = 1,           // the server's flag readonly
  writes = 2,          // the server's flag write
  blocks = 4,          // may wait: for an element, for an entry (XREAD with BLOCK only), for replicas
  container = 8,       // has sub-commands
  pub_sub = 16,        // publishes, subscribes, or asks for subscriptions
  transaction = 32,    // MULTI, EXEC, DISCARD, WATCH, UNWATCH
  script = 64,         // runs a script or function
  connection = 128,    // changes what the connection is: user, protocol, database, subscriptions lost
  many_replies = 256,  // from here on replies and commands do not correspond one to one
};

constexpr std::uint16_t operator|(Trait one, Trait other) noexcept {
  return static_cast<std::uint16_t>(static_cast<unsigned>(one) | static_cast<unsigned>(other));
}
constexpr std::uint16_t operator|(std::uint16_t some, Trait other) noexcept {
  return static_cast<std::uint16_t>(some | static_cast<unsigned>(other));
}

// Commands that tracing treats in a way of their own.
enum class CommandRole : std::uint8_t {
  plain,
  keep_alive,  // PING
  authenticate,
  hello,
  select,
  reset,
  quit,
  multi,
  exec,
  discard,
  watch,
  unwatch,
  publish,
  subscribe,
  unsubscribe,
  script_body,    // EVAL: has no name
  script_sha,     // EVALSHA: the first argument is the name
  function_call,  // FCALL: the first argument is the name
  stream_add,
  stream_read,
  stream_claim,
  stream_acknowledge,
  client_reply,
  monitor,
  replicate,  // SYNC, PSYNC
};

struct CommandPolicy {
  constexpr CommandPolicy(std::string_view command, std::string_view pattern, std::uint16_t has = 0,
                          CommandRole is = CommandRole::plain) noexcept
      : name(command), arguments(pattern), traits(has), role(is) {}
  constexpr CommandPolicy(std::string_view command, std::string_view pattern, Trait has,
                          CommandRole is = CommandRole::plain) noexcept
      : CommandPolicy(command, pattern, static_cast<std::uint16_t>(has), is) {}

  constexpr bool has(Trait trait) const noexcept { return (traits & static_cast<unsigned>(trait)) != 0; }
  // `CONFIG SET`.
  constexpr bool is_sub_command() const noexcept { return name.find(' ') != name.npos; }

  std::string_view name;       // in capitals
  std::string_view arguments;  // the pattern
  std::uint16_t traits;
  CommandRole role;
};

// The whole table.
std::span<const CommandPolicy> command_policies() noexcept;

template <typename Visitor>
void for_each_policy(Visitor&& visit) {
  for (const CommandPolicy& policy : command_policies())
    visit(policy);
}

// Of a sub-command that is not known the container's; null when the command is not known. `second` is the
// argument after the name, or empty.
const CommandPolicy* find_policy(std::string_view name, std::string_view second) noexcept;

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
