// Every format at once: what is put together is a sound context, and what is sent of it in every format reads
// back as the same.
//
// Each line of the input is one header: its first character chooses the name, the rest is the value; a line
// of `u` is `<name>=<value>` of one member of Jaeger's baggage. An input that begins with '!' is a carrier
// like HTTP.
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/propagation/propagator.h>

#include "check.h"
#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::Baggage;
using midtrace::Context;
using midtrace::TraceFlags;
using midtrace_test::ListCarrier;

ListCarrier::Field field_of(std::string_view line) {
  const std::string value(line.substr(1));
  switch (line.front()) {
    case 't':
      return {"traceparent", value};
    case 's':
      return {"tracestate", value};
    case 'b':
      return {"baggage", value};
    case '3':
      return {"b3", value};
    case 'i':
      return {"x-b3-traceid", value};
    case 'p':
      return {"x-b3-spanid", value};
    case 'a':
      return {"x-b3-sampled", value};
    case 'f':
      return {"x-b3-flags", value};
    case 'j':
      return {"uber-trace-id", value};
    case 'u': {
      const std::size_t equals = value.find('=');
      return {"uberctx-" + value.substr(0, equals), equals == value.npos ? "" : value.substr(equals + 1)};
    }
    default:
      return {"other", value};
  }
}

void check(const midtrace::Propagator& propagator, const ListCarrier& carrier, bool like_http) {
  Context context;
  propagator.extract(carrier, context);
  const midtrace::SpanContext& span = context.span;
  FUZZ_CHECK(span.trace_id.valid() == span.span_id.valid());
  FUZZ_CHECK(!span.valid() || span.remote);
  FUZZ_CHECK(span.valid() || span.trace_state.empty());
  FUZZ_CHECK(!span.flags.debug() || span.flags.sampled());
  FUZZ_CHECK(!span.flags.deferred() || (!span.flags.sampled() && span.valid()));
  FUZZ_CHECK(context.baggage.size() <= Baggage::max_members && !context.suppressed);

  ListCarrier sent({}, like_http);
  propagator.inject(context, sent);
  Context received;
  propagator.extract(sent, received);
  FUZZ_CHECK(received.span.trace_id == span.trace_id && received.span.span_id == span.span_id);
  // An open decision is one that only B3 knows, and where others say that it is not sampled it is closed.
  constexpr auto closed = static_cast<unsigned>(~TraceFlags::deferred_bit);
  FUZZ_CHECK((received.span.flags.bits & closed) == (span.flags.bits & closed));
  FUZZ_CHECK(received.span.decision_only() == span.decision_only());
  received.span.trace_state.for_each(
      [&](std::string_view key, std::string_view value) { FUZZ_CHECK(span.trace_state.get(key) == value); });
  std::size_t bytes = 0;
  context.baggage.for_each([&](const Baggage::Member& member) {
    bytes += member.name.size() + member.value.size() + member.metadata.size() + 3;
  });
  // So little that all of it is sent, however it is encoded.
  if (bytes * 3 < Baggage::max_bytes / 2) FUZZ_CHECK(received.baggage == context.baggage);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const auto made = [](const char* names) {
    return midtrace::make_propagator(names, [](std::string_view) { std::abort(); });
  };
  static const auto* const all = new auto(made("tracecontext,baggage,b3,b3multi,jaeger"));
  static const auto* const reversed = new auto(made("b3multi,b3,tracecontext,baggage,jaeger"));
  std::string_view input = midtrace_fuzz::text_of(bytes, size);
  const bool like_http = input.substr(0, 1) == "!";
  if (like_http) input.remove_prefix(1);
  std::vector<ListCarrier::Field> fields;
  while (!input.empty()) {
    const std::string_view line = midtrace_fuzz::take_line(input);
    if (!line.empty()) fields.push_back(field_of(line));
  }
  const ListCarrier carrier(fields, like_http);
  check(**all, carrier, like_http);
  check(**reversed, carrier, like_http);
  return 0;
}
