// The test kit: deterministic tracing in memory, and span trees as text.
//
//   midtrace::testing::Recorder recorder;  // tracing on, manual clock, sequential ids, everything sampled
//   place_order();
//   EXPECT_EQ(recorder.tree(), R"(
//   send orders PRODUCER
//     messaging.system = kafka
//   )");
//
// A Recorder owns the process's tracing while it lives: one at a time, and no span may run across its
// beginning or end. tree() flushes first. Any thread may trace; the Recorder itself belongs to one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <midtrace/export/exporter.h>
#include <midtrace/setup.h>
#include <midtrace/trace/clock.h>

namespace midtrace {
inline namespace v1 {
namespace testing {

// An attribute value that owns its memory; arrays are rendered as `[a, b]`.
using OwnedValue = std::variant<std::string, bool, std::int64_t, double>;

struct OwnedAttribute {
  std::string key;
  OwnedValue value;
  AttributeType type;
  // The value as tree() prints it.
  std::string text() const;
};

struct OwnedEvent {
  std::string name;
  std::int64_t unix_nanos;
  std::vector<OwnedAttribute> attributes;
};

struct OwnedLink {
  SpanContext context;
  std::vector<OwnedAttribute> attributes;
};

// A finished span, copied out of the record.
struct OwnedSpan {
  std::string name;
  SpanKind kind;
  SpanContext context;
  SpanId parent_span_id;
  bool parent_remote;
  std::int64_t start_unix_nanos;
  std::int64_t end_unix_nanos;
  StatusCode status;
  std::string status_description;
  std::string scope_name;
  std::string scope_version;
  std::string scope_schema_url;
  std::vector<OwnedAttribute> attributes;
  std::vector<OwnedEvent> events;
  std::vector<OwnedLink> links;
  std::uint32_t dropped_attributes;
  std::uint32_t dropped_events;
  std::uint32_t dropped_links;

  // The attribute's text, or "" when it is absent.
  std::string attribute(std::string_view key) const;
};

// Keeps every exported span. Any thread.
class MemoryExporter final : public Exporter {
 public:
  ExportResult export_batch(const ExportBatch& batch) noexcept override;
  // A forked child begins with none of its parent's spans.
  void after_fork() noexcept override;
  std::vector<OwnedSpan> spans() const;
  std::vector<ResourceAttribute> resource() const;
  void clear();

 private:
  mutable std::mutex mutex_;
  std::vector<OwnedSpan> spans_;
  std::vector<ResourceAttribute> resource_;
};

// Stands still unless it is moved; one tick is one nanosecond. Starts at 2024-01-01T00:00:00Z.
class ManualClock final : public Clock {
 public:
  std::uint64_t now() noexcept override;
  std::int64_t to_unix_nanos(std::uint64_t tick) noexcept override;
  void advance(std::chrono::nanoseconds by) noexcept;

 private:
  std::atomic<std::uint64_t> now_{1};
};

// Trace ids 1, 2, 3, ... and span ids 1, 2, 3, ...; not random, so new traces lack the random flag.
class SequentialIds final : public IdGenerator {
 public:
  TraceId trace_id() noexcept override;
  SpanId span_id() noexcept override;
  bool random() const noexcept override { return false; }

 private:
  std::atomic<std::uint64_t> traces_{0};
  std::atomic<std::uint64_t> spans_{0};
};

struct TreeOptions {
  bool attributes = true;
  bool links = true;
  bool events = true;
  bool status = true;
  bool durations = false;
  // Attributes to leave out, and attributes of which the value is replaced by another text (ports, offsets,
  // names).
  std::vector<std::string> without = {};
  std::map<std::string, std::string> masked = {};
};

// The spans as text: roots in order of their start (then of their name, then of what is printed), children in
// the same order, indented by two spaces below their parent. Each span is `name KIND` (with durations `name
// KIND 1.5ms`), then one line each: `parent (not here)` when its parent was not exported, its status when not
// unset (`status ERROR: description`), attributes sorted by key as `key = value`, events as `event name {key
// = value, ...}`, links as `link -> name {key = value, ...}` where name is the linked span's own name, or
// `(not here)` when it was not exported. Control characters in values are spelled out (`\n`, `\x00`). Nothing
// printed depends on an id, so the text is the same with random ids and with several threads. It begins with
// a newline and ends with one, so that raw string literals read well.
std::string span_tree(const std::vector<OwnedSpan>& spans, const TreeOptions& options = {});

struct RecorderOptions {
  std::shared_ptr<Sampler> sampler = {};  // null: always on
  std::shared_ptr<const Propagator> propagator = {};
  SpanLimits limits = {};
  BatchOptions batch = {};
  bool real_clock = false;
  bool random_ids = false;
  std::vector<std::shared_ptr<Exporter>> more_exporters = {};
  std::vector<std::shared_ptr<SpanProcessor>> processors = {};
  std::string service_name = "test";
};

class Recorder {
 public:
  explicit Recorder(RecorderOptions options = {});
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Everything that ended so far, flushed.
  std::vector<OwnedSpan> spans();
  std::string tree(const TreeOptions& options = {});
  void clear();
  // Counters since this recorder began.
  Counters counters() const;
  ManualClock& clock() { return *clock_; }
  Telemetry& telemetry() { return telemetry_; }

 private:
  std::shared_ptr<MemoryExporter> exporter_;
  std::shared_ptr<ManualClock> clock_;
  Counters at_start_;
  Telemetry telemetry_;
};

}  // namespace testing
}  // namespace v1
}  // namespace midtrace
