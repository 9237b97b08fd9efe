// The policy of each command, compared with what the server says of it.

#include "command_policy.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "argument_policy.h"
#include "server_commands.h"

namespace midtrace {
namespace {

using redis::detail::argument_letters;
using redis::detail::command_policies;
using redis::detail::CommandPolicy;
using redis::detail::CommandRole;
using redis::detail::find_policy;
using redis::detail::for_each_policy;
using redis::detail::is_well_formed;
using redis::detail::Trait;

const CommandPolicy* policy_named(std::string_view name) {
  const std::size_t space = name.find(' ');
  if (space == name.npos) return find_policy(name, "");
  return find_policy(name.substr(0, space), name.substr(space + 1));
}

bool has_flag(const test::ServerCommand& command, char flag) {
  return command.flags.find(flag) != std::string_view::npos;
}

TEST(RedisCommandPolicy, EveryCommandOfTheServerHasOne) {
  for (const test::ServerCommand& command : test::server_commands()) {
    const CommandPolicy* policy = policy_named(command.name);
    ASSERT_NE(policy, nullptr) << command.name;
    EXPECT_EQ(policy->name, command.name);
  }
  EXPECT_EQ(command_policies().size(), test::server_commands().size());
}

TEST(RedisCommandPolicy, ThereIsNoneThatTheServerDoesNotKnow) {
  std::set<std::string_view> known;
  for (const test::ServerCommand& command : test::server_commands())
    known.insert(command.name);
  for_each_policy(
      [&](const CommandPolicy& policy) { EXPECT_TRUE(known.contains(policy.name)) << policy.name; });
}

TEST(RedisCommandPolicy, FlagsAreTheServersOwn) {
  for (const test::ServerCommand& command : test::server_commands()) {
    const CommandPolicy& policy = *policy_named(command.name);
    EXPECT_EQ(policy.has(Trait::reads), has_flag(command, 'r')) << command.name;
    EXPECT_EQ(policy.has(Trait::writes), has_flag(command, 'w')) << command.name;
    // WAIT and WAITAOF wait without the flag.
    const bool waits = has_flag(command, 'b') || command.name.starts_with("WAIT");
    EXPECT_EQ(policy.has(Trait::blocks), waits) << command.name;
    // The server flags PUBSUB's sub-commands, but neither itself nor its help.
    const bool pub_sub = has_flag(command, 'p') || command.name == "PUBSUB";
    EXPECT_EQ(policy.has(Trait::pub_sub), pub_sub) << command.name;
  }
}

TEST(RedisCommandPolicy, ContainersAreThoseThatHaveSubCommands) {
  std::set<std::string> with_sub_commands;
  for_each_policy([&](const CommandPolicy& policy) {
    if (policy.is_sub_command()) with_sub_commands.emplace(policy.name.substr(0, policy.name.find(' ')));
  });
  EXPECT_EQ(with_sub_commands.size(), 16u);
  for_each_policy([&](const CommandPolicy& policy) {
    EXPECT_EQ(policy.has(Trait::container), with_sub_commands.contains(std::string(policy.name)))
        << policy.name;
    // An unknown sub-command shows nothing.
    if (policy.has(Trait::container)) {
      EXPECT_EQ(policy.arguments, "") << policy.name;
    }
  });
}

TEST(RedisCommandPolicy, KeysAreWhereTheServerHasThem) {
  for (const test::ServerCommand& command : test::server_commands()) {
    const bool has_keys = !command.keys.empty();
    const bool shows_keys =
        policy_named(command.name)->arguments.find_first_of("k@%") != std::string_view::npos;
    // A shard channel is where a key would be.
    const bool shows_channels = policy_named(command.name)->arguments.starts_with('c');
    EXPECT_EQ(has_keys, shows_keys || (has_keys && shows_channels)) << command.name;
  }
}

TEST(RedisCommandPolicy, LookingUpIgnoresLetterCase) {
  for (const std::string_view name : {"get", "Get", "GET", "gEt"}) {
    ASSERT_NE(find_policy(name, ""), nullptr) << name;
    EXPECT_EQ(find_policy(name, "")->name, "GET");
  }
  EXPECT_EQ(find_policy("config", "sEt")->name, "CONFIG SET");
  EXPECT_EQ(find_policy("Restore-Asking", "")->name, "RESTORE-ASKING");
  EXPECT_EQ(find_policy("sort_ro", "")->name, "SORT_RO");
}

TEST(RedisCommandPolicy, UnknownCommandsHaveNone) {
  for (const std::string_view name : {"", "GE", "GETT", "JSON.SET", "CONFIG SET", "CONFIG|SET", "GET ",
                                      " GET", "G\xC7T", "SENTINELSENTINELSENTINELSENTINELSENTINEL", "0", "-"})
    EXPECT_EQ(find_policy(name, "SET"), nullptr) << name;
  EXPECT_EQ(find_policy(std::string_view("GET\0", 4), ""), nullptr);
}

TEST(RedisCommandPolicy, OfAnUnknownSubCommandItIsTheContainers) {
  for (const std::string_view second :
       {"", "SETT", "SET ", "S", "GET\xFF", "SETSETSETSETSETSETSETSETSETSETSETSET", "CONFIG SET"})
    EXPECT_EQ(find_policy("CONFIG", second)->name, "CONFIG") << second;
  // Where there are no sub-commands the second word does not matter.
  EXPECT_EQ(find_policy("GET", "SET")->name, "GET");
}

TEST(RedisCommandPolicy, RolesAndTraitsOfWhatTracingTreatsApart) {
  struct Case {
    std::string_view name;
    CommandRole role;
    Trait trait;
  };
  for (const Case& each : {
           Case{"AUTH", CommandRole::authenticate, Trait::connection},
           Case{"HELLO", CommandRole::hello, Trait::connection},
           Case{"SELECT", CommandRole::select, Trait::connection},
           Case{"RESET", CommandRole::reset, Trait::connection},
           Case{"QUIT", CommandRole::quit, Trait::connection},
           Case{"MULTI", CommandRole::multi, Trait::transaction},
           Case{"EXEC", CommandRole::exec, Trait::transaction},
           Case{"DISCARD", CommandRole::discard, Trait::transaction},
           Case{"WATCH", CommandRole::watch, Trait::transaction},
           Case{"UNWATCH", CommandRole::unwatch, Trait::transaction},
           Case{"PUBLISH", CommandRole::publish, Trait::pub_sub},
           Case{"SPUBLISH", CommandRole::publish, Trait::pub_sub},
           Case{"SUBSCRIBE", CommandRole::subscribe, Trait::many_replies},
           Case{"PSUBSCRIBE", CommandRole::subscribe, Trait::many_replies},
           Case{"SSUBSCRIBE", CommandRole::subscribe, Trait::many_replies},
           Case{"UNSUBSCRIBE", CommandRole::unsubscribe, Trait::many_replies},
           Case{"PUNSUBSCRIBE", CommandRole::unsubscribe, Trait::many_replies},
           Case{"SUNSUBSCRIBE", CommandRole::unsubscribe, Trait::many_replies},
           Case{"EVAL", CommandRole::script_body, Trait::script},
           Case{"EVAL_RO", CommandRole::script_body, Trait::script},
           Case{"EVALSHA", CommandRole::script_sha, Trait::script},
           Case{"EVALSHA_RO", CommandRole::script_sha, Trait::script},
           Case{"FCALL", CommandRole::function_call, Trait::script},
           Case{"FCALL_RO", CommandRole::function_call, Trait::script},
           Case{"XADD", CommandRole::stream_add, Trait::writes},
           Case{"XREAD", CommandRole::stream_read, Trait::blocks},
           Case{"XREADGROUP", CommandRole::stream_read, Trait::blocks},
           Case{"XCLAIM", CommandRole::stream_claim, Trait::writes},
           Case{"XAUTOCLAIM", CommandRole::stream_claim, Trait::writes},
           Case{"XACK", CommandRole::stream_acknowledge, Trait::writes},
           Case{"CLIENT REPLY", CommandRole::client_reply, Trait::many_replies},
           Case{"MONITOR", CommandRole::monitor, Trait::many_replies},
           Case{"SYNC", CommandRole::replicate, Trait::many_replies},
           Case{"PSYNC", CommandRole::replicate, Trait::many_replies},
       }) {
    EXPECT_EQ(policy_named(each.name)->role, each.role) << each.name;
    EXPECT_TRUE(policy_named(each.name)->has(each.trait)) << each.name;
  }
  EXPECT_EQ(policy_named("PING")->role, CommandRole::keep_alive);
  EXPECT_EQ(policy_named("ECHO")->role, CommandRole::plain);
}

TEST(RedisCommandPolicy, PatternsAreChecked) {
  for (const std::string_view good : {"", "k", "k*", "k*#", "(k_)*", "<ONE>", "<ONE|TWO>k", "[A]",
                                      "[A B:k C:<X|Y>_ D:k*]_", "@[W:=]", "k[M:~#]i(f_)*", "%"})
    EXPECT_TRUE(is_well_formed(good)) << good;
  for (const std::string_view bad :
       {"x",        "?",       "*",  "k**",    "k*[A]", "(k_)", "(k_)*k", "()*",    "(<A>)*",
        "<>",       "<one>",   "<A", "<A||B>", "[]",    "[A",   "[A:]",   "[A: B]", "[A:@]",
        "[A:(k)*]", "[A:k*k]", "%k", "=",      "~",     "@*",   "k ",     " "})
    EXPECT_FALSE(is_well_formed(bad)) << bad;
  for (const char letter : argument_letters)
    EXPECT_TRUE(is_well_formed(std::string(1, letter)));
}

}  // namespace
}  // namespace midtrace
