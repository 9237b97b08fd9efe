#include "json_documents.h"

#include <algorithm>

namespace midtrace::view {
namespace {

constexpr int kBrokenTolerated = 32;
constexpr std::string_view kBlank = " \t\r\n";

// Whether a line begins a document of its own: no object inside an OTLP document begins with one of these
// keys.
bool opens_document(std::string_view line) {
  if (line.empty() || line.front() != '{') {
    return false;
  }
  const std::size_t key = line.find_first_not_of(" \t", 1);
  if (key == std::string_view::npos) {
    return false;
  }
  line.remove_prefix(key);
  return line.starts_with("\"resourceSpans\"") || line.starts_with("\"resourceMetrics\"") ||
         line.starts_with("\"resourceLogs\"");
}

}  // namespace

std::size_t Documents::line_end(std::size_t from) const {
  return std::min(text_.find('\n', from), text_.size());
}

// Offset past the document that starts at `from`.
std::size_t Documents::closing(std::size_t from) {
  const std::size_t first_line_end = line_end(from);
  const std::size_t limit = broken_ < kBrokenTolerated ? text_.size() : first_line_end;
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = from; i < limit; ++i) {
    const char c = text_[i];
    looked_at_ = i;
    if (c == '\n' && text_[from] == '{' && opens_document(text_.substr(i + 1, 64))) {
      return i;
    }
    if (quoted) {
      if (c == '\\' && i + 1 < limit && text_[i + 1] != '\n') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i + 1;
    }
  }
  return first_line_end;
}

Document Documents::next() {
  const std::size_t start = text_.find_first_not_of(kBlank, offset_);
  if (start == std::string_view::npos) {
    offset_ = text_.size();
    return {{}, text_.size()};
  }
  const bool opens = text_[start] == '{' || text_[start] == '[';
  offset_ = opens ? closing(start) : line_end(start);
  return {text_.substr(start, offset_ - start), start};
}

std::size_t Documents::skip_broken(const Document& document) {
  const std::size_t first_line_end = line_end(document.offset);
  broken_ += looked_at_ > first_line_end ? 1 : 0;
  offset_ = first_line_end;
  while (offset_ < text_.size()) {
    const std::size_t line = offset_ + 1;
    if (line < text_.size() && (text_[line] == '{' || text_[line] == '[')) {
      break;
    }
    offset_ = line_end(line);
  }
  return position(std::min(offset_, text_.size() - 1)).line;
}

Position Documents::position(std::size_t offset) {
  offset = std::min(offset, text_.size());
  if (offset < line_start_) {
    line_ = 1;
    line_start_ = 0;
  }
  for (std::size_t end = line_end(line_start_); end < offset; end = line_end(line_start_)) {
    line_start_ = end + 1;
    ++line_;
  }
  return {line_, offset - line_start_ + 1};
}

}  // namespace midtrace::view
