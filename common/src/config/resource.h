// Building the Resource: defaults, then what was detected, the environment, code, each beating the one
// before.
//
// telemetry.sdk.* and `unknown_service:<executable>` are the defaults; OTEL_RESOURCE_ATTRIBUTES is taken
// whole or, on any error, not at all; OTEL_SERVICE_NAME beats it; what code sets beats both.
// service.instance.id is never invented. Source: OpenTelemetry Resource SDK; conventions 8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <midtrace/config/resource.h>

#include "environment.h"

namespace midtrace {
inline namespace v1 {

// `service_name` (when not empty) beats a `service.name` in `attributes`.
Resource make_resource(const std::string& service_name, std::vector<ResourceAttribute> attributes,
                       const Environment& environment, std::vector<ResourceAttribute> detected = {});

// Reads `key=value,key=value`; both sides are percent-decoded. On an error the result is empty and `error`
// says what is wrong and where.
std::vector<ResourceAttribute> parse_resource_attributes(std::string_view list, std::string& error);

// `unknown_service:<executable>`, or `unknown_service` where the executable's name cannot be had.
std::string fallback_service_name();

}  // namespace v1
}  // namespace midtrace
