// Whole headers through the active propagator: extract, inject into a map, extract again.
//
// Each line of the input is one header: its first character chooses the name (t, s, b or another), the rest
// is the value. An input that begins with '!' is a carrier with HTTP's rule for duplicates.
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/propagation/propagator.h>

#include "check.h"
#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::Context;
using midtrace_test::ListCarrier;

const char* name_of(char c) {
  switch (c) {
    case 't':
      return "traceparent";
    case 's':
      return "tracestate";
    case 'b':
      return "baggage";
    default:
      return "other";
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input = midtrace_fuzz::text_of(bytes, size);
  const bool like_http = input.substr(0, 1) == "!";
  if (like_http) input.remove_prefix(1);
  std::vector<ListCarrier::Field> fields;
  std::size_t traceparents = 0;
  while (!input.empty()) {
    const std::string_view line = midtrace_fuzz::take_line(input);
    if (!line.empty()) {
      fields.emplace_back(name_of(line.front()), line.substr(1));
      if (line.front() == 't') ++traceparents;
    }
  }

  const midtrace::Propagator& propagator = midtrace::propagator();
  Context context;
  propagator.extract(ListCarrier(fields, like_http), context);
  FUZZ_CHECK(context.span.remote == context.span.valid());
  FUZZ_CHECK(context.span.valid() || context.span.trace_state.empty());
  FUZZ_CHECK(!context.suppressed);
  if (traceparents == 0 || (like_http && traceparents > 1)) FUZZ_CHECK(!context.span.valid());

  midtrace::MapCarrier::Map sent;
  midtrace::MapCarrier carrier(sent);
  propagator.inject(context, carrier);
  FUZZ_CHECK(sent.size() <= 3);
  FUZZ_CHECK(sent.contains("traceparent") == context.span.valid());
  FUZZ_CHECK(!sent.contains("tracestate") || sent["tracestate"].size() <= midtrace::TraceState::send_budget);
  FUZZ_CHECK(!sent.contains("baggage") || sent["baggage"].size() <= midtrace::Baggage::max_bytes);

  Context received;
  propagator.extract(carrier, received);
  FUZZ_CHECK(received.span.trace_id == context.span.trace_id &&
             received.span.span_id == context.span.span_id && received.span.flags == context.span.flags);
  midtrace::MapCarrier::Map again;
  midtrace::MapCarrier second(again);
  propagator.inject(received, second);
  FUZZ_CHECK(again == sent);

  // A context that is there already is never cleared.
  Context kept = received;
  propagator.extract(ListCarrier({{"traceparent", "broken"}, {"baggage", "broken"}}, like_http), kept);
  FUZZ_CHECK(kept == received);
  return 0;
}
