// Options of a traced Redis connection. Every member has a default, so that designated initializers name only
// what differs: `Client redis(context, {.only_with_parent = true})`.
//
// They are copied when the Client is made. What is left open is read from the environment then:
// MIDTRACE_REDIS, OTEL_SEMCONV_STABILITY_OPT_IN.
//
// Hooks run on the connection's thread. They must not call the Client they are told about, and what they
// throw is swallowed and counted (Counter::hook_failures).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/redis/library.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace redis {

// What a hook is told beside the span. The view is valid during the call.
struct Call {
  std::string_view operation;  // db.operation.name: `GET`, `PIPELINE SET`, `MULTI`; `connect`
  std::uint64_t commands = 1;  // of a pipeline or transaction, without MULTI and EXEC
  // When a command finishes that was sent on its own. Null where no reply came, and where the connection's
  // reader does not make redisReply. Not to be kept.
  const redisReply* reply = nullptr;
};

using Hook = std::function<void(Span& span, const Call& call)>;

struct Options {
  // off: the calls are hiredis's. propagate: the same, as commands carry no context. Unset: MIDTRACE_REDIS,
  // else on.
  std::optional<ModuleMode> mode = std::nullopt;
  // Spans only where one is current: none for what a program does by itself, in the background.
  bool only_with_parent = false;
  // Commands without a span, by name or by pattern, in which `*` stands for any bytes and `?` for one, and
  // letter case does not matter: `PING`, `CLUSTER *`, `CONFIG GET`; a container's name means its sub-commands
  // too. Those in a pipeline or transaction are left out of its span; MULTI stands for its transaction.
  std::vector<std::string> ignored_commands = {"PING"};
  // Spans that took less are not exported, unless they failed. Zero: all are.
  std::chrono::nanoseconds minimum_duration{0};
  // CLIENT spans `connect` for Client::connect() and reconnect().
  bool connect_spans = false;
  // db.query.text, with `?` for all values (README.md says what is shown).
  bool capture_text = true;
  // Longer texts are cut, between arguments or between the commands of a pipeline. From 64 to 65536.
  std::size_t max_text_bytes = 4096;
  // `host`, `host:port` or the path of a socket for server.address and server.port. Empty: what the context
  // was connected to.
  std::string server_address = {};
  // The database that is selected when the Client gets the context; negative when that is not known, and
  // then db.namespace is left out until a SELECT. From then on SELECT and RESET are followed.
  int database = 0;
  // After a span started that is recorded, and before it ends; for a discarded one (minimum_duration) only
  // the first. Pipelines and transactions have a record only when they complete: both hooks run then.
  Hook on_start = {};
  Hook on_finish = {};
};

}  // namespace redis
}  // namespace v1
}  // namespace midtrace
