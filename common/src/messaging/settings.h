// What modules read from their options and from the environment in the same way.
//
// Only parse_server() throws, for lack of memory. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace messaging {

struct ServerAddress {
  std::string host;  // empty: unknown
  std::uint16_t port = 0;
};

// One `[protocol://]host[:port]`; `default_port` when there is none. A list of several, or nonsense, gives an
// empty host.
ServerAddress parse_server(std::string_view text, std::uint16_t default_port);

// Whether OTEL_SEMCONV_STABILITY_OPT_IN asks for the old attribute names of an area beside the new ones.
bool wants_old_names(std::string_view opt_in, std::string_view token = "messaging/dup") noexcept;

// The variable's value, empty when it is not set. Valid until somebody changes the environment.
std::string_view environment(const char* name) noexcept;

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
