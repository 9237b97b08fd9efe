// The Exporter seam: takes batches of finished spans.
//
// All calls but those of setup() and two more come from the collector thread, one at a time: give_up_at comes
// from the thread that shuts tracing down, and after_fork is called in a forked child before any other call
// there. An exporter may block (spans queue, then drop and are counted); it must not throw, and it must
// return from flush and shutdown at about the deadline. Source: OpenTelemetry Trace SDK, Span Exporter.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include <midtrace/config/resource.h>
#include <midtrace/config/setting.h>
#include <midtrace/export/span_view.h>

namespace midtrace {
inline namespace v1 {

struct ExportBatch {
  const Resource& resource;
  std::span<const SpanView> spans;  // never empty
  // BatchOptions::export_timeout from now: an exporter that waits for somebody gives up at about then.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

enum class ExportResult : std::uint8_t { success, failure };

class Exporter {
 public:
  virtual ~Exporter() = default;
  // A problem that is known before the first span, as a sentence for setup(); empty when there is none.
  virtual std::string open() noexcept { return {}; }
  // What it does and why, for describe(); asked once, by setup(). An origin that is left empty is that of the
  // exporter itself. May throw.
  virtual std::vector<Setting> settings() const { return {}; }
  virtual ExportResult export_batch(const ExportBatch& batch) noexcept = 0;
  virtual bool flush(std::chrono::steady_clock::time_point /*deadline*/) noexcept { return true; }
  // From another thread, while export_batch may be running: tracing is being shut down, and whatever the
  // exporter waits for is to be given up at `deadline`, also in the calls that follow.
  virtual void give_up_at(std::chrono::steady_clock::time_point /*deadline*/) noexcept {}
  // The last call, also where nothing was exported: setup() makes it when another exporter cannot be opened.
  virtual void shutdown(std::chrono::steady_clock::time_point /*deadline*/) noexcept {}
  // In a forked child: give up inherited descriptors and buffered data, which are the parent's.
  virtual void after_fork() noexcept {}
};

}  // namespace v1
}  // namespace midtrace
