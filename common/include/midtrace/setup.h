// setup(): one call from main() that turns tracing on; its handle flushes when it leaves scope.
//
//   auto telemetry = midtrace::setup({.service_name = "checkout"});
//
// What the options leave open comes from the environment (OTEL_* and MIDTRACE_*, conventions 8), then from
// defaults. setup() is noexcept: when it fails, tracing stays off, the application is unharmed, the reason is
// logged once and is in error(). A second call returns a handle to the first set-up, with a warning.
//
// Threads: setup() and shutdown() from one thread at a time; flush() from any. The handle may be a static:
// the backend itself is never destroyed, and spans that end after shutdown are counted drops. Fork: a child
// traces on by itself, with the same configuration, its own ids and a collector thread of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <midtrace/config/resource.h>
#include <midtrace/export/exporter.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/trace/clock.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/logger.h>
#include <midtrace/trace/processor.h>
#include <midtrace/trace/sampler.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

struct BatchOptions {
  // Finished spans that each thread may have waiting for the collector; rounded up to a power of two.
  std::uint32_t queue_size = 2048;
  std::uint32_t export_batch_size = 512;
  std::chrono::milliseconds schedule_delay{5000};
  std::chrono::milliseconds export_timeout{30000};
  // Everything that spans hold, running and waiting, over all threads. When it is used up spans are dropped
  // and counted.
  std::uint64_t memory_bytes = 64ULL * 1024 * 1024;
  // Simple processing: every span is exported by itself as soon as the collector thread gets to it. Each
  // wakes that thread, so this is for programs with few spans, and for looking at them while they come.
  bool each_at_once = false;
};

struct SetupOptions {
  std::string service_name = {};                          // else OTEL_SERVICE_NAME
  std::vector<ResourceAttribute> resource = {};           // beats OTEL_RESOURCE_ATTRIBUTES; needs keys
  std::optional<ResourceDetectors> detectors = {};        // else MIDTRACE_RESOURCE_DETECTORS, else all
  std::shared_ptr<Sampler> sampler = {};                  // else OTEL_TRACES_SAMPLER
  std::vector<std::shared_ptr<Exporter>> exporters = {};  // else OTEL_TRACES_EXPORTER
  std::vector<std::shared_ptr<SpanProcessor>> processors = {};
  std::shared_ptr<const Propagator> propagator = {};  // else OTEL_PROPAGATORS
  std::optional<SpanLimits> limits = {};              // else OTEL_*_LIMIT
  std::optional<BatchOptions> batch = {};             // else OTEL_BSP_*
  std::shared_ptr<Clock> clock = {};                  // else processor ticks
  std::shared_ptr<IdGenerator> ids = {};              // else random
  std::shared_ptr<Logger> logger = {};                // else standard error
  std::chrono::milliseconds exit_timeout{2000};       // for the last flush, in the destructor and at exit
  bool read_environment = true;
};

class Environment;

class [[nodiscard]] Telemetry {
 public:
  Telemetry() noexcept = default;
  Telemetry(Telemetry&& other) noexcept;
  Telemetry& operator=(Telemetry&& other) noexcept;
  // Shuts down within SetupOptions::exit_timeout, when this handle is the one that set tracing up.
  ~Telemetry();

  // False when tracing is off because set-up failed; error() is then a sentence with the value, the place,
  // what to do.
  bool ok() const noexcept { return error_.empty(); }
  const std::string& error() const noexcept { return error_; }

  // Waits until everything that ended before the call has been exported. False when the time ran out or an
  // export failed.
  bool flush(std::chrono::milliseconds timeout = std::chrono::seconds(5)) noexcept;
  // Flushes and stops the collector. Idempotent.
  bool shutdown(std::chrono::milliseconds timeout = std::chrono::seconds(5)) noexcept;

 private:
  friend Telemetry setup_from(SetupOptions options, const Environment& environment) noexcept;
  std::string error_;
  std::chrono::milliseconds exit_timeout_{2000};
  bool owner_ = false;
};

Telemetry setup(SetupOptions options = {}) noexcept;

// The configuration in effect, one line per setting: `name = value  (where it comes from)`, which is `code`,
// the name of a variable, or `default`. The first says whether tracing is on, and why not. No secret is in
// it. Any thread; waits for a setup() or shutdown() that is running; may throw std::bad_alloc.
// OTEL_LOG_LEVEL=debug logs it in setup(), as one line, and the counters once a minute and in shutdown().
std::string describe();

}  // namespace v1
}  // namespace midtrace
