// Message headers as span attributes: those that the options captured_headers and excluded_headers select,
// and that are text.
//
// `messaging.header.<name>` is an array with one string for each header of that name, in their order. Headers
// of propagation formats, whichever are in use, and baggage are never among them. Bounded: a module looks at
// the first `max_scanned_headers` headers, `max_captured_headers` of them are written, with names and values
// up to their lengths; a longer one is left out, not cut. Nothing throws; any thread. Source: what
// OpenTelemetry's instrumentations call capturing headers; the conventions have no name for it.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

inline constexpr std::size_t max_scanned_headers = 1024;
inline constexpr std::size_t max_captured_headers = 16;
inline constexpr std::size_t max_header_name_bytes = 128;
inline constexpr std::size_t max_header_value_bytes = 256;

// Whether a header of this name may be captured: it matches one of the patterns (`*`, `?`) and none of the
// excluded ones, is no propagation header, and is text.
bool captures_header(std::span<const std::string> captured, std::span<const std::string> excluded,
                     std::string_view name) noexcept;

// The headers of one message. What it is given must live until write().
class CapturedHeaders {
 public:
  // Nothing more will be taken.
  bool full() const noexcept { return count_ == max_captured_headers; }
  // One whose name captures_header(); what is too long, or no text, is left out.
  void add(std::string_view name, std::string_view value) noexcept;
  // Once.
  void write(Span& span) noexcept;

 private:
  std::array<std::string_view, max_captured_headers> names_;
  std::array<std::string_view, max_captured_headers> values_;
  std::size_t count_ = 0;
};

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
