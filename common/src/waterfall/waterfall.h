// The terminal waterfall: spans in, one string of text out.
//
// Purpose: draws traces as trees with bars on a common time axis. midtrace-view and the console exporter
// share it, so it knows nothing of files, terminals or the tracer: everything arrives in plain structs.
//
// Shapes and units: ids are lower-case hex, empty when absent. Times are nanoseconds since the Unix epoch; a
// start of zero means "unknown" and an end of zero "not ended". Widths are terminal cells. The result is
// UTF-8 (or ASCII), every line ends in '\n', no line is wider than Drawing::width and none has trailing
// spaces.
//
// What is drawn together: spans of one trace, and traces connected by links, form one group. A span hangs
// under its parent. A span without a parent in the input hangs under every span it links to. A span with a
// parent stays there and is repeated as one row under each further span it links to. The first full drawing
// carries the subtree, the others refer to it by number. Cycles, depth and clock skew are harmless: nothing
// recurses, no span's subtree is drawn twice.
//
// Trust: names and values come from foreign files. They are cleaned before they are printed, so no control
// character, escape sequence or bidirectional override reaches the terminal (see text.h). The only escape
// sequences in the result are the colours, and only with Drawing::colour.
//
// Errors: none of its own; std::bad_alloc may pass. Threads: pure functions, callable from any thread at
// once.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace midtrace::waterfall {

enum class Kind : std::uint8_t { kUnspecified, kInternal, kServer, kClient, kProducer, kConsumer };
enum class Status : std::uint8_t { kUnset, kOk, kError };

struct Link {
  std::string trace_id;
  std::string span_id;
};

struct Span {
  std::string trace_id;
  std::string span_id;
  std::string parent_span_id;
  std::string name;
  std::string service;
  Kind kind = Kind::kUnspecified;
  std::int64_t start_unix_nanos = 0;
  std::int64_t end_unix_nanos = 0;
  Status status = Status::kUnset;
  std::string status_message;
  std::vector<Link> links;
  std::uint32_t dropped_links = 0;
  std::vector<std::pair<std::string, std::string>> attributes;  // values already rendered as text
};

struct Drawing {
  int width = 80;           // cells per line; taken as 40 when smaller and as 400 when larger
  bool colour = false;      // SGR colours; also makes bar starts exact to an eighth of a cell
  bool unicode = true;      // false: nothing but printable ASCII
  bool attributes = false;  // ids, status message, attributes and links under every span
  bool fold = true;         // from six siblings alike on: three of them and one row for the rest
};

// Which groups to keep. A group is kept or left out as a whole, linked traces included.
struct Selection {
  std::string trace_prefix{};  // lower-case hex; empty keeps all
  bool errors_only = false;    // only groups with at least one span of Status::kError
};

std::vector<Span> select(const std::vector<Span>& spans, const Selection& selection);

// All groups, oldest first, a blank line between them. Empty for no spans.
std::string draw(const std::vector<Span>& spans, const Drawing& drawing);

// One closing line: traces, spans, errors and the slowest span.
std::string summary(const std::vector<Span>& spans, const Drawing& drawing);

}  // namespace midtrace::waterfall
