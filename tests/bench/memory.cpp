// What spans hold in memory. Each figure is taken in a process of its own, from its resident set size.
//
// Measured on AMD EPYC (2.45 GHz, virtual), 2 cores with little else to do (load 1.4), g++ 12.2 -O2,
// opentelemetry-cpp 1.29.0 (development). Two runs: 1040 bytes per buffered span, 89.5 and 90.1 per pending
// one, growth 0.12 and 0.54 MiB: all hold.
#include <unistd.h>

#include <cstdio>

#include "cases.h"
#include "workload.h"

namespace midtrace::bench {

namespace {

double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long total = 0;
  long resident = 0;
  const int read = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return read == 2 ? static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) : 0;
}

constexpr std::size_t many = 50'000;
constexpr std::size_t open_operations = 100'000;

Row row_from_child(std::string name, std::string unit, std::string_view child, std::size_t index,
                   double at_most) {
  const std::vector<double> values = run_child(child);
  Row row{std::move(name), std::move(unit), exactly(index < values.size() ? values[index] : 0)};
  if (index >= values.size()) row.void_reason = "its process failed";
  row.at_most = at_most;
  return row;
}

}  // namespace

// Finished spans that wait in the queue because the exporter does not return.
std::vector<double> child_buffered_spans() {
  SetupOptions options;
  options.batch = room_for(1U << 16U);
  options.batch->memory_bytes = 256ULL * 1024 * 1024;
  Tracing tracing(std::move(options));
  const Tracer tracer = Tracer::get("bench");
  // Whatever is needed once is there afterwards, and the collector is held with a batch of its own.
  for (std::size_t i = 0; i < 1000; ++i)
    trace_one_span(tracer, span_values());
  tracing.flush();
  tracing.exporter().shut();

  const double before = resident_bytes();
  for (std::size_t i = 0; i < many; ++i)
    trace_one_span(tracer, span_values());
  const double after = resident_bytes();
  const bool complete = tracing.counters().dropped_spans() == 0;
  tracing.exporter().open_again();
  if (!complete) return {};
  // The first thousand found memory that was there already.
  return {(after - before) / static_cast<double>(many - 1000)};
}

std::vector<double> child_pending_spans() {
  Tracing tracing;
  const Tracer tracer = Tracer::get("bench");
  std::vector<PendingSpan> pending;
  const double before = resident_bytes();
  pending.reserve(open_operations);
  for (std::size_t i = 0; i < open_operations; ++i)
    pending.push_back(tracer.start_pending(span_values().name));
  const double after = resident_bytes();
  for (PendingSpan& one : pending)
    one.discard();
  return {(after - before) / static_cast<double>(open_operations)};
}

// Bytes in MiB after one million spans, and after five.
std::vector<double> child_many_spans() {
  Tracing tracing;
  const Tracer tracer = Tracer::get("bench");
  std::vector<double> result;
  for (int million = 1; million <= 5; ++million) {
    for (std::size_t i = 0; i < 1'000'000; ++i)
      trace_one_span(tracer, span_values());
    tracing.flush();
    if (million == 1 || million == 5) result.push_back(resident_bytes() / (1024.0 * 1024.0));
  }
  result.push_back(result[1] - result[0]);
  return result;
}

void memory(Session& session) {
  session.add(row_from_child("buffered span, 8 attributes", "bytes", "buffered_spans", 0, 1.1 * 1024));
  session.add(row_from_child("open asynchronous operation (PendingSpan)", "bytes", "pending_spans", 0, 160));
  session.add(row_from_child("resident memory: growth from 1 to 5 million spans", "MiB", "many_spans", 2, 1));
}

}  // namespace midtrace::bench
