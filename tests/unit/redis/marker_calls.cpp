#include "marker_calls.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <random>
#include <span>

#include "query_text.h"

namespace midtrace::test {

using redis::detail::Arguments;
using redis::detail::policy_of;
using redis::detail::write_query_text;

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

namespace {

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

bool is_reviewed(const ServerCommand& command, const std::vector<std::string>& call, std::size_t at) {
  const auto [first, last] = reviewed().equal_range(command.name);
  return std::any_of(first, last, [&](const auto& each) {
    const Reviewed& rule = each.second;
    if (!rule.behind.empty()) return equal_without_case(call[at - 1], rule.behind);
    const int position =
        rule.first < 0 ? static_cast<int>(at) - static_cast<int>(call.size()) : static_cast<int>(at);
    const int distance = rule.first < 0 ? rule.first - position : position - rule.first;
    return rule.step == 0 ? distance == 0 : distance >= 0 && distance % rule.step == 0;
  });
}

std::vector<std::string_view> words_of(const ServerCommand& command) {
  std::vector<std::string_view> words = split(command.words, " ");
  const auto [first, last] = reviewed_words().equal_range(command.name);
  for (auto each = first; each != last; ++each)
    for (const std::string_view word : split(each->second, " "))
      words.push_back(word);
  return words;
}

bool is_short_number(std::string_view text) {
  return !text.empty() && text.size() <= 3 && std::all_of(text.begin(), text.end(), ::isdigit);
}

class Calls {
 public:
  explicit Calls(const ServerCommand& command) : command_(command), words_(words_of(command)) {}

  std::vector<std::string> next() {
    std::vector<std::string> call;
    for (const std::string_view part : split(command_.name, " "))
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

  const ServerCommand& command_;
  std::vector<std::string_view> words_;
  std::mt19937_64 random_{17};
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

}  // namespace

std::vector<Token> shown(const std::vector<std::string>& call) {
  const std::vector<std::string_view> views(call.begin(), call.end());
  std::array<char, 4096> buffer;
  const Arguments arguments{std::span<const std::string_view>(views)};
  return tokens_of(write_query_text(policy_of(arguments), arguments, buffer).text);
}

void expect_only_names_shown(const ServerCommand& command, MarkerCounts& counts) {
  const std::size_t name_words = command.name.find(' ') == command.name.npos ? 1 : 2;
  const std::vector<std::string_view> words = words_of(command);
  Calls calls(command);
  // The more words a command has, the more ways there are to mix them.
  for (std::size_t left = 250 + 250 * words.size(); left > 0; --left) {
    const std::vector<std::string> call = calls.next();
    const std::vector<bool> keys = keys_of(command, call);
    const std::vector<Token> tokens = shown(call);
    const auto text = [&] {
      std::string all;
      for (const Token& token : tokens)
        all += token.text + ' ';
      return all;
    };
    ASSERT_EQ(tokens.size(), call.size()) << text();
    for (std::size_t at = name_words; at < call.size(); ++at) {
      if (!tokens[at].quoted && tokens[at].text == "?") {
        ++counts.hidden;
        continue;
      }
      ASSERT_EQ(tokens[at].text, call[at]) << text();
      const bool is_word = std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        return equal_without_case(word, call[at]);
      });
      if (keys[at] || is_word || is_short_number(call[at])) continue;
      EXPECT_TRUE(is_reviewed(command, call, at)) << "argument " << at << " of: " << text();
      ++counts.reviewed[std::string(command.name)];
    }
  }
}

std::vector<std::string> shortest_call(const ServerCommand& command) {
  std::vector<std::string> call;
  for (const std::string_view part : split(command.name, " "))
    call.emplace_back(part);
  while (call.size() < static_cast<std::size_t>(std::abs(command.arity)))
    call.push_back("name");
  // Words come before the keys of these.
  if (command.name == "BITOP") call[1] = "AND";
  if (command.name == "PFDEBUG") call[1] = "ENCODING";
  return call;
}

}  // namespace midtrace::test
