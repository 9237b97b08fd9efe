// Real batches for tests of encoders: spans go through the tracer and the collector, and a function sees what
// an exporter sees, on the collector's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <midtrace/export/exporter.h>
#include <midtrace/testing/testing.h>

namespace midtrace_test {

class FunctionExporter final : public midtrace::Exporter {
 public:
  using Function = std::function<void(const midtrace::ExportBatch&)>;
  explicit FunctionExporter(Function function) : function_(std::move(function)) {}
  midtrace::ExportResult export_batch(const midtrace::ExportBatch& batch) noexcept override {
    function_(batch);
    return midtrace::ExportResult::success;
  }

 private:
  Function function_;
};

// A Recorder with this exporter beside its own.
midtrace::testing::RecorderOptions recording_into(std::shared_ptr<midtrace::Exporter> exporter);

// Runs `trace` and returns the OTLP/JSON of each batch.
std::vector<std::string> otlp_json_of(const std::function<void(midtrace::testing::Recorder&)>& trace,
                                      midtrace::testing::RecorderOptions options = {});

}  // namespace midtrace_test
