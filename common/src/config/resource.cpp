#include "resource.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "../export/utf8.h"

namespace midtrace {
inline namespace v1 {

namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return result;
}

// Why `member` cannot be an attribute; empty after `attribute` was filled.
std::string_view read_member(std::string_view member, ResourceAttribute& attribute) {
  const std::size_t equals = member.find('=');
  if (equals == std::string_view::npos) return "has no '='";
  const std::string_view key = trimmed(member.substr(0, equals));
  if (key.empty()) return "has no key before '='";
  std::optional<std::string> decoded_key = percent_decoded(key);
  std::optional<std::string> decoded_value = percent_decoded(trimmed(member.substr(equals + 1)));
  if (!decoded_key || !decoded_value) return "has a '%' that two hexadecimal digits do not follow";
  if (!is_utf8(*decoded_key) || !is_utf8(*decoded_value)) return "is not UTF-8";
  attribute = {std::move(*decoded_key), std::move(*decoded_value)};
  return {};
}

}  // namespace

Resource::Resource(std::vector<ResourceAttribute> attributes) {
  attributes_.reserve(attributes.size());
  for (ResourceAttribute& attribute : attributes)
    set(attribute.key, std::move(attribute.value));
}

void Resource::set(std::string_view key, ResourceValue value) {
  const auto found = std::find_if(attributes_.begin(), attributes_.end(),
                                  [&](const ResourceAttribute& attribute) { return attribute.key == key; });
  if (found != attributes_.end()) {
    found->value = std::move(value);
  } else {
    attributes_.push_back({std::string(key), std::move(value)});
  }
}

const ResourceValue* Resource::find(std::string_view key) const noexcept {
  for (const ResourceAttribute& attribute : attributes_) {
    if (attribute.key == key) return &attribute.value;
  }
  return nullptr;
}

std::vector<ResourceAttribute> parse_resource_attributes(std::string_view list, std::string& error) {
  std::vector<ResourceAttribute> result;
  for (std::string_view rest = list;;) {
    const std::size_t comma = rest.find(',');
    const std::string_view member = rest.substr(0, comma);
    ResourceAttribute attribute;
    const std::string_view problem = read_member(member, attribute);
    if (!problem.empty()) {
      error = "its member " + quoted(trimmed(member)) + " ";
      error += problem;
      return {};
    }
    result.push_back(std::move(attribute));
    if (comma == std::string_view::npos) return result;
    rest.remove_prefix(comma + 1);
  }
}

std::string fallback_service_name() {
  std::string result = "unknown_service";
  std::array<char, 4096> path{};
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0) return result;
  std::string_view name(path.data(), static_cast<std::size_t>(size));
  // What the kernel appends when the file was replaced while the program runs.
  constexpr std::string_view deleted = " (deleted)";
  if (name.ends_with(deleted)) name.remove_suffix(deleted.size());
  name.remove_prefix(name.rfind('/') + 1);
  if (!name.empty() && is_utf8(name)) result.append(":").append(name);
  return result;
}

Resource make_resource(const std::string& service_name, std::vector<ResourceAttribute> attributes,
                       const Environment& environment, std::vector<ResourceAttribute> detected) {
  Resource resource;
  resource.set("service.name", std::string());  // first, because it is what people look for
  resource.set("telemetry.sdk.name", std::string("midtrace"));
  resource.set("telemetry.sdk.language", std::string("cpp"));
  resource.set("telemetry.sdk.version", MIDTRACE_VERSION);
  for (ResourceAttribute& attribute : detected)
    resource.set(attribute.key, std::move(attribute.value));

  constexpr const char* variable = "OTEL_RESOURCE_ATTRIBUTES";
  if (const std::optional<std::string> list = environment.text(variable)) {
    std::string error;
    for (ResourceAttribute& attribute : parse_resource_attributes(*list, error)) {
      resource.set(attribute.key, std::move(attribute.value));
    }
    if (!error.empty()) {
      environment.warn(variable, std::string(variable) + " is " + quoted(*list) + ": " + error +
                                     "; using none of it. Write key=value,key=value, with ',', '=' and '%' "
                                     "percent-encoded");
    }
  }
  if (std::optional<std::string> name = environment.verbatim("OTEL_SERVICE_NAME")) {
    resource.set("service.name", std::move(*name));
  }
  for (ResourceAttribute& attribute : attributes) {
    if (attribute.key.empty()) {
      environment.warn(
          "SetupOptions::resource",
          "SetupOptions::resource has an attribute without a key; it is left out. Give it a name");
    } else {
      resource.set(attribute.key, std::move(attribute.value));
    }
  }
  if (!service_name.empty()) resource.set("service.name", service_name);

  const auto* name = std::get_if<std::string>(resource.find("service.name"));
  if (name != nullptr && name->empty()) resource.set("service.name", fallback_service_name());
  return resource;
}

}  // namespace v1
}  // namespace midtrace
