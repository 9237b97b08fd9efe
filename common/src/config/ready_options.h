// ReadyOptions: everything setup() needs, decided and checked: code beats the environment, which beats the
// defaults.
//
// make_ready() is the one place where the OTEL_* variables and MIDTRACE_OTLP_FILE are read. What cannot be
// used is reported, counted and replaced (environment.h); only an exporter that cannot open its destination
// makes `error`, a sentence with the place, the reason and what to do. make_ready() does not report that one:
// setup() does. Cold; may throw std::bad_alloc. One thread. Source: conventions 8.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <midtrace/setup.h>

#include "environment.h"

namespace midtrace {
inline namespace v1 {

struct ReadyOptions {
  Resource resource;
  std::shared_ptr<Sampler> sampler;                  // never null
  std::vector<std::shared_ptr<Exporter>> exporters;  // opened; may be empty
  std::vector<std::shared_ptr<SpanProcessor>> processors;
  std::shared_ptr<const Propagator> propagator;  // never null
  SpanLimits limits;
  // In range and consistent: export_batch_size <= queue_size, schedule_delay of at least 1 ms, export_timeout
  // of "no limit" as a year.
  BatchOptions batch;
  std::shared_ptr<Clock> clock;      // null: processor ticks
  std::shared_ptr<IdGenerator> ids;  // null: random
  std::shared_ptr<Logger> logger;    // never null
  std::chrono::milliseconds exit_timeout{2000};
  bool disabled = false;  // OTEL_SDK_DISABLED: no spans at all; propagator and logger hold nevertheless
  bool debug = false;     // OTEL_LOG_LEVEL=debug
  std::string error;      // not empty: tracing stays off
  std::vector<Setting> description;
};

// The logger alone. setup() asks for it first, so that whatever make_ready() reports goes to it; an invalid
// OTEL_LOG_LEVEL is reported by make_ready().
std::shared_ptr<Logger> choose_logger(const SetupOptions& options, const Environment& environment);

ReadyOptions make_ready(SetupOptions&& options, const Environment& environment);

}  // namespace v1
}  // namespace midtrace
