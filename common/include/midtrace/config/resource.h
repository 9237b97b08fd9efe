// Resource: who produced the telemetry (service name, SDK, attributes from the environment).
//
// Built once by setup(); immutable afterwards. Values are string, bool, integer or double. Precedence: code,
// then OTEL_SERVICE_NAME, then OTEL_RESOURCE_ATTRIBUTES, then `unknown_service:<executable>`. Source:
// OpenTelemetry Resource SDK; conventions 8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace midtrace {
inline namespace v1 {

using ResourceValue = std::variant<std::string, bool, std::int64_t, double>;

struct ResourceAttribute {
  std::string key;
  ResourceValue value;
};

// What setup() finds out by itself and adds to the resource; everything else beats it. Process: process.pid,
// process.executable.name and .path. Host: host.name, host.arch, host.id, os.type, os.version. Container:
// container.id, of cgroups version 1 and 2. Command lines and user names are never read.
struct ResourceDetectors {
  bool process = true;
  bool host = true;
  bool container = true;
};

class Resource {
 public:
  Resource() = default;
  // Later entries of the same key replace earlier ones.
  explicit Resource(std::vector<ResourceAttribute> attributes);

  void set(std::string_view key, ResourceValue value);
  const ResourceValue* find(std::string_view key) const noexcept;
  const std::vector<ResourceAttribute>& attributes() const noexcept { return attributes_; }

 private:
  std::vector<ResourceAttribute> attributes_;
};

}  // namespace v1
}  // namespace midtrace
