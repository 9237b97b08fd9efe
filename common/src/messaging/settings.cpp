#include "settings.h"

#include <charconv>
#include <cstdlib>

namespace midtrace {
inline namespace v1 {
namespace messaging {

namespace {

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view environment(const char* name) noexcept {
  const char* value = std::getenv(name);
  return value != nullptr ? std::string_view(value) : std::string_view();
}

ServerAddress parse_server(std::string_view text, std::uint16_t default_port) {
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

bool wants_old_names(std::string_view opt_in, std::string_view token) noexcept {
  while (!opt_in.empty()) {
    const std::size_t comma = opt_in.find(',');
    if (trimmed(opt_in.substr(0, comma)) == token) return true;
    if (comma == std::string_view::npos) return false;
    opt_in.remove_prefix(comma + 1);
  }
  return false;
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
