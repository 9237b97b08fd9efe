// setup() with variables that do not all come from the process: for what is configured elsewhere, too.
#pragma once

#include <midtrace/setup.h>

#include "config/environment.h"

namespace midtrace {
inline namespace v1 {

// As setup(), which passes the process's own: `environment` decides what the options leave open, unless
// SetupOptions::read_environment forbids it.
Telemetry setup_from(SetupOptions options, const Environment& environment) noexcept;

}  // namespace v1
}  // namespace midtrace
