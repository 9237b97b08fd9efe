// setup() with variables that do not all come from the process: for what is configured elsewhere, too.
#pragma once

#include <midtrace/setup.h>

#include "config/environment.h"

namespace midtrace {
inline namespace v1 {

// `environment` is what SetupOptions leaves open; SetupOptions::read_environment must be true. Otherwise as
// setup().
Telemetry setup_from(SetupOptions options, const Environment& environment) noexcept;

}  // namespace v1
}  // namespace midtrace
