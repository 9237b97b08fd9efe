// What the cases trace: a typical messaging span with four integers and four short strings, and a tracing
// set-up whose exporter throws everything away.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <midtrace/semconv/attributes.h>
#include <midtrace/setup.h>
#include <midtrace/trace/tracer.h>

#include "harness.h"

namespace midtrace::bench {

// Known only at run time, as in an application: nothing is a literal that could be referenced.
struct SpanValues {
  std::string name;
  std::string system;
  std::string destination;
  std::string partition;
  std::string client;
  std::int64_t body_size;
  std::int64_t envelope_size;
  std::int64_t offset;
  std::int64_t batch_size;
};
const SpanValues& span_values();

inline void set_eight_attributes(Span& span, const SpanValues& values) noexcept {
  span.set(semconv::messaging_system, std::string_view(values.system));
  span.set(semconv::messaging_destination_name, std::string_view(values.destination));
  span.set(semconv::messaging_destination_partition_id, std::string_view(values.partition));
  span.set(semconv::messaging_client_id, std::string_view(values.client));
  span.set(semconv::messaging_message_body_size, values.body_size);
  span.set(semconv::messaging_message_envelope_size, values.envelope_size);
  span.set(semconv::messaging_kafka_offset, values.offset);
  span.set(semconv::messaging_batch_message_count, values.batch_size);
}

inline void trace_one_span(const Tracer& tracer, const SpanValues& values) noexcept {
  Span span = tracer.start(values.name, {.kind = SpanKind::producer});
  set_eight_attributes(span, values);
}

// The same loop body without tracing.
inline void read_values(const SpanValues& values) noexcept {
  keep(values.name.data());
  keep(values.system.data());
  keep(values.destination.data());
  keep(values.partition.data());
  keep(values.client.data());
  keep(values.body_size);
  keep(values.envelope_size);
  keep(values.offset);
  keep(values.batch_size);
}

// Counts and forgets. While it is shut, export_batch does not return.
class DiscardingExporter final : public Exporter {
 public:
  ExportResult export_batch(const ExportBatch& batch) noexcept override;
  std::uint64_t exported() const noexcept { return exported_.load(std::memory_order_acquire); }

  void shut() noexcept { shut_.store(true, std::memory_order_release); }
  void open_again() noexcept;
  // Waits until the collector is held inside export_batch.
  void wait_until_entered() const noexcept;

 private:
  std::atomic<std::uint64_t> exported_{0};
  std::atomic<bool> shut_{false};
  std::atomic<bool> entered_{false};
};

// Tracing that is on while it lives; one at a time.
class Tracing {
 public:
  explicit Tracing(SetupOptions options = {});

  DiscardingExporter& exporter() noexcept { return *exporter_; }
  // Lets the calling thread have `spans` spans at once in its queue, so that later bursts of as many find
  // their memory made: what is measured is the steady state.
  void fill_queue(std::size_t spans);
  bool flush() noexcept { return telemetry_.flush(std::chrono::seconds(30)); }
  Counters counters() const noexcept;
  // Why a measurement with this tracing does not count: something was dropped or cut, or not every recorded
  // span was exported, or not as many of all spans recorded as expected. Empty when all is well. Flushes.
  enum class Expect { all_sampled, none_sampled, some_sampled };
  std::string loss(Expect expect) noexcept;

 private:
  std::shared_ptr<DiscardingExporter> exporter_;
  Counters before_;
  Telemetry telemetry_;
};

// A batch set-up that has room for bursts of `spans` per thread.
BatchOptions room_for(std::uint32_t spans);

}  // namespace midtrace::bench
