#include "anchor_plugin.h"

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <midtrace/setup.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

#include "test_exporters.h"

namespace {

using namespace midtrace;

Tracer tracer() { return Tracer::get("plugin", "2.0"); }

PluginContext current() {
  const Context context = Context::current();
  PluginContext result{
      context.span.trace_id.high, context.span.trace_id.low, context.span.span_id.value, {}, 0};
  const std::string tenant(context.baggage.get("tenant").value_or(""));
  std::strncpy(result.tenant, tenant.c_str(), sizeof(result.tenant) - 1);
  result.suppressed = context.suppressed ? 1 : 0;
  return result;
}

SpanContext linked_context(std::uint64_t number) {
  SpanContext context;
  context.trace_id = {5, number};
  context.span_id = {number};
  context.flags.bits = TraceFlags::sampled_bit;
  context.trace_state = TraceState::parse("vendor=link");
  return context;
}

void rich_span() {
  const std::array<Attribute, 2> initial{{{"at.start", 1}, {"replaced", "first"}}};
  const std::array<Attribute, 1> of_link{{{"offset", 7}}};
  const std::array<Link, 1> links{{{linked_context(1), of_link}}};
  Span span = tracer().start("rich", {.kind = SpanKind::consumer, .links = links, .attributes = initial});
  const std::array<std::string_view, 2> strings{"a", "b"};
  const std::array<bool, 2> bools{true, false};
  const std::array<std::int64_t, 2> integers{1, -1};
  const std::array<double, 1> reals{0.5};
  span.set("replaced", "last");
  span.set("string", std::string(5000, 's').substr(4990));
  span.set("bool", true);
  span.set("integer", -3);
  span.set("real", 1.5);
  span.set("strings", std::span<const std::string_view>(strings));
  span.set("bools", std::span<const bool>(bools));
  span.set("integers", std::span<const std::int64_t>(integers));
  span.set("reals", std::span<const double>(reals));
  span.add_event("event", {{"key", "value"}});
  span.add_link({linked_context(2), of_link});
  span.set_name("rich, renamed");
  span.set_status(StatusCode::error, "went wrong");
}

void span_around(const char* name, void (*inside)()) {
  Span span = tracer().start(name);
  const Scope scope = span.activate();
  inside();
}

void tenant_around(const char* tenant, void (*inside)()) {
  Context context = Context::current();
  context.baggage = context.baggage.with("tenant", tenant, "metadata");
  const Scope scope(suppressed(context));
  inside();
}

void linked_span(int at_start, int later, int as_module) {
  std::vector<Link> links;
  links.push_back({});  // says nothing
  for (int i = 0; i < at_start; ++i)
    links.push_back({linked_context(static_cast<std::uint64_t>(i) + 1)});
  Span span = tracer().start("linked", {.links = links, .module_link_limit = as_module != 0});
  for (int i = 0; i < later; ++i)
    span.add_link({linked_context(static_cast<std::uint64_t>(at_start + i) + 1)});
}

void crowded_span(int attributes, int events) {
  std::vector<std::string> keys;
  std::vector<Attribute> initial;
  for (int i = 0; i < attributes; ++i)
    keys.push_back("key" + std::to_string(i));
  for (const std::string& key : keys)
    initial.push_back({key, 1});
  Span span = tracer().start("crowded", {.attributes = initial});
  for (int i = 0; i < events; ++i)
    span.add_event("event");
}

void pending_span(int resume) {
  PendingSpan pending = tracer().start_pending("pending");
  if (resume == 0) return;
  Span span = tracer().resume(std::move(pending), "resumed", {.kind = SpanKind::producer});
  span.set("offset", 1);
}

void discarded_span() {
  Span span = tracer().start("discarded");
  span.discard();
}

int claim(const void* client) { return claim_client(client) ? 1 : 0; }
void release(const void* client) { release_client(client); }

std::shared_ptr<midtrace_test::CountingExporter> own_exporter;
Telemetry own_telemetry;

int set_up() {
  own_exporter = std::make_shared<midtrace_test::CountingExporter>();
  SetupOptions options;
  options.exporters.push_back(own_exporter);
  options.sampler = always_on_sampler();
  options.read_environment = false;
  own_telemetry = setup(std::move(options));
  return own_telemetry.ok() ? 1 : 0;
}

std::size_t shut_down() {
  own_telemetry.shutdown();
  return own_exporter->spans.load();
}

int flush() { return Telemetry().flush() ? 1 : 0; }
std::uint64_t counted_dropped_attributes() { return counters()[Counter::dropped_attributes]; }
std::int64_t now_unix_nanos() { return tick_to_unix_nanos(current_tick()); }

constexpr Plugin plugin{current,       rich_span,
                        span_around,   tenant_around,
                        linked_span,   crowded_span,
                        pending_span,  discarded_span,
                        claim,         release,
                        set_up,        shut_down,
                        flush,         counted_dropped_attributes,
                        now_unix_nanos};

}  // namespace

extern "C" [[gnu::visibility("default")]] const Plugin* midtrace_test_plugin() { return &plugin; }
