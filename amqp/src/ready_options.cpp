#include "ready_options.h"

#include <string>
#include <utility>

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

ReadyOptions::ReadyOptions(Options options)
    : mode(options.mode.has_value() ? *options.mode : module_mode("AMQP")),
      old_names(messaging::wants_old_names(messaging::environment("OTEL_SEMCONV_STABILITY_OPT_IN"))),
      tracer(Tracer::get("midtrace.amqp", MIDTRACE_VERSION, semconv::schema_url)),
      user(std::move(options)),
      server(messaging::parse_server(user.server_address, user.tls ? default_tls_port : default_port)) {
  if (user.server_address.empty() || !server.host.empty()) return;
  count(Counter::invalid_configuration);
  report(Severity::warning, "amqp.server_address",
         "amqp::Options::server_address is \"" + user.server_address +
             "\", which is not host or host:port; the address of the connection is used instead.");
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
