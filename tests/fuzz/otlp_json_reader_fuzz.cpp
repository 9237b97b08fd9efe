// midtrace-view reads any file: the spans that come out have ids, problems are within the file, and what is
// drawn of it sends nothing to the terminal but text.
#include <algorithm>
#include <string>
#include <string_view>

#include "check.h"
#include "export/utf8.h"
#include "otlp_json_reader.h"

namespace {

namespace waterfall = midtrace::waterfall;

bool is_id(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input = midtrace_fuzz::text_of(bytes, size);
  midtrace::view::Reading reading;
  midtrace::view::read_otlp_json(input, reading);
  for (const waterfall::Span& span : reading.spans) {
    FUZZ_CHECK(is_id(span.trace_id, 32) && is_id(span.span_id, 16));
    FUZZ_CHECK(span.parent_span_id.empty() || is_id(span.parent_span_id, 16));
    for (const waterfall::Link& link : span.links) {
      FUZZ_CHECK(link.trace_id.empty() || is_id(link.trace_id, 32));
      FUZZ_CHECK(link.span_id.empty() || is_id(link.span_id, 16));
    }
  }
  const auto lines = static_cast<std::size_t>(std::count(input.begin(), input.end(), '\n')) + 1;
  for (const midtrace::view::Problem& problem : reading.problems)
    FUZZ_CHECK(problem.line >= 1 && problem.line <= lines && !problem.reason.empty());

  waterfall::Drawing drawing;
  drawing.attributes = true;
  const std::string drawn =
      waterfall::draw(reading.spans, drawing) + waterfall::summary(reading.spans, drawing);
  FUZZ_CHECK(midtrace::is_utf8(drawn));
  for (const char c : drawn)
    FUZZ_CHECK(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F));

  // Several files are read into one.
  midtrace::view::Reading twice = reading;
  midtrace::view::read_otlp_json(input, twice);
  FUZZ_CHECK(twice.spans.size() == 2 * reading.spans.size());
  FUZZ_CHECK(twice.problems.size() == 2 * reading.problems.size());
  return 0;
}
