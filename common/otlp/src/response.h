// Reading what a receiver answers: how much of a request it rejected, or why it refused it.
//
// The body is foreign: anything may be in it, and what is no answer is read as an empty one. Nothing throws
// but std::bad_alloc. Any thread. Source: OTLP ExportTraceServiceResponse and google.rpc.Status;
// conventions 9.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <midtrace/otlp/exporter.h>

namespace midtrace {
inline namespace v1 {
namespace otlp {

struct PartialSuccess {
  std::uint64_t rejected_spans = 0;
  std::string message;
};

PartialSuccess read_partial_success(Protocol protocol, std::string_view body);
// The message of an error's body, or empty.
std::string read_error_message(Protocol protocol, std::string_view body);

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
