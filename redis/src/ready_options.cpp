#include "ready_options.h"

#include <algorithm>
#include <array>
#include <utility>

#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>

#include "messaging/settings.h"
#include "trace/glob.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

constexpr std::size_t least_text_bytes = 64;
constexpr std::size_t most_text_bytes = 65536;

constexpr char capital(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

void complain(std::string_view cause, const std::string& message) noexcept {
  count(Counter::invalid_configuration);
  report(Severity::warning, cause, message);
}

}  // namespace

ReadyOptions::ReadyOptions(Options options)
    : old_names(messaging::wants_old_names(messaging::environment("OTEL_SEMCONV_STABILITY_OPT_IN"),
                                           "database/dup")),
      tracer(Tracer::get("midtrace.redis", MIDTRACE_VERSION, semconv::schema_url)),
      user(std::move(options)) {
  for (const std::string& pattern : user.ignored_commands) {
    std::string& capitals = patterns_.emplace_back(pattern);
    std::transform(capitals.begin(), capitals.end(), capitals.begin(), capital);
  }
  if (!patterns_.empty()) {
    for_each_policy([this](const CommandPolicy& policy) {
      const std::string_view container = policy.name.substr(0, policy.name.find(' '));
      ignored_.push_back(matches(policy.name) || matches(container));
    });
  }

  const std::size_t asked = user.max_text_bytes;
  user.max_text_bytes = std::clamp(asked, least_text_bytes, most_text_bytes);
  if (user.max_text_bytes != asked) {
    complain("redis.max_text_bytes", "redis::Options::max_text_bytes is " + std::to_string(asked) +
                                         ", which is not from 64 to 65536; the nearest is used.");
  }

  if (user.server_address.starts_with('/')) {
    server_address = user.server_address;
  } else if (!user.server_address.empty()) {
    messaging::ServerAddress server = messaging::parse_server(user.server_address, default_port);
    server_address = std::move(server.host);
    server_port = server.port;
    if (server_address.empty()) {
      complain("redis.server_address",
               "redis::Options::server_address is \"" + user.server_address +
                   "\", which is not host, host:port or a path; the address of the connection is used "
                   "instead.");
    }
  }
}

bool ReadyOptions::matches(std::string_view name) const noexcept {
  return std::any_of(patterns_.begin(), patterns_.end(),
                     [name](const std::string& pattern) { return matches_glob(name, pattern); });
}

bool ReadyOptions::ignores(const CommandPolicy* policy, std::string_view operation) const noexcept {
  if (patterns_.empty()) return false;
  if (policy != nullptr) return ignored_[static_cast<std::size_t>(policy - command_policies().data())];
  std::array<char, 32> capitals{};  // names of unknown commands are shorter
  const std::size_t size = std::min(operation.size(), capitals.size());
  std::transform(operation.begin(), operation.begin() + static_cast<std::ptrdiff_t>(size), capitals.begin(),
                 capital);
  return matches({capitals.data(), size});
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
