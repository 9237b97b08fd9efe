// Short spellings for the spans of the tests. Times are milliseconds after a fixed instant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "waterfall/waterfall.h"

namespace midtrace::waterfall::testing {

inline constexpr std::int64_t kOrigin = 1'763'705'642'120'000'000;
inline constexpr std::int64_t kMilli = 1'000'000;

// 'a' -> "aaaa...", so that a test reads `id('a')` and the drawing shows which one it was.
inline std::string trace_id(char digit) { return std::string(32, digit); }
inline std::string span_id(char digit) { return std::string(16, digit); }

struct SpanBuilder {
  Span span;

  SpanBuilder(char trace, char id, std::string name, Kind kind, std::int64_t start, std::int64_t duration) {
    span.trace_id = trace_id(trace);
    span.span_id = span_id(id);
    span.name = std::move(name);
    span.service = "shop";
    span.kind = kind;
    span.start_unix_nanos = kOrigin + start * kMilli;
    span.end_unix_nanos = kOrigin + (start + duration) * kMilli;
  }

  SpanBuilder& under(char parent) {
    span.parent_span_id = span_id(parent);
    return *this;
  }
  SpanBuilder& of(std::string service) {
    span.service = std::move(service);
    return *this;
  }
  SpanBuilder& linked(char trace, char id) {
    span.links.push_back({trace_id(trace), span_id(id)});
    return *this;
  }
  SpanBuilder& failed(std::string type) {
    span.status = Status::kError;
    if (!type.empty()) {
      span.attributes.emplace_back("error.type", std::move(type));
    }
    return *this;
  }

  operator Span() const { return span; }  // NOLINT(google-explicit-constructor): reads better in lists
};

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// The lines below header and column titles, cut to the first `width` bytes, without trailing blanks.
inline std::string tree_of(std::string_view drawing, std::size_t width) {
  std::string tree("\n");
  const std::vector<std::string> lines = lines_of(drawing);
  for (std::size_t i = 2; i < lines.size(); ++i) {
    std::string line = lines[i].substr(0, width);
    line.erase(line.find_last_not_of(' ') + 1);
    tree += line + "\n";
  }
  return tree;
}

inline std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace midtrace::waterfall::testing
