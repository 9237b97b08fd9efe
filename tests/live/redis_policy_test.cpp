// The policy of each command against what a real server says of it. The unit tests compare the policy with
// the same facts restated for Redis 7.2; here the restated ones are compared too, so that they stay true. A
// command that the server knows and the policy does not is a failure: none of its arguments would be shown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "command_policy.h"
#include "live/redis_commands.h"
#include "live/redis_fixture.h"
#include "unit/redis/marker_calls.h"
#include "unit/redis/server_commands.h"

namespace midtrace::test {
namespace {

using redis::detail::CommandPolicy;
using redis::detail::find_policy;
using redis::detail::Trait;

const CommandPolicy* policy_named(std::string_view name) {
  const std::size_t space = name.find(' ');
  if (space == name.npos) return find_policy(name, "");
  return find_policy(name.substr(0, space), name.substr(space + 1));
}

bool has_flag(const LiveCommand& command, char flag) { return command.flags.find(flag) != std::string::npos; }

std::set<std::string_view> sorted_words(std::string_view text) {
  const std::vector<std::string_view> words = split(text, " ");
  return {words.begin(), words.end()};
}

class RedisPolicy : public OnRedis<::testing::Test> {
 protected:
  void SetUp() override {
    OnRedis::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    commands_ = read_commands(*server_);
    // 241 and 139 of 7.0, some of which a build may leave out.
    ASSERT_GT(commands_.size(), 300u);
  }

