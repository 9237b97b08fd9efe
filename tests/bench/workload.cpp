#include "workload.h"

#include <thread>

namespace midtrace::bench {

const SpanValues& span_values() {
  static const SpanValues values{"send orders", "kafka", "orders", "3", "checkout-7f9c",
                                 512,           640,     1234567,  1};
  return values;
}

ExportResult DiscardingExporter::export_batch(const ExportBatch& batch) noexcept {
  if (shut_.load(std::memory_order_acquire)) {
    entered_.store(true, std::memory_order_release);
    shut_.wait(true, std::memory_order_acquire);
    entered_.store(false, std::memory_order_release);
  }
  exported_.fetch_add(batch.spans.size(), std::memory_order_acq_rel);
  return ExportResult::success;
}

void DiscardingExporter::open_again() noexcept {
  shut_.store(false, std::memory_order_release);
  shut_.notify_all();
}

void DiscardingExporter::wait_until_entered() const noexcept {
  while (!entered_.load(std::memory_order_acquire))
    std::this_thread::yield();
}

Tracing::Tracing(SetupOptions options)
    : exporter_(std::make_shared<DiscardingExporter>()), before_(midtrace::counters()) {
  options.service_name = "bench";
  options.exporters.push_back(exporter_);
  options.read_environment = false;
  telemetry_ = setup(std::move(options));
}

void Tracing::fill_queue(std::size_t spans) {
  exporter_->shut();
  const Tracer tracer = Tracer::get("bench");
  for (std::size_t i = 0; i < spans; ++i)
    trace_one_span(tracer, span_values());
  exporter_->open_again();
  flush();
}

Counters Tracing::counters() const noexcept {
  Counters now = midtrace::counters();
  for (std::size_t i = 0; i < now.values.size(); ++i)
    now.values[i] -= before_.values[i];
  return now;
}

std::string Tracing::loss(Expect expect) noexcept {
  if (!telemetry_.ok()) return telemetry_.error();
  if (!flush()) return "the flush failed";
  const Counters now = counters();
  for (const Counter counter : {Counter::truncated_values, Counter::dropped_attributes}) {
    if (now[counter] != 0) return std::string(counter_name(counter)) + " = " + std::to_string(now[counter]);
  }
  if (now.dropped_spans() != 0) return std::to_string(now.dropped_spans()) + " spans were dropped";
  if (now[Counter::spans_started] == 0) return "no span was started";
  const std::uint64_t started = now[Counter::spans_started];
  const std::uint64_t sampled = now[Counter::spans_sampled];
  const bool as_expected = expect == Expect::all_sampled    ? sampled == started
                           : expect == Expect::none_sampled ? sampled == 0
                                                            : sampled > 0 && sampled < started;
  if (!as_expected || exporter_->exported() != sampled) {
    return "of " + std::to_string(started) + " spans " + std::to_string(sampled) + " recorded and " +
           std::to_string(exporter_->exported()) + " were exported";
  }
  return {};
}

BatchOptions room_for(std::uint32_t spans) {
  BatchOptions batch;
  batch.queue_size = spans;
  return batch;
}

}  // namespace midtrace::bench
