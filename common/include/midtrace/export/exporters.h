// The exporters that need no other library: OTLP/JSON lines to a file, and a waterfall on the console.
//
// Source: OTLP File Exporter; conventions 9.2.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <midtrace/export/exporter.h>

namespace midtrace {
inline namespace v1 {

// One TracesData object per line, appended by one O_APPEND write per line, so that several processes may
// share a file.
// `%p` in the path stands for the process id, also in a forked child; `-` is standard output. Missing
// directories are not created. open() says why the file cannot be written.
std::shared_ptr<Exporter> otlp_file_exporter(std::string path);

// Every exported batch as a waterfall on standard error or standard output, for development.
struct ConsoleOptions {
  bool to_stdout = false;
};
std::shared_ptr<Exporter> console_exporter(ConsoleOptions options = {});

// One line of OTLP/JSON (without the newline) for a batch; what the file exporter writes.
void append_otlp_json(std::string& out, const ExportBatch& batch);

}  // namespace v1
}  // namespace midtrace
