// ReadyOptions: the user's options together with what the environment says. Made once for each Connection,
// immutable, any thread.
#pragma once

#include <midtrace/amqp/options.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

#include "messaging/settings.h"

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

inline constexpr std::uint16_t default_port = 5672;
inline constexpr std::uint16_t default_tls_port = 5671;

struct ReadyOptions {
  explicit ReadyOptions(Options user);

  ModuleMode mode;
  bool old_names;
  Tracer tracer;
  Options user;
  messaging::ServerAddress server;  // of Options::server_address; no host when there is none
};

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