  std::vector<LiveCommand> commands_;
};

TEST_F(RedisPolicy, KnowsEveryCommandOfTheServer) {
  for (const LiveCommand& command : commands_) {
    const CommandPolicy* policy = policy_named(command.name);
    ASSERT_NE(policy, nullptr) << command.name;
    // Of an unknown sub-command it would be the container's.
    EXPECT_EQ(policy->name, command.name);
  }
}

TEST_F(RedisPolicy, HasTheFlagsOfTheServer) {
  for (const LiveCommand& command : commands_) {
    const CommandPolicy* known = policy_named(command.name);
    ASSERT_NE(known, nullptr) << command.name;
    const CommandPolicy& policy = *known;
    EXPECT_EQ(policy.has(Trait::reads), has_flag(command, 'r')) << command.name;
    EXPECT_EQ(policy.has(Trait::writes), has_flag(command, 'w')) << command.name;
    // WAIT waits without the flag in some versions.
    const bool waits = has_flag(command, 'b') || command.name.starts_with("WAIT");
    EXPECT_EQ(policy.has(Trait::blocks), waits) << command.name;
    // The server flags PUBSUB's sub-commands, but neither itself nor its help.
    const bool pub_sub = has_flag(command, 'p') || command.name == "PUBSUB";
    EXPECT_EQ(policy.has(Trait::pub_sub), pub_sub) << command.name;
  }
}

TEST_F(RedisPolicy, IsComparedElsewhereWithWhatThisServerSays) {
  std::map<std::string_view, ServerCommand> restated;
  for (const ServerCommand& command : server_commands())
    restated.emplace(command.name, command);
  for (const LiveCommand& command : commands_) {
    ASSERT_TRUE(restated.contains(command.name)) << command.name;
    const ServerCommand& known = restated.at(command.name);
    // Newer versions take calls that older ones refuse, never the other way round.
    if (known.arity >= 0 || -known.arity > std::abs(command.arity)) {
      EXPECT_EQ(known.arity, command.arity) << command.name;
    }
    EXPECT_EQ(known.flags, command.flags) << command.name;
    EXPECT_EQ(known.keys, command.keys) << command.name;
    // They have more words, too.
    const std::set<std::string_view> words = sorted_words(known.words);
    for (const std::string_view word : sorted_words(command.words))
      EXPECT_TRUE(words.contains(word)) << command.name << ' ' << word;
  }
}

TEST_F(RedisPolicy, ShowsNothingThatTheServerHasNoKeyOrWordFor) {
  MarkerCounts counts;
  for (const LiveCommand& command : commands_)
    expect_only_names_shown(command.description(), counts);
  EXPECT_GT(counts.hidden, 100'000u);
}

// What the server takes for the keys of a call; empty when the call is not valid.
std::set<std::string> keys_by_server(const RedisContext& context, const std::vector<std::string>& call) {
  std::vector<std::string> question{"COMMAND", "GETKEYS"};
  question.insert(question.end(), call.begin(), call.end());
  const RedisReply reply = redis_reply(context.get(), question);
  std::set<std::string> keys;
  for (std::size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; ++i)
    keys.emplace(reply->element[i]->str, static_cast<std::size_t>(reply->element[i]->len));
  return keys;
}

// Which arguments a text shows, of those that are called name and a number.
std::set<std::string> shown_names(const std::vector<std::string>& call) {
  std::set<std::string> names;
  for (const Token& token : shown(call))
    if (token.text.starts_with("name")) names.insert(token.text);
  return names;
}

TEST_F(RedisPolicy, ShowsTheKeysThatTheServerFinds) {
  const RedisContext context = connect();
  std::size_t answered = 0;
  for (const LiveCommand& command : commands_) {
    if (command.keys.empty()) continue;
    std::vector<std::string> call = shortest_call(command.description());
    for (std::size_t at = 0; at < call.size(); ++at)
      if (call[at] == "name") call[at] += std::to_string(at);
    for (const std::string_view rule : split(command.keys, ", "))
      if (rule.ends_with(" count"))
        call[static_cast<std::size_t>(std::atoi(std::string(rule).c_str()))] = "1";
    const std::set<std::string> keys = keys_by_server(context, call);
    if (keys.empty()) continue;
    const std::set<std::string> names = shown_names(call);
    EXPECT_TRUE(std::includes(names.begin(), names.end(), keys.begin(), keys.end()))
        << command.name << ": the server has " << ::testing::PrintToString(keys) << ", shown are "
        << ::testing::PrintToString(names);
    ++answered;
  }
  EXPECT_GT(answered, 150u);
}

TEST_F(RedisPolicy, ShowsTheKeysBehindWordsAndNumbersAndNothingElse) {
  const RedisContext context = connect();
  for (const std::string_view text : {
           "XREAD COUNT 1 BLOCK 0 STREAMS name1 name2 name3 0 0 $",
           "XREADGROUP GROUP group consumer NOACK STREAMS name1 name2 > >",
           "ZUNIONSTORE name1 2 name2 name3 WEIGHTS 1 2 AGGREGATE MAX",
           "ZINTER 3 name1 name2 name3 WITHSCORES",
           "EVAL return 2 name1 name2 argument",
           "EVALSHA 6b1bf486c81ceb7edf3c093f4c48582e38c0e791 1 name1 argument",
           "FCALL function 2 name1 name2 argument",
           "LMPOP 2 name1 name2 LEFT COUNT 3",
           "BLMPOP 0 2 name1 name2 LEFT",
           "MSET name1 value name2 value",
           "BITOP AND name1 name2 name3",
           "GEORADIUS name1 1 2 3 km STORE name2",
           "GEORADIUSBYMEMBER name1 member 3 km STOREDIST name2",
           "GEOSEARCHSTORE name1 name2 FROMMEMBER member BYRADIUS 1 km",
           "MIGRATE 127.0.0.1 6379 \"\" 0 10 COPY KEYS name1 name2",
           "MEMORY USAGE name1 SAMPLES 3",
           "OBJECT ENCODING name1",
           "XGROUP CREATE name1 group $ MKSTREAM",
           "LCS name1 name2 IDX",
       }) {
    std::vector<std::string> call;
    for (const std::string_view part : split(text, " "))
      call.emplace_back(part == "\"\"" ? "" : part);
    const std::set<std::string> keys = keys_by_server(context, call);
    EXPECT_FALSE(keys.empty()) << text;
    EXPECT_EQ(shown_names(call), keys) << text;
  }
}

}  // namespace
}  // namespace midtrace::test
