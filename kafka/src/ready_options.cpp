#include "ready_options.h"

#include <charconv>
#include <cstdlib>
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
constexpr std::uint16_t default_port = 9092;

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

std::string_view environment(const char* name) noexcept {
  const char* value = std::getenv(name);
  return value != nullptr ? std::string_view(value) : std::string_view();
}

}  // namespace

ServerAddress parse_server(std::string_view text) {
  text = trimmed(text);
  if (text.find(',') != std::string_view::npos) return {};
  if (const std::size_t protocol = text.find("://"); protocol != std::string_view::npos) {
    text.remove_prefix(protocol + 3);
  }
  std::string_view host = text;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return {};
    host = text.substr(1, end - 1);
    if (text.size() > end + 1) {
      if (text[end + 1] != ':') return {};
      port = text.substr(end + 2);
    }
  } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    if (text.find(':', colon + 1) != std::string_view::npos) {
      return {std::string(text), default_port};  // a bare IPv6 address
    }
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  std::uint16_t number = default_port;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size() || number == 0) return {};
  }
  return {std::string(host), number};
}

bool wants_old_names(std::string_view opt_in) noexcept {
  while (!opt_in.empty()) {
    const std::size_t comma = opt_in.find(',');
    if (trimmed(opt_in.substr(0, comma)) == "messaging/dup") return true;
    if (comma == std::string_view::npos) return false;
    opt_in.remove_prefix(comma + 1);
  }
  return false;
}

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
      old_names(wants_old_names(environment("OTEL_SEMCONV_STABILITY_OPT_IN"))),
      tracer(Tracer::get(scope_name, scope_version, semconv::schema_url)),
      user(std::move(options)),
      server(parse_server(user.server_address)) {
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
