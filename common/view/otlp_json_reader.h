// OTLP traces in JSON, as text, turned into spans for the waterfall.
//
// Purpose: reads what any SDK, collector or backend writes: JSON Lines (one TracesData or export request per
// line), one JSON document however it is laid out, or several of them one after the other.
//
// Accepted beyond the letter of the OTLP/JSON encoding, because files in the wild need it: ids in either case
// and in base64 (stock protobuf printers), 64-bit numbers as numbers, enums by name,
// `instrumentationLibrarySpans`, a list of documents, a byte order mark. Unknown fields and other signals
// (resourceMetrics, resourceLogs) are passed over.
//
// Errors: never throws for bad input. What cannot be read is described in `problems` and left out; everything
// else is read. After a document that does not parse, reading resumes at the next line that starts with an
// opening brace. Threads: pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "waterfall/waterfall.h"

namespace midtrace::view {

struct Problem {
  std::size_t line = 0;  // from 1
  std::string reason;    // may quote the input: clean it before printing
};

struct Reading {
  std::vector<waterfall::Span> spans;
  std::vector<Problem> problems;
};

// Appends to `reading`, so that several files can be read into one.
void read_otlp_json(std::string_view text, Reading& reading);

}  // namespace midtrace::view
