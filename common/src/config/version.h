// The version of midtrace, as it stands in telemetry.sdk.version and in the package.
#pragma once

#include <string_view>

namespace midtrace {
inline namespace v1 {

inline constexpr std::string_view version = "0.1.0";

}  // namespace v1
}  // namespace midtrace
