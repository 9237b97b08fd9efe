// No command shows an argument that is neither a key, by what the server says, nor a word of its syntax, nor
// a short number: calls of every command are made up, valid and not, and their texts are taken apart. What is
// shown beyond that is in a list made by hand.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "query_text.h"
#include "server_commands.h"

namespace midtrace {
namespace {

using redis::detail::Arguments;
using redis::detail::policy_of;
using redis::detail::write_query_text;

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

const std::multimap<std::string_view, Reviewed>& reviewed() {
  static const std::multimap<std::string_view, Reviewed> list = {
      {"HGET", {"field", 2}},
      {"HEXISTS", {"field", 2}},
      {"HSTRLEN", {"field", 2}},
      {"HSETNX", {"field", 2}},
      {"HDEL", {"fields", 2, 1}},
      {"HMGET", {"fields", 2, 1}},
      {"HSET", {"fields", 2, 2}},
      {"HMSET", {"fields", 2, 2}},
      {"XADD", {"fields", -2, 2}},
      {"PUBLISH", {"channel", 1}},
      {"SUBSCRIBE", {"channels", 1, 1}},
      {"UNSUBSCRIBE", {"channels", 1, 1}},
      {"PSUBSCRIBE", {"patterns of channels", 1, 1}},
      {"PUNSUBSCRIBE", {"patterns of channels", 1, 1}},
      {"PUBSUB CHANNELS", {"pattern of channels", 2}},
      {"PUBSUB SHARDCHANNELS", {"pattern of channels", 2}},
      {"PUBSUB NUMSUB", {"channels", 2, 1}},
      {"PUBSUB SHARDNUMSUB", {"channels", 2, 1}},
      {"KEYS", {"pattern of keys", 1}},
      {"SCAN", {"pattern of keys", 0, 0, "MATCH"}},
      {"CLIENT TRACKING", {"prefix of keys", 0, 0, "PREFIX"}},
      {"XACK", {"group", 2}},
      {"XAUTOCLAIM", {"group", 2}},
      {"XCLAIM", {"group", 2}},
      {"XPENDING", {"group", 2}},
      {"XREADGROUP", {"group", 2}},
      {"XINFO CONSUMERS", {"group", 3}},
      {"XGROUP CREATE", {"group", 3}},
      {"XGROUP CREATECONSUMER", {"group", 3}},
      {"XGROUP DELCONSUMER", {"group", 3}},
      {"XGROUP DESTROY", {"group", 3}},
      {"XGROUP SETID", {"group", 3}},
      {"FCALL", {"function", 1}},
      {"FCALL_RO", {"function", 1}},
      {"EVALSHA", {"SHA-1 of a script", 1}},
      {"EVALSHA_RO", {"SHA-1 of a script", 1}},
      {"CONFIG GET", {"parameters", 2, 1}},
      {"CONFIG SET", {"parameters", 2, 2}},
  };
  return list;
}

// Words that the server's description has no list of.
const std::multimap<std::string_view, std::string_view>& reviewed_words() {
  static const std::multimap<std::string_view, std::string_view> list = {
      {"DEBUG", "SLEEP RELOAD OBJECT SET-ACTIVE-EXPIRE"},
      {"INFO",
       "SERVER CLIENTS MEMORY PERSISTENCE STATS REPLICATION CPU MODULES COMMANDSTATS ERRORSTATS LATENCYSTATS "
       "CLUSTER "
       "KEYSPACE SENTINEL DEFAULT ALL EVERYTHING"},
      {"PFDEBUG", "GETREG DECODE ENCODING TODENSE"},
      {"SCAN", "STRING LIST SET ZSET HASH STREAM"},
      {"CLIENT LIST", "SLAVE"},
      {"XACK", "$ * - + >"},
      {"XADD", "$ * - + >"},
      {"XAUTOCLAIM", "$ * - + >"},
      {"XPENDING", "$ * - + >"},
      {"XRANGE", "$ * - + >"},
      {"XREVRANGE", "$ * - + >"},
      {"XREAD", "$ * - + >"},
      {"XREADGROUP", "$ * - + >"},
      {"XSETID", "$ * - + >"},
      {"XGROUP CREATE", "$ * - + >"},
      {"XGROUP SETID", "$ * - + >"},
  };
  return list;
}

bool is_reviewed(const test::ServerCommand& command, const std::vector<std::string>& call, std::size_t at) {
  const auto [first, last] = reviewed().equal_range(command.name);
  return std::any_of(first, last, [&](const auto& each) {
    const Reviewed& rule = each.second;
    if (!rule.behind.empty()) return test::equal_without_case(call[at - 1], rule.behind);
    const int position =
        rule.first < 0 ? static_cast<int>(at) - static_cast<int>(call.size()) : static_cast<int>(at);
    const int distance = rule.first < 0 ? rule.first - position : position - rule.first;
    return rule.step == 0 ? distance == 0 : distance >= 0 && distance % rule.step == 0;
  });
}

std::vector<std::string_view> words_of(const test::ServerCommand& command) {
  std::vector<std::string_view> words = test::split(command.words, " ");
  const auto [first, last] = reviewed_words().equal_range(command.name);
  for (auto each = first; each != last; ++each)
    for (const std::string_view word : test::split(each->second, " "))
      words.push_back(word);
  return words;
}

bool is_short_number(std::string_view text) {
  return !text.empty() && text.size() <= 3 && std::all_of(text.begin(), text.end(), ::isdigit);
}

class Calls {
 public:
  explicit Calls(const test::ServerCommand& command) : command_(command), words_(words_of(command)) {}

