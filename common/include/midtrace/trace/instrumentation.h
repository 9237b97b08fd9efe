// What every module needs beside the tracer: its on/off mode and a way to report a problem once.
//
// Any thread; nothing throws.
#pragma once

#include <cstdint>
#include <string_view>

namespace midtrace {
inline namespace v1 {

// off: the module's calls are the library's calls. propagate: contexts travel, no spans are made. on: both.
enum class ModuleMode : std::uint8_t { off, propagate, on };

// MIDTRACE_<MODULE>=off|propagate|on (any case), default on; an invalid value is reported once. `module` is
// upper case, e.g. "KAFKA". Reads the environment at each call: modules keep the answer per client.
ModuleMode module_mode(std::string_view module) noexcept;

enum class Severity : std::uint8_t { debug, info, warning, error };

// Logs a sentence through the logger in use, at most once a minute for the same `cause` (a short literal such
// as "kafka.header_too_large"; compared by content).
void report(Severity severity, std::string_view cause, std::string_view message) noexcept;

// The set of clients that some copy of midtrace in this process already traces (an application and a plugin
// may both carry one). claim_client is true for the first to claim `client`, which must release it before its
// memory is reused.
bool claim_client(const void* client) noexcept;
void release_client(const void* client) noexcept;

// Has the collector thread call `function` from now on, whenever it looks at the queues: at least once in
// each schedule delay, and before a flush. For a module's rare housekeeping; spans that it ends are in that
// flush. They go through the collector's own queue, so it should end a few hundred at the most and return
// true when there is more: it is called again once those were taken out. It must neither block nor be removed
// from memory. At most 8 in a process; false when there is no room. A process without a collector of ours (no
// setup(), or another SDK's) never calls it.
bool call_at_collection(bool (*function)() noexcept) noexcept;

}  // namespace v1
}  // namespace midtrace
