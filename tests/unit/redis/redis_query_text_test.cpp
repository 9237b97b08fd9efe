// What command texts show, and how commands are named.

#include "query_text.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "server_commands.h"
#include "support/allocations.h"

namespace midtrace {
namespace {

using redis::detail::Arguments;
using redis::detail::default_query_text_bytes;
using redis::detail::operation_name;
using redis::detail::policy_of;
using redis::detail::QueryText;
using redis::detail::stored_procedure_name;
using redis::detail::write_query_text;

constexpr std::string_view sha = "6b1bf486c81ceb7edf3c093f4c48582e38c0e791";

struct Shown {
  std::string text;
  bool truncated = false;
};

Shown shown(const std::vector<std::string_view>& command, std::size_t bytes = default_query_text_bytes) {
  std::vector<char> buffer(bytes);
  const Arguments arguments{std::span<const std::string_view>(command)};
  const QueryText text = write_query_text(policy_of(arguments), arguments, buffer);
  return {std::string(text.text), text.truncated};
}

std::string text_of(std::string_view line) { return shown(test::split(line, " ")).text; }

struct Case {
  std::string_view command;
  std::string_view text;
};

TEST(RedisQueryText, ExamplesOfTheConventions) {
  for (const Case& each : {
           Case{"HMSET myhash field1 Hello field2 World", "HMSET myhash field1 ? field2 ?"},
           Case{"SET mykey Hello", "SET mykey ?"},
       })
    EXPECT_EQ(text_of(each.command), each.text);
}

TEST(RedisQueryText, WhatTheTableKeepsAndNothingElse) {
  for (const Case& each : {
           // Nothing.
           Case{"AUTH secret", "AUTH ?"},
           Case{"AUTH user secret", "AUTH ? ?"},
           Case{"ECHO secret", "ECHO ?"},
           Case{"PING secret", "PING ?"},
           Case{"PING", "PING"},
           // Keys alone.
           Case{"GET k", "GET k"},
           Case{"GET k secret", "GET k ?"},
           Case{"MGET a b c", "MGET a b c"},
           Case{"DEL a b", "DEL a b"},
           Case{"SETNX k v", "SETNX k ?"},
           Case{"GETSET k v", "GETSET k ?"},
           Case{"APPEND k v", "APPEND k ?"},
           Case{"SETRANGE k 5 v", "SETRANGE k ? ?"},
           Case{"SETBIT k 7 1", "SETBIT k ? ?"},
           Case{"GETBIT k 7", "GETBIT k ?"},
           Case{"BITCOUNT k 0 7 BIT", "BITCOUNT k ? ? BIT"},
           Case{"BITOP AND d a b", "BITOP AND d a b"},
           Case{"BITOP k d a b", "BITOP ? ? ? ?"},
           Case{"BITFIELD k SET u8 0 255", "BITFIELD k ? ? ? ?"},
           Case{"INCR k", "INCR k"},
           Case{"INCRBY k 42", "INCRBY k ?"},
           Case{"INCRBYFLOAT k 4.2", "INCRBYFLOAT k ?"},
           Case{"DECRBY k 42", "DECRBY k ?"},
           Case{"HINCRBY k f 42", "HINCRBY k ? ?"},
           Case{"HINCRBYFLOAT k f 4.2", "HINCRBYFLOAT k ? ?"},
           Case{"GEOADD k 13.36 38.11 Palermo", "GEOADD k ? ? ?"},
           Case{"GEOPOS k Palermo", "GEOPOS k ?"},
           Case{"SORT k BY w_* GET o_* STORE d", "SORT k ? ? ? ? ? ?"},
           Case{"LPUSH k a b", "LPUSH k ? ?"},
           Case{"LREM k 2 v", "LREM k ? ?"},
           Case{"LSET k 2 v", "LSET k ? ?"},
           Case{"LPOS k v RANK 2", "LPOS k ? RANK ?"},
           Case{"SADD k m", "SADD k ?"},
           Case{"SISMEMBER k m", "SISMEMBER k ?"},
           Case{"SMOVE a b m", "SMOVE a b ?"},
           Case{"ZADD k NX CH 1.5 m 2 n", "ZADD k NX CH ? ? ? ?"},
           Case{"ZADD k 1 NX", "ZADD k ? ?"},
           Case{"ZINCRBY k 5 m", "ZINCRBY k ? ?"},
           Case{"ZCOUNT k 1 5", "ZCOUNT k ? ?"},
           Case{"PFADD k a", "PFADD k ?"},
           Case{"PFCOUNT a b", "PFCOUNT a b"},
           // Values in pairs.
           Case{"MSET a 1 b 2", "MSET a ? b ?"},
           Case{"MSETNX a 1", "MSETNX a ?"},
           Case{"MSET a 1 b", "MSET ? ? ?"},
           Case{"HSET h f v g w", "HSET h f ? g ?"},
           Case{"HSET h f v g", "HSET h ? ? ?"},
           Case{"HSETNX h f v", "HSETNX h f ?"},
           // Options.
           Case{"SET k v EX 60 NX", "SET k ? EX ? NX"},
           Case{"SET k v ex 60 Get", "SET k ? ex ? Get"},
           Case{"SET k v WHAT NX", "SET k ? ? ?"},
           Case{"SET k NX", "SET k ?"},
           Case{"SETEX k 60 v", "SETEX k 60 ?"},
           Case{"SETEX k v 60", "SETEX k ? ?"},
           Case{"PSETEX k 60000 v", "PSETEX k 60000 ?"},
           Case{"GETEX k EX 60", "GETEX k EX 60"},
           Case{"GETEX k EXAT 1700000000", "GETEX k EXAT ?"},
           Case{"EXPIRE k 60 NX", "EXPIRE k 60 NX"},
           Case{"EXPIRE k 12345678901", "EXPIRE k ?"},
           Case{"EXPIREAT k 1700000000", "EXPIREAT k ?"},
           Case{"RESTORE k 0 serialized REPLACE", "RESTORE k 0 ? REPLACE"},
           Case{"COPY a b DB 3 REPLACE", "COPY a b DB 3 REPLACE"},
           Case{"LINSERT k BEFORE pivot v", "LINSERT k BEFORE ? ?"},
           Case{"LINSERT k pivot v", "LINSERT k ? ?"},
           Case{"LRANGE k 0 -1", "LRANGE k 0 -1"},
           Case{"LPOP k 5", "LPOP k 5"},
           Case{"BLPOP a b 0.5", "BLPOP a b 0.5"},
           Case{"BLPOP a b", "BLPOP a ?"},
           Case{"BLMOVE a b LEFT RIGHT 5", "BLMOVE a b LEFT RIGHT 5"},
           Case{"BLMPOP 0 2 a b LEFT COUNT 3", "BLMPOP 0 2 a b LEFT COUNT 3"},
           Case{"LMPOP 4 a b LEFT", "LMPOP ? ? ? ?"},
           Case{"SCAN 17 MATCH user:* COUNT 10 TYPE hash", "SCAN ? MATCH user:* COUNT 10 TYPE hash"},
           Case{"HSCAN k 17 MATCH f* COUNT 10", "HSCAN k ? MATCH ? COUNT 10"},
           Case{"KEYS user:*", "KEYS user:*"},
           Case{"OBJECT ENCODING k", "OBJECT ENCODING k"},
           Case{"ZRANGE k 0 -1 WITHSCORES", "ZRANGE k ? ? WITHSCORES"},
           Case{"ZRANGE k (1 5 BYSCORE LIMIT 0 10", "ZRANGE k ? ? BYSCORE LIMIT 0 10"},
           Case{"ZREVRANGE k 0 9 WITHSCORES", "ZREVRANGE k 0 9 WITHSCORES"},
           Case{"ZRANGEBYSCORE k -inf 5 LIMIT 0 10", "ZRANGEBYSCORE k ? ? LIMIT 0 10"},
           Case{"ZUNIONSTORE d 2 a b WEIGHTS 3 4 AGGREGATE MAX",
                "ZUNIONSTORE d 2 a b WEIGHTS ? ? AGGREGATE MAX"},
           Case{"ZINTER 1 a WEIGHTS 3 WITHSCORES", "ZINTER 1 a WEIGHTS ? WITHSCORES"},
           Case{"SINTERCARD 2 a b LIMIT 5", "SINTERCARD 2 a b LIMIT 5"},
           Case{"GEOSEARCH k FROMLONLAT 15 37 BYRADIUS 200 km ASC",
                "GEOSEARCH k FROMLONLAT ? ? BYRADIUS ? km ASC"},
           Case{"GEORADIUS k 15 37 200 km STORE d", "GEORADIUS k ? ? ? km STORE d"},
           // Streams.
           Case{"XADD s * f v g w", "XADD s * f ? g ?"},
           Case{"XADD s 1700000000000-0 f v", "XADD s ? f ?"},
           Case{"XADD s NOMKSTREAM MAXLEN ~ 1000 LIMIT 10 * f v",
                "XADD s NOMKSTREAM MAXLEN ~ 1000 LIMIT 10 * f ?"},
           Case{"XADD s MAXLEN 1000 * f v", "XADD s MAXLEN 1000 * f ?"},
           Case{"XADD s MINID = 1700-0 * f v", "XADD s MINID = ? * f ?"},
           Case{"XADD s * f v g", "XADD s * ? ? ?"},
           Case{"XREAD COUNT 2 BLOCK 100 STREAMS a b $ 1-1", "XREAD COUNT 2 BLOCK 100 STREAMS a b $ ?"},
           Case{"XREAD STREAMS a b $", "XREAD STREAMS ? ? ?"},
           Case{"XREADGROUP GROUP g c NOACK STREAMS a >", "XREADGROUP GROUP g ? NOACK STREAMS a >"},
           Case{"XREADGROUP g c STREAMS a >", "XREADGROUP ? ? ? ? ?"},
           Case{"XACK s g 1-1 2-1", "XACK s g ? ?"},
           Case{"XAUTOCLAIM s g c 60000 0-0 COUNT 10", "XAUTOCLAIM s g ? 60000 0-0 COUNT 10"},
           Case{"XRANGE s - + COUNT 10", "XRANGE s - + COUNT 10"},
           Case{"XPENDING s g IDLE 100 - + 10 c", "XPENDING s g IDLE 100 - + 10 ?"},
           Case{"XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s g $ MKSTREAM"},
           Case{"XGROUP CREATECONSUMER s g c", "XGROUP CREATECONSUMER s g ?"},
           Case{"XINFO STREAM s FULL COUNT 10", "XINFO STREAM s FULL COUNT 10"},
           // Pub/sub.
           Case{"PUBLISH news hello", "PUBLISH news ?"},
           Case{"SPUBLISH news hello", "SPUBLISH news ?"},
           Case{"SUBSCRIBE a b", "SUBSCRIBE a b"},
           Case{"PSUBSCRIBE news.*", "PSUBSCRIBE news.*"},
           Case{"PUBSUB NUMSUB a", "PUBSUB NUMSUB a"},
           // Scripts.
           Case{"EVAL return(1) 1 k secret", "EVAL ? 1 k ?"},
           Case{"EVAL return(1) k secret", "EVAL ? ? ?"},
           Case{"EVAL return(1) 3 k secret", "EVAL ? ? ? ?"},
           Case{"EVALSHA 6b1bf486c81ceb7edf3c093f4c48582e38c0e791 1 k v",
                "EVALSHA 6b1bf486c81ceb7edf3c093f4c48582e38c0e791 1 k ?"},
           Case{"EVALSHA return(1) 1 k v", "EVALSHA ? 1 k ?"},
           Case{"FCALL my_function 2 a b v", "FCALL my_function 2 a b ?"},
           Case{"FCALL return(1) 1 a", "FCALL ? 1 a"},
           Case{"SCRIPT LOAD return(1)", "SCRIPT LOAD ?"},
           Case{"FUNCTION LOAD REPLACE body", "FUNCTION LOAD REPLACE ?"},
           Case{"FUNCTION LOAD body", "FUNCTION LOAD ?"},
           // The connection and the server.
           Case{"SELECT 3", "SELECT 3"},
           Case{"HELLO 3 AUTH user secret SETNAME name", "HELLO 3 AUTH ? ? SETNAME ?"},
           Case{"HELLO 12345 AUTH user secret", "HELLO ? ? ? ?"},
           Case{"CLIENT SETNAME name", "CLIENT SETNAME ?"},
           Case{"CLIENT SETINFO lib-name secret", "CLIENT SETINFO lib-name ?"},
           Case{"CLIENT KILL ID 7 SKIPME yes", "CLIENT KILL ID ? SKIPME yes"},
           Case{"CLIENT KILL 10.0.0.1:5000", "CLIENT KILL ?"},
           Case{"CLIENT NONSENSE secret", "CLIENT ? ?"},
           Case{"CONFIG SET requirepass secret", "CONFIG SET requirepass ?"},
           Case{"CONFIG SET maxmemory 1 requirepass secret", "CONFIG SET maxmemory ? requirepass ?"},
           Case{"CONFIG SET maxmemory requirepass secret", "CONFIG SET ? ? ?"},
           Case{"CONFIG GET max*", "CONFIG GET max*"},
           Case{"ACL SETUSER alice on >secret ~* +@all", "ACL SETUSER ? ? ? ? ?"},
           Case{"ACL GETUSER alice", "ACL GETUSER ?"},
           Case{"MIGRATE host 6379 k 0 5000 COPY AUTH secret", "MIGRATE ? ? k 0 5000 COPY AUTH ?"},
           Case{"MIGRATE host 6379 k 0 5000 AUTH2 user secret KEYS a b",
                "MIGRATE ? ? k 0 5000 AUTH2 ? ? KEYS a b"},
           Case{"MIGRATE host 6379 k 0 5000 AUTH KEYS secret", "MIGRATE ? ? k 0 5000 AUTH ? ?"},
           Case{"REPLICAOF NO ONE", "REPLICAOF NO ONE"},
           Case{"REPLICAOF host 6379", "REPLICAOF ? ?"},
           Case{"FAILOVER TO host 6379 FORCE TIMEOUT 100", "FAILOVER TO ? ? FORCE TIMEOUT 100"},
           Case{"PSYNC id 1", "PSYNC ? ?"},
           Case{"REPLCONF listening-port 6380", "REPLCONF ? ?"},
           Case{"MODULE LOADEX /path CONFIG n v ARGS a b", "MODULE LOADEX ? CONFIG ? ? ARGS ? ?"},
           Case{"DEBUG SLEEP 1", "DEBUG SLEEP ?"},
           Case{"DEBUG SECRET 1", "DEBUG ? ?"},
           Case{"INFO server memory", "INFO server memory"},
           Case{"INFO secret", "INFO ?"},
           Case{"MEMORY USAGE k SAMPLES 5", "MEMORY USAGE k SAMPLES 5"},
           Case{"COMMAND GETKEYS SET k secret", "COMMAND GETKEYS ? ? ?"},
           Case{"CLUSTER SETSLOT 5 NODE id", "CLUSTER SETSLOT 5 NODE ?"},
           Case{"LATENCY HISTORY event", "LATENCY HISTORY ?"},
           Case{"SENTINEL SET name auth-pass secret", "SENTINEL SET ? ? ?"},
           // Unknown commands.
           Case{"JSON.SET doc $ {}", "JSON.SET ? ? ?"},
           Case{"FT.SEARCH index query", "FT.SEARCH ? ?"},
           Case{"b840fc02d524045429941cc15f59e41cb7be6c52 SET requirepass", "? ? ?"},
       })
    EXPECT_EQ(text_of(each.command), each.text) << each.command;
}

TEST(RedisQueryText, LetterCaseIsTheApplications) {
  EXPECT_EQ(text_of("hGetAll Key"), "hGetAll Key");
  EXPECT_EQ(text_of("config set Save x"), "config set Save ?");
}

TEST(RedisQueryText, NamesAreQuotedWhereTheCommandLineNeedsIt) {
  EXPECT_EQ(shown({"MGET", "a b", "", "it's", "say \"hi\\\"", "?", "...", "a\\b"}).text,
            R"(MGET "a b" "" "it's" "say \"hi\\\"" "?" "..." a\b)");
}

TEST(RedisQueryText, NamesThatAreNoTextAreHidden) {
  const std::string longest(256, 'k');
  const std::string longer(257, 'k');
  EXPECT_EQ(shown({"MGET", std::string_view("a\0b", 3), "a\r\n", "\xff", "\xc3\xa9t\xc3\xa9"}).text,
            "MGET ? ? ? \xc3\xa9t\xc3\xa9");
  EXPECT_EQ(shown({"MGET", longest, longer}).text, "MGET " + longest + " ?");
}

TEST(RedisQueryText, NumbersAreShortAndPlain) {
  for (const std::string_view number : {"0", "-1", "1234567890", "0.5", "10.125", "-0.5"})
    EXPECT_EQ(shown({"LPOP", "k", number}).text, "LPOP k " + std::string(number));
  for (const std::string_view number :
       {"", "-", ".", "1.", ".5", "12345678901", "1.2345", "1e5", "0x1", "+1", " 1", "1 ", "--1", "1.2.3"})
    EXPECT_EQ(shown({"LPOP", "k", number}).text, "LPOP k ?") << number;
}

TEST(RedisQueryText, ATextThatDoesNotFitEndsAfterAnArgument) {
  const std::vector<std::string_view> command = {"MGET", "aaa", "bbb", "ccc"};
  const std::array<std::string_view, 17> texts = {
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "MGET ...",
      "MGET ...",
      "MGET ...",
      "MGET ...",
      "MGET aaa ...",
      "MGET aaa ...",
      "MGET aaa ...",
      "MGET aaa ...",
      "MGET aaa bbb ccc",
  };
  for (std::size_t bytes = 0; bytes < texts.size(); ++bytes) {
    const Shown text = shown(command, bytes);
    EXPECT_EQ(text.text, texts[bytes]) << bytes;
    EXPECT_EQ(text.truncated, bytes < 16) << bytes;
  }
}

TEST(RedisQueryText, ALongCommandIsBounded) {
  std::vector<std::string_view> command = {"SADD", "key"};
  command.resize(1'000'000, "member");
  const Shown text = shown(command);
  EXPECT_TRUE(text.truncated);
  EXPECT_LE(text.text.size(), default_query_text_bytes);
  EXPECT_GT(text.text.size(), default_query_text_bytes - 8);
  EXPECT_TRUE(text.text.starts_with("SADD key ? ? ?"));
  EXPECT_TRUE(text.text.ends_with("? ? ..."));
}

TEST(RedisQueryText, AShownNameThatDoesNotFitIsLeftOutWhole) {
  const std::string key(200, 'k');
  EXPECT_EQ(shown({"GET", key}, 100).text, "GET ...");
  EXPECT_EQ(shown({"GET", key}, 204).text, "GET " + key);
  EXPECT_EQ(shown({"GET", "a b"}, 8).text, "GET ...");
  EXPECT_EQ(shown({"GET", "a b"}, 9).text, "GET \"a b\"");
}

TEST(RedisQueryText, NoCommandHasNoText) {
  EXPECT_EQ(shown({}).text, "");
  EXPECT_EQ(shown({""}).text, "?");
  EXPECT_EQ(shown({"CONFIG"}).text, "CONFIG");
}

std::string_view operation_of(const std::vector<std::string_view>& command) {
  return operation_name(policy_of(Arguments{std::span<const std::string_view>(command)}), command[0]);
}

TEST(RedisQueryText, TheOperationIsTheCommandAsItWasSent) {
  EXPECT_EQ(operation_of({"GET", "k"}), "GET");
  EXPECT_EQ(operation_of({"hGetAll", "k"}), "hGetAll");
  EXPECT_EQ(operation_of({"CONFIG", "SET", "a", "b"}), "CONFIG");
  EXPECT_EQ(operation_of({"JSON.SET", "k"}), "JSON.SET");
  EXPECT_EQ(operation_of({"FT._LIST"}), "FT._LIST");
  for (const std::string_view name :
       {"", "key:17", "GET k", "b840fc02d524", "GETSETGETSETGETSETGETSETG", "s\xc3\xa9t", "a\n"})
    EXPECT_EQ(operation_of({name}), "_OTHER") << name;
}

std::string_view procedure_of(const std::vector<std::string_view>& command) {
  const Arguments arguments{std::span<const std::string_view>(command)};
  return stored_procedure_name(policy_of(arguments), arguments);
}

TEST(RedisQueryText, StoredProceduresAreScriptsByTheirShaAndFunctions) {
  EXPECT_EQ(procedure_of({"EVALSHA", sha, "0"}), sha);
  EXPECT_EQ(procedure_of({"evalsha_ro", sha, "0"}), sha);
  EXPECT_EQ(procedure_of({"FCALL", "my_function", "0"}), "my_function");
  EXPECT_EQ(procedure_of({"FCALL_RO", "my_function", "0"}), "my_function");
  EXPECT_EQ(procedure_of({"EVAL", "return 1", "0"}), "");
  EXPECT_EQ(procedure_of({"EVAL", sha, "0"}), "");
  EXPECT_EQ(procedure_of({"EVALSHA", "return 1", "0"}), "");
  EXPECT_EQ(procedure_of({"FCALL", "return 1", "0"}), "");
  EXPECT_EQ(procedure_of({"EVALSHA"}), "");
  EXPECT_EQ(procedure_of({"GET", sha}), "");
  EXPECT_EQ(procedure_of({"UNKNOWN", sha}), "");
}

TEST(RedisQueryText, NothingIsAllocated) {
  if (!test::allocations_are_counted) GTEST_SKIP() << "the sanitizer has a heap of its own";
  const std::vector<std::string_view> command = {"XADD", "s", "MAXLEN", "~", "1000", "*", "field", "value"};
  std::array<char, default_query_text_bytes> buffer;
  const std::uint64_t before = test::allocations_of_this_thread();
  const Arguments arguments{std::span<const std::string_view>(command)};
  const QueryText text = write_query_text(policy_of(arguments), arguments, buffer);
  EXPECT_EQ(test::allocations_of_this_thread() - before, 0u);
  EXPECT_EQ(text.text, "XADD s MAXLEN ~ 1000 * field ?");
}

}  // namespace
}  // namespace midtrace
