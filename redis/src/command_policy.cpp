#include "command_policy.h"

#include <array>
#include <bit>
#include <cstring>

#include "argument_policy.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

using enum Trait;

constexpr CommandPolicy table[] = {
    // Keys.
    {"COPY", "kk[DB:# REPLACE]", writes},
    {"DEL", "k*", writes},
    {"DUMP", "k", reads},
    {"EXISTS", "k*", reads},
    {"EXPIRE", "k#[NX XX GT LT]", writes},
    {"EXPIREAT", "k_[NX XX GT LT]", writes},
    {"EXPIRETIME", "k", reads},
    {"KEYS", "p", reads},
    {"MIGRATE", "__k##[COPY REPLACE AUTH:_ AUTH2:__ KEYS:k*]", writes},
    {"MOVE", "k#", writes},
    {"OBJECT", "", container},
    {"OBJECT ENCODING", "k", reads},
    {"OBJECT FREQ", "k", reads},
    {"OBJECT HELP", ""},
    {"OBJECT IDLETIME", "k", reads},
    {"OBJECT REFCOUNT", "k", reads},
    {"PERSIST", "k", writes},
    {"PEXPIRE", "k#[NX XX GT LT]", writes},
    {"PEXPIREAT", "k_[NX XX GT LT]", writes},
    {"PEXPIRETIME", "k", reads},
    {"PTTL", "k", reads},
    {"RANDOMKEY", "", reads},
    {"RENAME", "kk", writes},
    {"RENAMENX", "kk", writes},
    {"RESTORE", "k#_[REPLACE ABSTTL IDLETIME:_ FREQ:_]", writes},
    {"SCAN", "_[MATCH:p COUNT:# TYPE:<STRING|LIST|SET|ZSET|HASH|STREAM>]", reads},
    {"SORT", "k", writes},
    {"SORT_RO", "k", reads},
    {"TOUCH", "k*", reads},
    {"TTL", "k", reads},
    {"TYPE", "k", reads},
    {"UNLINK", "k*", writes},
    {"WAIT", "##", blocks},
    {"WAITAOF", "###", blocks},
    // Strings.
    {"APPEND", "k_", writes},
    {"DECR", "k", writes},
    {"DECRBY", "k_", writes},
    {"GET", "k", reads},
    {"GETDEL", "k", writes},
    {"GETEX", "k[EX:# PX:# EXAT:_ PXAT:_ PERSIST]", writes},
    {"GETRANGE", "k##", reads},
    {"GETSET", "k_", writes},
    {"INCR", "k", writes},
    {"INCRBY", "k_", writes},
    {"INCRBYFLOAT", "k_", writes},
    {"LCS", "kk[LEN IDX MINMATCHLEN:# WITHMATCHLEN]", reads},
    {"MGET", "k*", reads},
    {"MSET", "(k_)*", writes},
    {"MSETNX", "(k_)*", writes},
    {"PSETEX", "k#_", writes},
    {"SET", "k_[NX XX GET KEEPTTL EX:_ PX:_ EXAT:_ PXAT:_]", writes},
    {"SETEX", "k#_", writes},
    {"SETNX", "k_", writes},
    {"SETRANGE", "k", writes},
    {"STRLEN", "k", reads},
    {"SUBSTR", "k##", reads},
    // Bitmaps.
    {"BITCOUNT", "k__<BYTE|BIT>", reads},
    {"BITFIELD", "k", writes},
    {"BITFIELD_RO", "k", reads},
    {"BITOP", "<AND|OR|XOR|NOT>kk*", writes},
    {"BITPOS", "k___<BYTE|BIT>", reads},
    {"GETBIT", "k_", reads},
    {"SETBIT", "k", writes},
    // HyperLogLog.
    {"PFADD", "k", writes},
    {"PFCOUNT", "k*", reads},
    {"PFDEBUG", "<GETREG|DECODE|ENCODING|TODENSE>k", writes},
    {"PFMERGE", "k*", writes},
    {"PFSELFTEST", ""},
    // Hashes.
    {"HDEL", "kf*", writes},
    {"HEXISTS", "kf", reads},
    {"HGET", "kf", reads},
    {"HGETALL", "k", reads},
    {"HINCRBY", "k", writes},
    {"HINCRBYFLOAT", "k", writes},
    {"HKEYS", "k", reads},
    {"HLEN", "k", reads},
    {"HMGET", "kf*", reads},
    {"HMSET", "k(f_)*", writes},
    {"HRANDFIELD", "k#[WITHVALUES]", reads},
    {"HSCAN", "k_[MATCH:_ COUNT:#]", reads},
    {"HSET", "k(f_)*", writes},
    {"HSETNX", "kf_", writes},
    {"HSTRLEN", "kf", reads},
    {"HVALS", "k", reads},
    // Lists.
    {"BLMOVE", "kk<LEFT|RIGHT><LEFT|RIGHT>#", writes | blocks},
    {"BLMPOP", "#@<LEFT|RIGHT>[COUNT:#]", writes | blocks},
    {"BLPOP", "k*#", writes | blocks},
    {"BRPOP", "k*#", writes | blocks},
    {"BRPOPLPUSH", "kk#", writes | blocks},
    {"LINDEX", "k#", reads},
    {"LINSERT", "k<BEFORE|AFTER>__", writes},
    {"LLEN", "k", reads},
    {"LMOVE", "kk<LEFT|RIGHT><LEFT|RIGHT>", writes},
    {"LMPOP", "@<LEFT|RIGHT>[COUNT:#]", writes},
    {"LPOP", "k#", writes},
    {"LPOS", "k_[RANK:_ COUNT:_ MAXLEN:_]", reads},
    {"LPUSH", "k", writes},
    {"LPUSHX", "k", writes},
    {"LRANGE", "k##", reads},
    {"LREM", "k", writes},
    {"LSET", "k", writes},
    {"LTRIM", "k##", writes},
    {"RPOP", "k#", writes},
    {"RPOPLPUSH", "kk", writes},
    {"RPUSH", "k", writes},
    {"RPUSHX", "k", writes},
    // Sets.
    {"SADD", "k", writes},
    {"SCARD", "k", reads},
    {"SDIFF", "k*", reads},
    {"SDIFFSTORE", "kk*", writes},
    {"SINTER", "k*", reads},
    {"SINTERCARD", "@[LIMIT:#]", reads},
    {"SINTERSTORE", "kk*", writes},
    {"SISMEMBER", "k", reads},
    {"SMEMBERS", "k", reads},
    {"SMISMEMBER", "k", reads},
    {"SMOVE", "kk_", writes},
    {"SPOP", "k#", writes},
    {"SRANDMEMBER", "k#", reads},
    {"SREM", "k", writes},
    {"SSCAN", "k_[MATCH:_ COUNT:#]", reads},
    {"SUNION", "k*", reads},
    {"SUNIONSTORE", "kk*", writes},
    // Sorted sets.
    {"BZMPOP", "#@<MIN|MAX>[COUNT:#]", writes | blocks},
    {"BZPOPMAX", "k*#", writes | blocks},
    {"BZPOPMIN", "k*#", writes | blocks},
    {"ZADD", "k[NX XX GT LT CH INCR]", writes},
    {"ZCARD", "k", reads},
    {"ZCOUNT", "k", reads},
    {"ZDIFF", "@[WITHSCORES]", reads},
    {"ZDIFFSTORE", "k@", writes},
    {"ZINCRBY", "k", writes},
    {"ZINTER", "@[WEIGHTS:= AGGREGATE:<SUM|MIN|MAX> WITHSCORES]", reads},
    {"ZINTERCARD", "@[LIMIT:#]", reads},
    {"ZINTERSTORE", "k@[WEIGHTS:= AGGREGATE:<SUM|MIN|MAX>]", writes},
    {"ZLEXCOUNT", "k", reads},
    {"ZMPOP", "@<MIN|MAX>[COUNT:#]", writes},
    {"ZMSCORE", "k", reads},
    {"ZPOPMAX", "k#", writes},
    {"ZPOPMIN", "k#", writes},
    {"ZRANDMEMBER", "k#[WITHSCORES]", reads},
    {"ZRANGE", "k__[BYSCORE BYLEX REV LIMIT:## WITHSCORES]", reads},
    {"ZRANGEBYLEX", "k__[LIMIT:##]", reads},
    {"ZRANGEBYSCORE", "k__[WITHSCORES LIMIT:##]", reads},
    {"ZRANGESTORE", "kk__[BYSCORE BYLEX REV LIMIT:##]", writes},
    {"ZRANK", "k_[WITHSCORE]", reads},
    {"ZREM", "k", writes},
    {"ZREMRANGEBYLEX", "k", writes},
    {"ZREMRANGEBYRANK", "k##", writes},
    {"ZREMRANGEBYSCORE", "k", writes},
    {"ZREVRANGE", "k##[WITHSCORES]", reads},
    {"ZREVRANGEBYLEX", "k__[LIMIT:##]", reads},
    {"ZREVRANGEBYSCORE", "k__[WITHSCORES LIMIT:##]", reads},
    {"ZREVRANK", "k_[WITHSCORE]", reads},
    {"ZSCAN", "k_[MATCH:_ COUNT:#]", reads},
    {"ZSCORE", "k", reads},
    {"ZUNION", "@[WEIGHTS:= AGGREGATE:<SUM|MIN|MAX> WITHSCORES]", reads},
    {"ZUNIONSTORE", "k@[WEIGHTS:= AGGREGATE:<SUM|MIN|MAX>]", writes},
    // Geospatial.
    {"GEOADD", "k", writes},
    {"GEODIST", "k__<M|KM|FT|MI>", reads},
    {"GEOHASH", "k", reads},
    {"GEOPOS", "k", reads},
    {"GEORADIUS", "k___<M|KM|FT|MI>[WITHCOORD WITHDIST WITHHASH COUNT:# ANY ASC DESC STORE:k STOREDIST:k]",
     writes},
    {"GEORADIUSBYMEMBER",
     "k__<M|KM|FT|MI>[WITHCOORD WITHDIST WITHHASH COUNT:# ANY ASC DESC STORE:k STOREDIST:k]", writes},
    {"GEORADIUSBYMEMBER_RO", "k__<M|KM|FT|MI>[WITHCOORD WITHDIST WITHHASH COUNT:# ANY ASC DESC]", reads},
    {"GEORADIUS_RO", "k___<M|KM|FT|MI>[WITHCOORD WITHDIST WITHHASH COUNT:# ANY ASC DESC]", reads},
    {"GEOSEARCH",
     "k[FROMMEMBER:_ FROMLONLAT:__ BYRADIUS:_<M|KM|FT|MI> BYBOX:__<M|KM|FT|MI> ASC DESC COUNT:# ANY "
     "WITHCOORD WITHDIST WITHHASH]",
     reads},
    {"GEOSEARCHSTORE",
     "kk[FROMMEMBER:_ FROMLONLAT:__ BYRADIUS:_<M|KM|FT|MI> BYBOX:__<M|KM|FT|MI> ASC DESC COUNT:# ANY "
     "STOREDIST]",
     writes},
    // Streams.
    {"XACK", "kgi*", writes, CommandRole::stream_acknowledge},
    {"XADD", "k[NOMKSTREAM MAXLEN:~# MINID:~_ LIMIT:#]i(f_)*", writes, CommandRole::stream_add},
    {"XAUTOCLAIM", "kg_#i[COUNT:# JUSTID]", writes, CommandRole::stream_claim},
    {"XCLAIM", "kg_#", writes, CommandRole::stream_claim},
    {"XDEL", "k", writes},
    {"XGROUP", "", container},
    {"XGROUP CREATE", "kgi[MKSTREAM ENTRIESREAD:#]", writes},
    {"XGROUP CREATECONSUMER", "kg", writes},
    {"XGROUP DELCONSUMER", "kg", writes},
    {"XGROUP DESTROY", "kg", writes},
    {"XGROUP HELP", ""},
    {"XGROUP SETID", "kgi[ENTRIESREAD:#]", writes},
    {"XINFO", "", container},
    {"XINFO CONSUMERS", "kg", reads},
    {"XINFO GROUPS", "k", reads},
    {"XINFO HELP", ""},
    {"XINFO STREAM", "k[FULL COUNT:#]", reads},
    {"XLEN", "k", reads},
    {"XPENDING", "kg[IDLE:#]ii#_", reads},
    {"XRANGE", "kii[COUNT:#]", reads},
    {"XREAD", "[COUNT:# BLOCK:#]<STREAMS>%", reads | blocks, CommandRole::stream_read},
    {"XREADGROUP", "<GROUP>g_[COUNT:# BLOCK:# NOACK]<STREAMS>%", writes | blocks, CommandRole::stream_read},
    {"XREVRANGE", "kii[COUNT:#]", reads},
    {"XSETID", "ki[ENTRIESADDED:# MAXDELETEDID:_]", writes},
    {"XTRIM", "k[MAXLEN:~# MINID:~_ LIMIT:#]", writes},
    // Publish and subscribe.
    {"PSUBSCRIBE", "c*", pub_sub | many_replies, CommandRole::subscribe},
    {"PUBLISH", "c_", pub_sub, CommandRole::publish},
    {"PUBSUB", "", container | pub_sub},
    {"PUBSUB CHANNELS", "c", pub_sub},
    {"PUBSUB HELP", ""},
    {"PUBSUB NUMPAT", "", pub_sub},
    {"PUBSUB NUMSUB", "c*", pub_sub},
    {"PUBSUB SHARDCHANNELS", "c", pub_sub},
    {"PUBSUB SHARDNUMSUB", "c*", pub_sub},
    {"PUNSUBSCRIBE", "c*", pub_sub | many_replies, CommandRole::unsubscribe},
    {"SPUBLISH", "c_", pub_sub, CommandRole::publish},
    {"SSUBSCRIBE", "c*", pub_sub | many_replies, CommandRole::subscribe},
    {"SUBSCRIBE", "c*", pub_sub | many_replies, CommandRole::subscribe},
    {"SUNSUBSCRIBE", "c*", pub_sub | many_replies, CommandRole::unsubscribe},
    {"UNSUBSCRIBE", "c*", pub_sub | many_replies, CommandRole::unsubscribe},
    // Transactions.
    {"DISCARD", "", transaction, CommandRole::discard},
    {"EXEC", "", transaction, CommandRole::exec},
    {"MULTI", "", transaction, CommandRole::multi},
    {"UNWATCH", "", transaction, CommandRole::unwatch},
    {"WATCH", "k*", transaction, CommandRole::watch},
    // Scripts and functions.
    {"EVAL", "_@", script, CommandRole::script_body},
    {"EVALSHA", "s@", script, CommandRole::script_sha},
    {"EVALSHA_RO", "s@", reads | script, CommandRole::script_sha},
    {"EVAL_RO", "_@", reads | script, CommandRole::script_body},
    {"FCALL", "u@", script, CommandRole::function_call},
    {"FCALL_RO", "u@", reads | script, CommandRole::function_call},
    {"FUNCTION", "", container},
    {"FUNCTION DELETE", "", writes},
    {"FUNCTION DUMP", ""},
    {"FUNCTION FLUSH", "<ASYNC|SYNC>", writes},
    {"FUNCTION HELP", ""},
    {"FUNCTION KILL", ""},
    {"FUNCTION LIST", "[LIBRARYNAME:_ WITHCODE]"},
    {"FUNCTION LOAD", "[REPLACE]_", writes},
    {"FUNCTION RESTORE", "_<FLUSH|APPEND|REPLACE>", writes},
    {"FUNCTION STATS", ""},
    {"SCRIPT", "", container},
    {"SCRIPT DEBUG", "<YES|SYNC|NO>"},
    {"SCRIPT EXISTS", ""},
    {"SCRIPT FLUSH", "<ASYNC|SYNC>"},
    {"SCRIPT HELP", ""},
    {"SCRIPT KILL", ""},
    {"SCRIPT LOAD", ""},
    // Connection.
    {"AUTH", "", connection, CommandRole::authenticate},
    {"CLIENT", "", container},
    {"CLIENT CACHING", "<YES|NO>"},
    {"CLIENT GETNAME", ""},
    {"CLIENT GETREDIR", ""},
    {"CLIENT HELP", ""},
    {"CLIENT ID", ""},
    {"CLIENT INFO", ""},
    {"CLIENT KILL", "[ID:_ TYPE:<NORMAL|MASTER|SLAVE|REPLICA|PUBSUB> USER:_ ADDR:_ LADDR:_ SKIPME:<YES|NO>]"},
    {"CLIENT LIST", "[TYPE:<NORMAL|MASTER|SLAVE|REPLICA|PUBSUB> ID]"},
    {"CLIENT NO-EVICT", "<ON|OFF>"},
    {"CLIENT NO-TOUCH", "<ON|OFF>"},
    {"CLIENT PAUSE", "#<WRITE|ALL>"},
    {"CLIENT REPLY", "<ON|OFF|SKIP>", many_replies, CommandRole::client_reply},
    {"CLIENT SETINFO", "<LIB-NAME|LIB-VER>_"},
    {"CLIENT SETNAME", ""},
    {"CLIENT TRACKING", "<ON|OFF>[REDIRECT:_ PREFIX:p BCAST OPTIN OPTOUT NOLOOP]"},
    {"CLIENT TRACKINGINFO", ""},
    {"CLIENT UNBLOCK", "_<TIMEOUT|ERROR>"},
    {"CLIENT UNPAUSE", ""},
    {"ECHO", ""},
    {"HELLO", "<2|3>[AUTH:__ SETNAME:_]", connection, CommandRole::hello},
    {"PING", "", 0, CommandRole::keep_alive},
    {"QUIT", "", connection, CommandRole::quit},
    {"RESET", "", connection, CommandRole::reset},
    {"SELECT", "#", connection, CommandRole::select},
    // Server.
    {"ACL", "", container},
    {"ACL CAT", ""},
    {"ACL DELUSER", ""},
    {"ACL DRYRUN", ""},
    {"ACL GENPASS", ""},
    {"ACL GETUSER", ""},
    {"ACL HELP", ""},
    {"ACL LIST", ""},
    {"ACL LOAD", ""},
    {"ACL LOG", "[RESET]#"},
    {"ACL SAVE", ""},
    {"ACL SETUSER", ""},
    {"ACL USERS", ""},
    {"ACL WHOAMI", ""},
    {"BGREWRITEAOF", ""},
    {"BGSAVE", "<SCHEDULE>"},
    {"COMMAND", "", container},
    {"COMMAND COUNT", ""},
    {"COMMAND DOCS", ""},
    {"COMMAND GETKEYS", ""},
    {"COMMAND GETKEYSANDFLAGS", ""},
    {"COMMAND HELP", ""},
    {"COMMAND INFO", ""},
    {"COMMAND LIST", "<FILTERBY><MODULE|ACLCAT|PATTERN>_"},
    {"CONFIG", "", container},
    {"CONFIG GET", "w*"},
    {"CONFIG HELP", ""},
    {"CONFIG RESETSTAT", ""},
    {"CONFIG REWRITE", ""},
    {"CONFIG SET", "(w_)*"},
    {"DBSIZE", "", reads},
    {"DEBUG", "<SLEEP|RELOAD|OBJECT|SET-ACTIVE-EXPIRE>"},
    {"FAILOVER", "[TO:__ FORCE ABORT TIMEOUT:#]"},
    {"FLUSHALL", "<ASYNC|SYNC>", writes},
    {"FLUSHDB", "<ASYNC|SYNC>", writes},
    {"INFO",
     "[SERVER CLIENTS MEMORY PERSISTENCE STATS REPLICATION CPU MODULES COMMANDSTATS ERRORSTATS LATENCYSTATS "
     "CLUSTER KEYSPACE SENTINEL DEFAULT ALL EVERYTHING]"},
    {"LASTSAVE", ""},
    {"LATENCY", "", container},
    {"LATENCY DOCTOR", ""},
    {"LATENCY GRAPH", ""},
    {"LATENCY HELP", ""},
    {"LATENCY HISTOGRAM", ""},
    {"LATENCY HISTORY", ""},
    {"LATENCY LATEST", ""},
    {"LATENCY RESET", ""},
    {"LOLWUT", "[VERSION:#]", reads},
    {"MEMORY", "", container},
    {"MEMORY DOCTOR", ""},
    {"MEMORY HELP", ""},
    {"MEMORY MALLOC-STATS", ""},
    {"MEMORY PURGE", ""},
    {"MEMORY STATS", ""},
    {"MEMORY USAGE", "k[SAMPLES:#]", reads},
    {"MODULE", "", container},
    {"MODULE HELP", ""},
    {"MODULE LIST", ""},
    {"MODULE LOAD", ""},
    {"MODULE LOADEX", "_[CONFIG:__ ARGS]"},
    {"MODULE UNLOAD", ""},
    {"MONITOR", "", many_replies, CommandRole::monitor},
    {"PSYNC", "", many_replies, CommandRole::replicate},
    {"REPLCONF", ""},
    {"REPLICAOF", "<NO><ONE>"},
    {"RESTORE-ASKING", "k#_[REPLACE ABSTTL IDLETIME:_ FREQ:_]", writes},
    {"ROLE", ""},
    {"SAVE", ""},
    {"SHUTDOWN", "[NOSAVE SAVE NOW FORCE ABORT]"},
    {"SLAVEOF", "<NO><ONE>"},
    {"SLOWLOG", "", container},
    {"SLOWLOG GET", "#"},
    {"SLOWLOG HELP", ""},
    {"SLOWLOG LEN", ""},
    {"SLOWLOG RESET", ""},
    {"SWAPDB", "##", writes},
    {"SYNC", "", many_replies, CommandRole::replicate},
    {"TIME", ""},
    // Cluster.
    {"ASKING", ""},
    {"CLUSTER", "", container},
    {"CLUSTER ADDSLOTS", "#*"},
    {"CLUSTER ADDSLOTSRANGE", "#*"},
    {"CLUSTER BUMPEPOCH", ""},
    {"CLUSTER COUNT-FAILURE-REPORTS", ""},
    {"CLUSTER COUNTKEYSINSLOT", "#"},
    {"CLUSTER DELSLOTS", "#*"},
    {"CLUSTER DELSLOTSRANGE", "#*"},
    {"CLUSTER FAILOVER", "<FORCE|TAKEOVER>"},
    {"CLUSTER FLUSHSLOTS", ""},
    {"CLUSTER FORGET", ""},
    {"CLUSTER GETKEYSINSLOT", "##"},
    {"CLUSTER HELP", ""},
    {"CLUSTER INFO", ""},
    {"CLUSTER KEYSLOT", ""},
    {"CLUSTER LINKS", ""},
    {"CLUSTER MEET", ""},
    {"CLUSTER MYID", ""},
    {"CLUSTER MYSHARDID", ""},
    {"CLUSTER NODES", ""},
    {"CLUSTER REPLICAS", ""},
    {"CLUSTER REPLICATE", ""},
    {"CLUSTER RESET", "<HARD|SOFT>"},
    {"CLUSTER SAVECONFIG", ""},
    {"CLUSTER SET-CONFIG-EPOCH", "#"},
    {"CLUSTER SETSLOT", "#<IMPORTING|MIGRATING|NODE|STABLE>_"},
    {"CLUSTER SHARDS", ""},
    {"CLUSTER SLAVES", ""},
    {"CLUSTER SLOTS", ""},
    {"READONLY", ""},
    {"READWRITE", ""},
    // Sentinel.
    {"SENTINEL", "", container},
    {"SENTINEL CKQUORUM", ""},
    {"SENTINEL CONFIG", "<SET|GET>"},
    {"SENTINEL DEBUG", ""},
    {"SENTINEL FAILOVER", ""},
    {"SENTINEL FLUSHCONFIG", ""},
    {"SENTINEL GET-MASTER-ADDR-BY-NAME", ""},
    {"SENTINEL HELP", ""},
    {"SENTINEL INFO-CACHE", ""},
    {"SENTINEL IS-MASTER-DOWN-BY-ADDR", ""},
    {"SENTINEL MASTER", ""},
    {"SENTINEL MASTERS", ""},
    {"SENTINEL MONITOR", ""},
    {"SENTINEL MYID", ""},
    {"SENTINEL PENDING-SCRIPTS", ""},
    {"SENTINEL REMOVE", ""},
    {"SENTINEL REPLICAS", ""},
    {"SENTINEL RESET", ""},
    {"SENTINEL SENTINELS", ""},
    {"SENTINEL SET", ""},
    {"SENTINEL SIMULATE-FAILURE", "[CRASH-AFTER-ELECTION CRASH-AFTER-PROMOTION HELP]"},
    {"SENTINEL SLAVES", ""},
};

