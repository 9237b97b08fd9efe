// The bridge to opentelemetry-cpp: midtrace's spans become spans of the application's own TracerProvider.
//
//   opentelemetry::trace::Provider::SetTracerProvider(my_provider);
//   auto bridge = midtrace::otel_bridge::install();  // until it leaves scope
//
// While it is installed there is one trace: the application's current span is the parent of ours, ours is the
// parent of the application's, baggage is shared, and the application's sampler, processors and exporters
// decide about both. The ids are those that opentelemetry-cpp mints when a span starts, so the traceparent on
// the wire is that of the exported span. Attributes, events and status gather in midtrace's record and reach
// opentelemetry-cpp when the span ends, with their own times. No collector of midtrace's runs; do not call
// midtrace::setup() as well.
//
// install() and Bridge may be used from any thread, but not after main has returned: hold the handle in main.
// Nothing throws. With the no-op provider nothing is recorded, and contexts are forwarded as they came. What
// opentelemetry-cpp cannot express (links that are added after the start with its ABI 1, giving a span up) is
// in the README. Source: OpenTelemetry Trace API and Context API, by opentelemetry-cpp 1.x, ABI 1 and 2.
#pragma once

#include <utility>

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/provider.h>
#include <opentelemetry/trace/tracer_provider.h>

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

using TracerProviderPointer = opentelemetry::nostd::shared_ptr<opentelemetry::trace::TracerProvider>;

// Move-only. Uninstalls in its destructor what its install() installed.
class [[nodiscard]] Bridge {
 public:
  Bridge() noexcept = default;
  Bridge(Bridge&& other) noexcept : owner_(std::exchange(other.owner_, false)) {}
  Bridge& operator=(Bridge&& other) noexcept;
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;
  ~Bridge() { uninstall(); }

  // Whether this handle keeps the bridge installed.
  bool ok() const noexcept { return owner_; }
  // Lets the provider go and gives midtrace's own backend back. Spans that run end where they started. A
  // second call does nothing.
  void uninstall() noexcept;

 private:
  friend Bridge install(TracerProviderPointer provider) noexcept;
  bool owner_ = false;
};

// Sends all further spans to `provider`, or to the global provider of this moment when it is null. The bridge
// keeps the provider alive until it is uninstalled. While one is installed, another call changes nothing,
// warns, and returns a handle that is not ok.
Bridge install(TracerProviderPointer provider = {}) noexcept;

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
