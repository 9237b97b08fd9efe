// What is read from a traceparent is valid, and writing it gives a traceparent that reads the same.
#include <algorithm>
#include <string_view>

#include <midtrace/context/ids.h>
#include <midtrace/propagation/propagator.h>

#include "check.h"

namespace {

// A second reading of the rules, as plain as can be.
bool is_traceparent(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && blank(text.back()))
    text.remove_suffix(1);
  const auto hex = [&text](std::size_t from, std::size_t count) {
    const auto part = text.substr(from, count);
    return part.size() == count && part.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  };
  const auto zero = [&text](std::size_t from, std::size_t count) {
    return text.substr(from, count).find_first_not_of('0') == std::string_view::npos;
  };
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  if (!hex(0, 2) || !hex(3, 32) || !hex(36, 16) || !hex(53, 2)) return false;
  if (text.substr(0, 2) == "ff" || zero(3, 32) || zero(36, 16)) return false;
  if (text.substr(0, 2) == "00") return text.size() == 55;
  return text.size() == 55 || text[55] == '-';
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input = midtrace_fuzz::text_of(bytes, size);
  const midtrace::SpanContext context = midtrace::parse_traceparent(input);
  FUZZ_CHECK(context.valid() == is_traceparent(input));
  if (context.valid()) {
    char written[midtrace::traceparent_length];
    midtrace::write_traceparent(context, written);
    FUZZ_CHECK(is_traceparent(std::string_view(written, sizeof written)));
    FUZZ_CHECK(midtrace::parse_traceparent(std::string_view(written, sizeof written)) == context);
    FUZZ_CHECK((context.flags.bits & ~3U) == 0);
  } else {
    FUZZ_CHECK(context == midtrace::SpanContext());
  }

  const auto trace_id = midtrace::TraceId::from_hex(input);
  FUZZ_CHECK(!trace_id || trace_id->to_string() == input);
  const auto span_id = midtrace::SpanId::from_hex(input);
  FUZZ_CHECK(!span_id || span_id->to_string() == input);
  return 0;
}
