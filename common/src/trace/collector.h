// Collector: the one background thread that turns finished records into exported batches.
//
// submit() is the hot path: one ring push, and a wake-up when the ring holds a batch or is half full. The
// thread drains all rings, converts ticks to Unix time, and hands batches to every exporter, one batch at a
// time; a batch goes out when it is full, when the schedule delay has passed, or for a flush. Spans that
// record without being sampled end here. All signals are blocked in it, and no module traces in it. In a
// forked child it starts again at the first finished span.
//
// submit() and ask_for_memory(): any thread, never block. flush(): any thread, waits. configure() and
// shutdown(): one thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include <midtrace/config/resource.h>
#include <midtrace/export/exporter.h>
#include <midtrace/setup.h>
#include <midtrace/trace/clock.h>

namespace midtrace {
inline namespace v1 {

struct CollectorOptions {
  Resource resource;
  std::vector<std::shared_ptr<Exporter>> exporters;
  std::vector<std::shared_ptr<SpanProcessor>> processors;
  BatchOptions batch;
  std::shared_ptr<Clock> clock;  // null: ticks
  bool diagnostics = false;      // report the counters once a minute
};

class Collector {
 public:
  // Starts the thread; false when it cannot be started.
  static bool configure(CollectorOptions options);
  static void submit(SpanRecord* record) noexcept;
  // Asks it to look at the queues soon, because memory runs short. Wakes it once; when that was in vain it
  // looks every few milliseconds as long as somebody asks.
  static void ask_for_memory() noexcept;
  static bool flush(std::chrono::milliseconds timeout) noexcept;
  static bool shutdown(std::chrono::milliseconds timeout) noexcept;

  static void before_fork() noexcept;
  static void after_fork(bool child) noexcept;
};

}  // namespace v1
}  // namespace midtrace
