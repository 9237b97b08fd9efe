#include "ready_options.h"

#include <charconv>
#include <utility>

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

constexpr std::string_view scope_name = "midtrace.kafka";
constexpr std::string_view scope_version = MIDTRACE_VERSION;

}  // namespace

bool brokers_take_headers(std::string_view api_version_request, std::string_view version_fallback) noexcept {
  constexpr std::string_view before_1_0 = "0.";
  if (api_version_request != "false" || !version_fallback.starts_with(before_1_0)) return true;
  version_fallback.remove_prefix(before_1_0.size());
  unsigned minor = 0;
  const auto [end, error] =
      std::from_chars(version_fallback.data(), version_fallback.data() + version_fallback.size(), minor);
  return error != std::errc() || minor >= 11;
}

ReadyOptions::ReadyOptions(Options options)
    : mode(options.mode.has_value() ? *options.mode : module_mode("KAFKA")),
      poll_spans(options.poll_spans != PollSpans::off),
      old_names(messaging::wants_old_names(messaging::environment("OTEL_SEMCONV_STABILITY_OPT_IN"))),
      tracer(Tracer::get(scope_name, scope_version, semconv::schema_url)),
      user(std::move(options)),
      server(messaging::parse_server(user.server_address, default_port)) {
  if (user.server_address.empty() || !server.host.empty()) return;
  count(Counter::invalid_configuration);
  report(Severity::warning, "kafka.server_address",
         "kafka::Options::server_address is \"" + user.server_address +
             "\", which is not host or host:port; the bootstrap server is used instead.");
  user.server_address.clear();
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
