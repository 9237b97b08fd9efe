// Tracer: starts spans for one instrumentation scope.
//
// A small value that may be copied and used from any thread; getting one interns the scope (cold). start()
// never throws, blocks or fails: in the worst case the span does not record. Sampling is decided first, so an
// unsampled span costs no clock, no allocation and no formatting. Source: OpenTelemetry Trace API, Tracer.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <midtrace/context/function_ref.h>
#include <midtrace/trace/span.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

struct StartOptions {
  SpanKind kind = SpanKind::internal;
  const Context* parent = nullptr;  // null: the current context; one without a valid span: a new root
  std::span<const Link> links = {};
  std::span<const Attribute> attributes = {};
  std::uint64_t start_tick = 0;    // from current_tick(); 0: now
  bool module_link_limit = false;  // receive and process spans of modules: SpanLimits::module_link_count
  // Links that the caller left out because they are beyond the limit; counted on the span as dropped.
  std::uint32_t dropped_links = 0;
  // More attributes, for those that cost something to make. Called at most once, on this thread, before start
  // returns: for a sampler that needs attributes, which then sees these instead of `attributes`, or else for
  // a span that records. What it returns must live until start returns; an exception is swallowed and counted
  // (Counter::hook_failures). start_pending() calls it for the sampler only, resume() for the span.
  FunctionRef<std::span<const Attribute>()> lazy_attributes = {};
};

struct Lineage;

// What the sampler in use looks at, so that a module need not collect links or build names for a span that is
// dropped anyway. Everything where that is not known (another SDK's sampler). Any thread.
SamplerNeeds sampler_needs() noexcept;
// How many links a span keeps that is started with StartOptions::module_link_limit, so that a module need not
// make more. Any thread.
std::uint32_t module_link_limit() noexcept;

class Tracer {
 public:
  // The scope is compared by content; the views need to live only for the call.
  static Tracer get(std::string_view name, std::string_view version = {},
                    std::string_view schema_url = {}) noexcept;

  Span start(std::string_view name, const StartOptions& options = {}) const noexcept;

  // Starts a span without a record, for an operation that completes later, perhaps on another thread. The
  // name is what a sampler sees; the links and attributes that belong to the span are given again when it is
  // resumed.
  PendingSpan start_pending(std::string_view name, const StartOptions& options = {}) const noexcept;
  // Makes it a Span that began when the pending one did. Not recording when the pending span is not, or when
  // there is no memory for the record (counted).
  Span resume(PendingSpan&& pending, std::string_view name, const StartOptions& options = {}) const noexcept;

  const InstrumentationScope& scope() const noexcept { return *scope_; }

 private:
  explicit Tracer(const InstrumentationScope* scope) noexcept : scope_(scope) {}
  void open_record(Span& span, const Lineage& lineage, std::uint32_t generation, std::string_view name,
                   const StartOptions& options, Backend& backend) const noexcept;

  const InstrumentationScope* scope_;
};

// The tracing clock now, in its own unit (processor ticks where that is safe). For StartOptions::start_tick.
// Any thread.
std::uint64_t current_tick() noexcept;
// Unix time in nanoseconds of a tick of this process. Any thread.
std::int64_t tick_to_unix_nanos(std::uint64_t tick) noexcept;

}  // namespace v1
}  // namespace midtrace
