// ReadyOptions: the user's options together with what the environment says, in the form that the code needs.
//
// Made once by instrument() and shared, immutable, by every client of the configuration and of its copies.
#pragma once

#include <cstdint>
#include <string_view>

#include "messaging/settings.h"

#include <midtrace/kafka/options.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

inline constexpr std::uint16_t default_port = 9092;

// Whether brokers take headers as far as a client's configuration tells: not when it does without their
// answer (`api.version.request` = false) and the version that it assumes is older than 0.11.
bool brokers_take_headers(std::string_view api_version_request, std::string_view version_fallback) noexcept;

struct ReadyOptions {
  explicit ReadyOptions(Options user);

  ModuleMode mode;
  bool poll_spans;
  bool old_names;
  Tracer tracer;
  Options user;
  messaging::ServerAddress server;
};

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
