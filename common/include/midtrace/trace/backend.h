// The Backend seam: who mints ids, samples, knows the current context, and takes finished spans.
//
// It is crossed once when a span starts and once when it finishes, never per attribute: attributes gather in
// a SpanRecord of ours, which the backend reads at `finish`. It is crossed at *start* because the traceparent
// that goes on the wire must carry the id that will be exported.
//
// Every call is noexcept, may come from any thread, and never blocks, except `flush`. The native backend is
// recognised by its address and called directly.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

#include <midtrace/context/context.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

// A finished span's contents, defined inside the library; read it through SpanView
// (midtrace/export/span_view.h).
struct SpanRecord;

struct StartArguments {
  std::string_view name;
  SpanKind kind = SpanKind::internal;
  const Context* parent = nullptr;  // null: the ambient context; one without a valid span: a new root
  std::span<const Link> links = {};
  std::span<const Attribute> attributes = {};  // those known at start, for samplers that ask for them
  std::uint64_t start_tick = 0;                // 0: now
  const InstrumentationScope* scope = nullptr;
  bool module_link_limit = false;  // as in StartOptions
};

struct Started {
  SpanContext context;    // always valid; what children and carriers use
  SpanId parent_span_id;  // invalid for a root
  bool parent_remote = false;
  bool recording = false;
  std::uint64_t start_tick = 0;                // only when recording
  std::uint64_t word = 0;                      // the backend's own reference to the span
  std::span<const Attribute> attributes = {};  // the sampler's own, for a span that records
};

// The record that a thread's innermost scope lets current_span() annotate, and its serial when the scope
// began; null where there is none.
struct CurrentRecord {
  SpanRecord* record = nullptr;
  std::uint32_t serial = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // What this thread treats as current: span, baggage, suppression.
  virtual Context ambient() noexcept = 0;
  virtual Started start(const StartArguments& arguments) noexcept = 0;
  // Makes a context current; `record` is what current_span() may annotate, or null.
  virtual ActivationToken activate(const Context& context, std::uint64_t word,
                                   SpanRecord* record) noexcept = 0;
  virtual void deactivate(const ActivationToken& token) noexcept = 0;
  // Of this thread. A backend that keeps no records with its scopes has none.
  virtual CurrentRecord current_record() noexcept { return {}; }
  // Takes the record over. Its end tick is set.
  virtual void finish(SpanRecord* record, std::uint64_t word) noexcept = 0;
  // The span will never finish: its record could not be had (null), or the caller gave it up.
  virtual void discard(SpanRecord* record, std::uint64_t word) noexcept = 0;
  // Waits until everything that finished before the call has been exported. False when the time ran out.
  virtual bool flush(std::chrono::milliseconds timeout) noexcept = 0;
  virtual Counters counters() noexcept = 0;
  // What its sampler looks at; everything when that is not known.
  virtual SamplerNeeds needs() noexcept { return {true, true, true}; }
};

// The backend in use. Never null: before setup() it forwards ambient contexts and records nothing.
Backend& active_backend() noexcept;
// Replaces it (the bridge to another SDK does); null gives the native one back. The object must live until
// the process ends. Any thread; spans already started finish where they started.
void set_backend(Backend* replacement) noexcept;

}  // namespace v1
}  // namespace midtrace
