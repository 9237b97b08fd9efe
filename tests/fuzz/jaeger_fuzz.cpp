// Jaeger headers: whatever is accepted is well formed, is within the limits, and reads back as it was.
//
// Each line of the input is one header: a line that begins with 'u' is the value of uber-trace-id, any other
// is
// `<name>=<value>` of one baggage member. An input that begins with '!' is a carrier like HTTP.
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/propagation/jaeger.h>

#include "check.h"
#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::Baggage;
using midtrace::Context;
using midtrace::JaegerPropagator;
using midtrace_test::ListCarrier;

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input = midtrace_fuzz::text_of(bytes, size);
  const bool like_http = input.substr(0, 1) == "!";
  if (like_http) input.remove_prefix(1);
  std::vector<ListCarrier::Field> fields;
  while (!input.empty()) {
    const std::string_view line = midtrace_fuzz::take_line(input);
    if (!line.empty() && line.front() == 'u') {
      fields.emplace_back("uber-trace-id", line.substr(1));
    } else if (const std::size_t equals = line.find('='); equals != std::string_view::npos) {
      fields.emplace_back("uberctx-" + std::string(line.substr(0, equals)), line.substr(equals + 1));
    }
  }

  const JaegerPropagator propagator;
  Context context;
  propagator.extract(ListCarrier(fields, like_http), context);
  FUZZ_CHECK(context.span.remote == context.span.valid());
  FUZZ_CHECK(!context.span.flags.debug() || context.span.flags.sampled());
  FUZZ_CHECK(!context.span.flags.deferred() && context.span.trace_state.empty());
  FUZZ_CHECK(context.baggage.size() <= Baggage::max_members);

  ListCarrier sent({}, like_http);
  propagator.inject(context, sent);
  std::size_t members = 0;
  std::size_t bytes_sent = 0;
  for (const auto& [name, value] : sent.fields()) {
    if (name == "uber-trace-id") {
      FUZZ_CHECK(value.size() == 53);
    } else {
      FUZZ_CHECK(midtrace::is_baggage_field(name));
      bytes_sent += name.size() - midtrace::jaeger_baggage_prefix.size() + value.size();
      ++members;
    }
  }
  FUZZ_CHECK(bytes_sent <= Baggage::max_bytes);
  FUZZ_CHECK(members <= context.baggage.size());
  FUZZ_CHECK(like_http || members == context.baggage.size());

  Context received;
  propagator.extract(sent, received);
  FUZZ_CHECK(received.span == context.span);
  FUZZ_CHECK(members != context.baggage.size() || received.baggage == context.baggage);
  return 0;
}
