#include <unistd.h>

#include <cerrno>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <midtrace/export/exporters.h>
#include <midtrace/trace/instrumentation.h>

#include "../config/environment.h"
#include "descriptor.h"
#include "otlp_file.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr const char* cause = "export.otlp_file";
// A buffer that one batch of huge spans has grown is given back above this.
constexpr std::size_t kept_buffer = 4U << 20U;

std::string with_process_id(const std::string& pattern) {
  constexpr std::string_view mark = "%p";
  const std::string process_id = std::to_string(getpid());
  std::string path;
  std::size_t begin = 0;
  for (std::size_t found = 0; (found = pattern.find(mark, begin)) != std::string::npos;
       begin = found + mark.size()) {
    path.append(pattern, begin, found - begin).append(process_id);
  }
  return path.append(pattern, begin);
}

const char* what_to_do(int reason) noexcept {
  switch (reason) {
    case ENOENT:
    case ENOTDIR:
      return "create the directory, or choose another path";
    case EACCES:
    case EPERM:
    case EROFS:
      return "allow this process to write there, or choose another path";
    case EISDIR:
      return "give the path of a file, not of a directory";
    case ENXIO:
      return "start the reader of the named pipe first, or choose another path";
    case ENOSPC:
    case EDQUOT:
      return "free some space, or choose another path";
    case EPIPE:
      return "keep the reader running, or choose another path";
    default:
      return "choose another path";
  }
}

class OtlpFileExporter final : public Exporter {
 public:
  OtlpFileExporter(std::string path, std::string origin)
      : pattern_(std::move(path)), origin_(std::move(origin)) {}

  std::string open() noexcept override;
  std::vector<Setting> settings() const override {
    return {{"OTLP file", pattern_ == "-" ? "standard output" : quoted(pattern_), origin_}};
  }
  ExportResult export_batch(const ExportBatch& batch) noexcept override;
  void shutdown(std::chrono::steady_clock::time_point) noexcept override { file_.close(); }
  void after_fork() noexcept override;

 private:
  int open_file();
  ExportResult fail(std::string_view doing, int reason, std::size_t spans);

  std::string pattern_;  // with %p
  std::string origin_;   // of the path, for describe()
  std::string path_;     // without, as of the last opening
  std::string line_;
  Descriptor file_;
  bool line_torn_ = false;  // the last line ends in the middle
};

void OtlpFileExporter::after_fork() noexcept {
  file_.close();
  line_torn_ = false;
  // The parent's collector may have been changing them at the moment of the fork, so they are neither used
  // nor freed.
  new (&path_) std::string;
  new (&line_) std::string;
}

int OtlpFileExporter::open_file() {
  if (pattern_ == "-") {
    path_ = "standard output";
    file_.borrow(STDOUT_FILENO);
    return 0;
  }
  path_ = with_process_id(pattern_);
  return file_.open_for_append(path_.c_str());
}

std::string OtlpFileExporter::open() noexcept {
  try {
    if (file_.usable()) return {};
    const int reason = open_file();
    if (reason == 0) return {};
    return "Cannot open the trace file \"" + path_ +
           "\" for appending: " + std::generic_category().message(reason) + "; " + what_to_do(reason);
  } catch (const std::exception&) {
    return {};  // no memory: the first batch tries again
  }
}

ExportResult OtlpFileExporter::fail(std::string_view doing, int reason, std::size_t spans) {
  report(Severity::error, cause,
         "Cannot " + std::string(doing) + " the trace file \"" + path_ +
             "\": " + std::generic_category().message(reason) + "; a batch of " + std::to_string(spans) +
             " spans is lost. To keep the next ones, " + what_to_do(reason));
  return ExportResult::failure;
}

ExportResult OtlpFileExporter::export_batch(const ExportBatch& batch) noexcept {
  try {
    if (!file_.usable()) {
      if (const int reason = open_file(); reason != 0) return fail("open", reason, batch.spans.size());
    }
    line_.clear();
    if (line_torn_) line_ += '\n';
    append_otlp_json(line_, batch);
    line_ += '\n';
    std::size_t written = 0;
    const int reason = file_.write_all(line_, written);
    if (line_.capacity() > kept_buffer) std::string().swap(line_);
    if (reason == 0) {
      line_torn_ = false;
      return ExportResult::success;
    }
    // What other lines of a shared file need is only that the torn one is ended before the next begins.
    if (written > 0) line_torn_ = true;
    return fail("write to", reason, batch.spans.size());
  } catch (const std::exception&) {
    std::string().swap(line_);
    report(Severity::error, cause,
           "There is no memory to encode a batch of spans for the trace file; they are lost");
    return ExportResult::failure;
  }
}

}  // namespace

std::shared_ptr<Exporter> otlp_file_exporter(std::string path, std::string origin) {
  return std::make_shared<OtlpFileExporter>(std::move(path), std::move(origin));
}

std::shared_ptr<Exporter> otlp_file_exporter(std::string path) {
  return otlp_file_exporter(std::move(path), std::string());
}

}  // namespace v1
}  // namespace midtrace
