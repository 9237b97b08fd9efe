// Context: what travels with a piece of work: the span it belongs to, baggage, and whether tracing is
// suppressed. Scope: makes a context the current one of this thread for a lexical region.
//
// A Context is a value and may be copied to any thread. `current()` and Scope go through the active backend,
// so that with a bridge the application's own current span is ours.
//
// A Scope belongs to the thread that made it and cannot be moved. Ends out of order, and ends on another
// thread, are safe: the slot is marked dead, its owner repairs its stack at the next look, and the event is
// counted and reported. Nothing here throws or blocks. Source: OpenTelemetry Context API.
#pragma once

#include <cstdint>

#include <midtrace/context/baggage.h>
#include <midtrace/context/span_context.h>

namespace midtrace {
inline namespace v1 {

class Backend;
struct SpanRecord;

struct Context {
  SpanContext span;  // invalid when there is no span
  Baggage baggage;
  bool suppressed = false;  // no module starts spans below this context

  // The current context of this thread; empty when there is none.
  static Context current() noexcept;

  friend bool operator==(const Context&, const Context&) noexcept = default;
};

// What a backend hands out for one activation and takes back once. Its meaning is the backend's own.
struct ActivationToken {
  void* place = nullptr;
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
};

class [[nodiscard]] Scope {
 public:
  explicit Scope(const Context& context) noexcept : Scope(context, 0, nullptr) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { end(); }

  // Ends the scope early; a second call does nothing.
  void end() noexcept;

 private:
  friend class Span;
  Scope(const Context& context, std::uint64_t backend_word, SpanRecord* record) noexcept;

  Backend* backend_;
  ActivationToken token_;
};

// A context under which no midtrace module creates spans, e.g. for an exporter's own traffic.
Context suppressed(Context context) noexcept;

}  // namespace v1
}  // namespace midtrace