  std::vector<std::string> next() {
    std::vector<std::string> call;
    for (const std::string_view part : test::split(command_.name, " "))
      call.emplace_back(part);
    // Every other call is as long as the command wants it at least.
    const std::size_t least = static_cast<std::size_t>(std::abs(command_.arity));
    const std::size_t length =
        below(2) == 0 ? std::max(least, call.size()) + below(6) : call.size() + below(12);
    while (call.size() < length)
      call.push_back(argument(call.size()));
    return call;
  }

 private:
  std::string argument(std::size_t at) {
    switch (below(9)) {
      case 0:
      case 1:
      case 7:
        if (!words_.empty()) return std::string(words_[below(words_.size())]);
        [[fallthrough]];
      case 2:
        return std::to_string(below(4));
      // A marker: a word, a phrase, many digits, a hexadecimal token.
      case 3:
        return "17000000000" + std::to_string(10 + at);
      case 4:
        return "6b1bf486c81ceb7edf3c093f4c48582e38c0e7" + std::to_string(10 + at);
      case 5:
        return "secret no. " + std::to_string(10 + at);
      default:
        return "secret" + std::to_string(10 + at);
    }
  }
  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }

  const test::ServerCommand& command_;
  std::vector<std::string_view> words_;
  std::mt19937_64 random_{17};
};

struct Token {
  std::string text;
  bool quoted = false;
};

std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  for (std::size_t at = 0; at < text.size(); ++at) {
    Token token;
    if (text[at] == '"') {
      token.quoted = true;
      for (++at; text[at] != '"'; ++at)
        token.text += text[at] == '\\' ? text[++at] : text[at];
      ++at;
    } else {
      for (; at < text.size() && text[at] != ' '; ++at)
        token.text += text[at];
    }
    tokens.push_back(token);
  }
  return tokens;
}

TEST(RedisSecrets, NothingIsShownThatIsNoKeyNoWordAndNotReviewed) {
  std::size_t hidden = 0;
  std::map<std::string_view, std::size_t> reviewed_shown;
  for (const test::ServerCommand& command : test::server_commands()) {
    const std::size_t name_words = command.name.find(' ') == command.name.npos ? 1 : 2;
    const std::vector<std::string_view> words = words_of(command);
    Calls calls(command);
    // The more words a command has, the more ways there are to mix them.
    for (std::size_t left = 250 + 250 * words.size(); left > 0; --left) {
      const std::vector<std::string> call = calls.next();
      const std::vector<std::string_view> views(call.begin(), call.end());
      std::array<char, 4096> buffer;
      const Arguments arguments{std::span<const std::string_view>(views)};
      const std::string_view text = write_query_text(policy_of(arguments), arguments, buffer).text;

      const std::vector<bool> keys = test::keys_of(command, call);
      const std::vector<Token> tokens = tokens_of(text);
      ASSERT_EQ(tokens.size(), call.size()) << text;
      for (std::size_t at = name_words; at < call.size(); ++at) {
        if (!tokens[at].quoted && tokens[at].text == "?") {
          ++hidden;
          continue;
        }
        ASSERT_EQ(tokens[at].text, call[at]) << text;
        const bool is_word = std::any_of(words.begin(), words.end(), [&](std::string_view word) {
          return test::equal_without_case(word, call[at]);
        });
        if (keys[at] || is_word || is_short_number(call[at])) continue;
        EXPECT_TRUE(is_reviewed(command, call, at)) << "argument " << at << " of: " << text;
        ++reviewed_shown[command.name];
      }
    }
  }
  EXPECT_GT(hidden, 100'000u);
  // Whatever is in the list is needed there.
  for (const auto& [name, rule] : reviewed())
    EXPECT_GT(reviewed_shown[name], 0u) << name << ": " << rule.what;
}

TEST(RedisSecrets, KeysAreShownWhereTheServerHasThem) {
  // Commands whose calls in their shortest form are valid, so that the server's rule and ours both hold.
  std::size_t commands = 0;
  for (const test::ServerCommand& command : test::server_commands()) {
    if (command.keys.empty() || command.keys.find_first_of("@c") != std::string_view::npos) continue;
    std::vector<std::string> call;
    for (const std::string_view part : test::split(command.name, " "))
      call.emplace_back(part);
    while (call.size() < static_cast<std::size_t>(std::abs(command.arity)))
      call.push_back("name");
    // Words come before the keys of these.
    if (command.name == "BITOP") call[1] = "AND";
    if (command.name == "PFDEBUG") call[1] = "ENCODING";
    const std::vector<std::string_view> views(call.begin(), call.end());
    std::array<char, 4096> buffer;
    const Arguments arguments{std::span<const std::string_view>(views)};
    const std::vector<Token> tokens =
        tokens_of(write_query_text(policy_of(arguments), arguments, buffer).text);
    const std::vector<bool> keys = test::keys_of(command, call);
    for (std::size_t at = 0; at < call.size(); ++at)
      EXPECT_TRUE(!keys[at] || tokens[at].text == "name") << command.name << " " << at;
    ++commands;
  }
  EXPECT_GE(commands, 170u);
}

}  // namespace
}  // namespace midtrace
