// The C interface between the anchor test and its plugin, a shared object with a copy of midtrace of its own.
#pragma once

#include <cstddef>
#include <cstdint>

struct PluginContext {
  std::uint64_t trace_id_high, trace_id_low, span_id;
  char tenant[32];  // the baggage member `tenant`
  int suppressed;
};

struct Plugin {
  PluginContext (*current)();
  // Starts and ends a span of everything: attributes of all types, events, links, status.
  void (*rich_span)();
  // A span around `inside`, with a scope.
  void (*span_around)(const char* name, void (*inside)());
  // A baggage member `tenant` around `inside`.
  void (*tenant_around)(const char* tenant, void (*inside)());
  // A root with `at_start` links at its start, and `later` ones more.
  void (*linked_span)(int at_start, int later, int as_module);
  void (*crowded_span)(int attributes, int events);
  void (*pending_span)(int resume);
  void (*discarded_span)();
  int (*claim)(const void* client);
  void (*release)(const void* client);
  // setup() in the plugin's copy; how many spans its exporter got at shutdown.
  int (*set_up)();
  std::size_t (*shut_down)();
  int (*flush)();
  std::uint64_t (*counted_dropped_attributes)();
  std::int64_t (*now_unix_nanos)();
};

extern "C" const Plugin* midtrace_test_plugin();
