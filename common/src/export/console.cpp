#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

#include <midtrace/export/exporters.h>
#include <midtrace/trace/instrumentation.h>

#include "../waterfall/waterfall.h"
#include "descriptor.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr int width_without_terminal = 100;

std::string_view variable(const char* name) noexcept {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

bool locale_is_utf8() noexcept {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view locale = variable(name);
    if (locale.empty()) continue;
    return locale.find("UTF-8") != std::string_view::npos || locale.find("utf8") != std::string_view::npos ||
           locale.find("UTF8") != std::string_view::npos || locale.find("utf-8") != std::string_view::npos;
  }
  return false;
}

// Asked for at each batch: a terminal may be resized.
waterfall::Drawing drawing_for(int descriptor) noexcept {
  waterfall::Drawing drawing;
  drawing.width = width_without_terminal;
  drawing.unicode = locale_is_utf8();
  if (isatty(descriptor) != 1) return drawing;
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) drawing.width = size.ws_col;
  drawing.colour = variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  return drawing;
}

waterfall::Kind drawn_kind(SpanKind kind) noexcept {
  switch (kind) {
    case SpanKind::internal:
      return waterfall::Kind::kInternal;
    case SpanKind::server:
      return waterfall::Kind::kServer;
    case SpanKind::client:
      return waterfall::Kind::kClient;
    case SpanKind::producer:
      return waterfall::Kind::kProducer;
    case SpanKind::consumer:
      return waterfall::Kind::kConsumer;
  }
  return waterfall::Kind::kUnspecified;
}

waterfall::Status drawn_status(StatusCode status) noexcept {
  switch (status) {
    case StatusCode::unset:
      return waterfall::Status::kUnset;
    case StatusCode::ok:
      return waterfall::Status::kOk;
    case StatusCode::error:
      return waterfall::Status::kError;
  }
  return waterfall::Status::kUnset;
}

waterfall::Span drawn(const SpanView& span, const std::string& service) {
  waterfall::Span result;
  result.trace_id = span.context().trace_id.to_string();
  result.span_id = span.context().span_id.to_string();
  if (span.parent_span_id().valid()) result.parent_span_id = span.parent_span_id().to_string();
  result.name = span.name();
  result.service = service;
  result.kind = drawn_kind(span.kind());
  result.start_unix_nanos = span.start_unix_nanos();
  result.end_unix_nanos = span.end_unix_nanos();
  result.status = drawn_status(span.status());
  result.status_message = span.status_description();
  result.links.reserve(span.link_count());
  span.for_each_link([&result](const LinkView& link) {
    result.links.push_back({link.context.trace_id.to_string(), link.context.span_id.to_string()});
  });
  result.dropped_links = span.dropped_links();
  return result;
}

class ConsoleExporter final : public Exporter {
 public:
  explicit ConsoleExporter(ConsoleOptions options) noexcept
      : descriptor_(options.to_stdout ? STDOUT_FILENO : STDERR_FILENO) {
    console_.borrow(descriptor_);
  }

  std::vector<Setting> settings() const override {
    return {{"console", descriptor_ == STDOUT_FILENO ? "standard output" : "standard error", ""}};
  }
  ExportResult export_batch(const ExportBatch& batch) noexcept override {
    try {
      std::string service;
      if (const ResourceValue* name = batch.resource.find("service.name")) {
        if (const auto* text = std::get_if<std::string>(name)) service = *text;
      }
      std::vector<waterfall::Span> spans;
      spans.reserve(batch.spans.size());
      for (const SpanView& span : batch.spans)
        spans.push_back(drawn(span, service));
      // An empty line between batches.
      const std::string text = waterfall::draw(spans, drawing_for(descriptor_)) + "\n";
      std::size_t written = 0;
      const int reason = console_.write_all(text, written);
      if (reason == 0) return ExportResult::success;
      report(Severity::warning, "export.console",
             "Cannot draw spans on the console: " + std::generic_category().message(reason) +
                 "; choose another exporter, or keep the reader of the output running");
    } catch (const std::exception&) {
      report(Severity::warning, "export.console",
             "There is no memory to draw a batch of spans on the console");
    }
    return ExportResult::failure;
  }

 private:
  int descriptor_;
  Descriptor console_;
};

}  // namespace

std::shared_ptr<Exporter> console_exporter(ConsoleOptions options) {
  return std::make_shared<ConsoleExporter>(options);
}

}  // namespace v1
}  // namespace midtrace
