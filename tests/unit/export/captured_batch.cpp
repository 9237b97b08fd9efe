#include "captured_batch.h"

#include <utility>

#include <midtrace/export/exporters.h>

namespace midtrace_test {

midtrace::testing::RecorderOptions recording_into(std::shared_ptr<midtrace::Exporter> exporter) {
  midtrace::testing::RecorderOptions options;
  options.more_exporters.push_back(std::move(exporter));
  return options;
}

std::vector<std::string> otlp_json_of(const std::function<void(midtrace::testing::Recorder&)>& trace,
                                      midtrace::testing::RecorderOptions options) {
  std::vector<std::string> lines;
  options.more_exporters.push_back(
      std::make_shared<FunctionExporter>([&lines](const midtrace::ExportBatch& batch) {
        midtrace::append_otlp_json(lines.emplace_back(), batch);
      }));
  {
    midtrace::testing::Recorder recorder(std::move(options));
    trace(recorder);
    recorder.spans();
  }
  return lines;
}

}  // namespace midtrace_test
