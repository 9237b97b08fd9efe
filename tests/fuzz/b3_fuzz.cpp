// B3 headers: whatever is accepted is well formed, is forwarded in both formats, and reads back as it was.
//
// Each line of the input is one header: its first character chooses the name (b, t, s, p, a or f), the rest
// is the value.
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/propagation/b3.h>

#include "check.h"
#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::B3Format;
using midtrace::B3Propagator;
using midtrace::Context;
using midtrace_test::ListCarrier;

const char* name_of(char c) {
  switch (c) {
    case 'b':
      return "b3";
    case 't':
      return "x-b3-traceid";
    case 's':
      return "x-b3-spanid";
    case 'p':
      return "x-b3-parentspanid";
    case 'a':
      return "x-b3-sampled";
    case 'f':
      return "x-b3-flags";
    default:
      return "other";
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input = midtrace_fuzz::text_of(bytes, size);
  std::vector<ListCarrier::Field> fields;
  while (!input.empty()) {
    const std::string_view line = midtrace_fuzz::take_line(input);
    if (!line.empty()) fields.emplace_back(name_of(line.front()), line.substr(1));
  }

  Context context;
  B3Propagator().extract(ListCarrier(fields), context);
  FUZZ_CHECK(context.span.trace_id.valid() == context.span.span_id.valid());
  FUZZ_CHECK(!context.span.valid() || context.span.remote);
  FUZZ_CHECK(!context.span.flags.debug() || context.span.flags.sampled());
  FUZZ_CHECK(!context.span.flags.deferred() || (!context.span.flags.sampled() && context.span.valid()));
  FUZZ_CHECK(context.baggage.empty() && context.span.trace_state.empty());

  for (const auto format : {B3Format::single, B3Format::multi}) {
    const B3Propagator propagator(format);
    ListCarrier sent;
    propagator.inject(context, sent);
    FUZZ_CHECK(sent.fields().empty() == !(context.span.valid() || context.span.decision_only()));
    for (const auto& [name, value] : sent.fields()) {
      FUZZ_CHECK(name != "x-b3-parentspanid");
      FUZZ_CHECK(value.size() <= 51);
    }
    Context received;
    propagator.extract(sent, received);
    FUZZ_CHECK(received == context);
  }
  return 0;
}