constexpr std::size_t commands = std::size(table);

// A name in capitals, padded with zeros, so that it is hashed and compared as whole words.
constexpr std::size_t most_bytes = 32;
using FoldedName = std::array<char, most_bytes>;
using Words = std::array<std::uint64_t, most_bytes / sizeof(std::uint64_t)>;

// The capital of what may be in a command's name, 0 for everything else.
constexpr auto capitals = [] {
  std::array<char, 256> made{};
  for (unsigned c = 'A'; c <= 'Z'; ++c)
    made[c] = made[c + 32] = static_cast<char>(c);
  for (unsigned c = '0'; c <= '9'; ++c)
    made[c] = static_cast<char>(c);
  made['-'] = '-';
  made['_'] = '_';
  return made;
}();

// Adds `name` at `at`; false when it is too long or no name.
constexpr bool fold(std::string_view name, FoldedName& into, std::size_t at) noexcept {
  if (name.empty() || name.size() > most_bytes - at) return false;
  for (const char c : name) {
    const char capital = capitals[static_cast<unsigned char>(c)];
    if (capital == 0) return false;
    into[at++] = capital;
  }
  return true;
}

constexpr std::size_t slot_bits = 11;
constexpr std::size_t slots = std::size_t{1} << slot_bits;
static_assert(slots >= 4 * commands);

