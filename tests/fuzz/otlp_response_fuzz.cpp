// Any bytes may be the body of a receiver's answer: reading them neither fails nor invents anything.
//
// The first byte chooses protobuf or JSON.
#include <string_view>

#include "check.h"
#include "response.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using midtrace::otlp::Protocol;
  if (size == 0) return 0;
  const Protocol protocol = (bytes[0] & 1U) != 0 ? Protocol::http_json : Protocol::http_protobuf;
  const std::string_view body = midtrace_fuzz::text_of(bytes + 1, size - 1);
  const auto partial = midtrace::otlp::read_partial_success(protocol, body);
  FUZZ_CHECK(partial.message.size() <= body.size());
  FUZZ_CHECK(partial.rejected_spans <= 0x7FFFFFFFFFFFFFFFU);
  FUZZ_CHECK(midtrace::otlp::read_error_message(protocol, body).size() <= body.size());
  return 0;
}
