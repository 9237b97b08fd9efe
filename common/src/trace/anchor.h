// The anchor: how several copies of midtrace in one process act as one.
//
// A copy that sets tracing up publishes a table of C functions in `midtrace_anchor_v1`. Every copy has that
// symbol; all use the one that dlsym(RTLD_DEFAULT) finds, which is the executable's when it exports
// it (the CMake target sees to that), and fall back to their own. A copy that finds a published table
// of another copy attaches: its Backend starts, activates and finishes spans through the table, so there is
// one current context, one sampler, one exporter, and nothing is traced twice.
//
// Only plain C types cross the table, and it only ever grows at its end (`size` says how far it goes), so
// copies of different versions and compilers get along. All functions may be called from any thread and never
// throw.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <midtrace/trace/backend.h>

extern "C" {

struct midtrace_text {
  const char* text;
  std::size_t size;
};

struct midtrace_baggage_member {
  midtrace_text name, value, metadata;
};

struct midtrace_span_context {
  std::uint64_t trace_id_high, trace_id_low, span_id;
  std::uint8_t flags;
  std::uint8_t remote;
  midtrace_text trace_state;  // the header's form
};

struct midtrace_context {
  midtrace_span_context span;
  const midtrace_baggage_member* baggage;
  std::size_t baggage_size;
  std::uint8_t suppressed;
};

struct midtrace_attribute {
  midtrace_text key;
  std::uint8_t type;  // midtrace::AttributeType
  // A string's or an array's memory and length, or the number itself; string arrays are arrays of
  // midtrace_text.
  const void* pointer;
  std::size_t size;
  std::int64_t integer;
  double real;
};

struct midtrace_link {
  midtrace_span_context context;
  const midtrace_attribute* attributes;
  std::size_t attributes_size;
  std::uint32_t dropped_attributes;
};

struct midtrace_event {
  midtrace_text name;
  std::uint64_t tick;
  const midtrace_attribute* attributes;
  std::size_t attributes_size;
  std::uint32_t dropped_attributes;
};

struct midtrace_start_arguments {
  midtrace_text name, scope_name, scope_version, scope_schema_url;
  std::uint8_t kind;
  std::uint8_t module_link_limit;
  const midtrace_context* parent;  // null: ambient
  const midtrace_link* links;
  std::size_t links_size;
  const midtrace_attribute* attributes;
  std::size_t attributes_size;
  std::uint64_t start_tick;
};

// The attributes are all there are, those given at start included; links are those that were not given at
// start. What the caller dropped on its side is in the counts.
struct midtrace_finished_span {
  midtrace_text name, status_description;
  std::uint8_t kind, status;
  const midtrace_attribute* attributes;
  std::size_t attributes_size;
  const midtrace_link* links;
  std::size_t links_size;
  const midtrace_event* events;
  std::size_t events_size;
  std::uint32_t dropped_attributes, dropped_links, dropped_events;
};

struct midtrace_anchor_table {
  std::size_t size;
  // Calls `visit` once with the current context of this thread; what it points to lives during the call.
  void (*ambient)(void* state, void (*visit)(void* state, const midtrace_context* context));
  // The span's own context goes to `visit`; its tracestate lives during the call. The return value is null
  // when the span does not record, otherwise it must be given to `finish` or `discard` once.
  void* (*start)(const midtrace_start_arguments* arguments, void* state,
                 void (*visit)(void* state, const midtrace_span_context* context));
  void (*finish)(void* span, const midtrace_finished_span* finished);
  void (*discard)(void* span);
  // The token goes into `token` (three words) and back into `deactivate`.
  void (*activate)(const midtrace_context* context, std::uint64_t token[3]);
  void (*deactivate)(const std::uint64_t token[3]);
  int (*flush)(std::int64_t timeout_milliseconds);
  // Values in the order of midtrace::Counter; fills at most `capacity`, returns how many there are.
  std::size_t (*counters)(std::uint64_t* values, std::size_t capacity);
  std::uint64_t (*tick)();
  std::int64_t (*unix_nanos)(std::uint64_t tick);
};

// The set of clients that some copy traces. Whichever copy needs it first provides it, for good, so that it
// does not matter who sets tracing up, and when.
struct midtrace_clients_table {
  std::size_t size;
  // 1 for the first to claim.
  int (*claim)(const void* client);
  void (*release)(const void* client);
};

struct midtrace_anchor {
  std::atomic<const midtrace_anchor_table*> table;
  std::atomic<const midtrace_clients_table*> clients;
};
}

namespace midtrace {
inline namespace v1 {

// Publishes this copy's native backend. False when another copy was first: the caller should attach instead.
bool publish_anchor() noexcept;
// Takes the publication back, for tests and for a set-up that failed.
void withdraw_anchor() noexcept;
// The backend of the copy that published, or null when none did or when it is this one.
Backend* attach_to_anchor() noexcept;

}  // namespace v1
}  // namespace midtrace