constexpr std::size_t first_slot(const FoldedName& name) noexcept {
  std::uint64_t mixed = 0;
  for (const std::uint64_t word : std::bit_cast<Words>(name))
    mixed = (mixed ^ word) * 0x9e3779b97f4a7c15u;
  return static_cast<std::size_t>(mixed >> (64 - slot_bits));
}

struct Index {
  std::array<std::uint16_t, slots> row{};  // plus one; 0 is free
  std::array<FoldedName, commands> names{};
  bool sound = true;
};

constexpr Index make_index() noexcept {
  Index index;
  for (std::size_t row = 0; row < commands; ++row) {
    FoldedName& folded = index.names[row];
    const std::string_view name = table[row].name;
    const std::size_t space = name.find(' ');
    bool good = fold(name.substr(0, space), folded, 0);
    if (good && space != name.npos) {
      folded[space] = ' ';
      good = fold(name.substr(space + 1), folded, space + 1);
    }
    std::size_t slot = first_slot(folded);
    for (; index.row[slot] != 0; slot = (slot + 1) % slots)
      if (index.names[index.row[slot] - 1u] == folded) good = false;
    index.row[slot] = static_cast<std::uint16_t>(row + 1);
    if (!good) index.sound = false;
  }
  return index;
}

constexpr Index names = make_index();
static_assert(names.sound, "each command once, by a name of at most 32 bytes");

constexpr bool patterns_are_well_formed() noexcept {
  for (const CommandPolicy& policy : table)
    if (!is_well_formed(policy.arguments)) return false;
  return true;
}
static_assert(patterns_are_well_formed());

const CommandPolicy* find(const FoldedName& folded) noexcept {
  for (std::size_t slot = first_slot(folded); names.row[slot] != 0; slot = (slot + 1) % slots) {
    const std::size_t row = names.row[slot] - 1u;
    if (std::memcmp(names.names[row].data(), folded.data(), most_bytes) == 0) return &table[row];
  }
  return nullptr;
}

}  // namespace

std::span<const CommandPolicy> command_policies() noexcept { return table; }

const CommandPolicy* find_policy(std::string_view name, std::string_view second) noexcept {
  FoldedName folded{};
  if (!fold(name, folded, 0)) return nullptr;
  const CommandPolicy* command = find(folded);
  if (command == nullptr || !command->has(container) || name.size() + 1 >= most_bytes) return command;
  folded[name.size()] = ' ';
  if (!fold(second, folded, name.size() + 1)) return command;
  const CommandPolicy* sub_command = find(folded);
  return sub_command != nullptr ? sub_command : command;
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
