// What describe() prints: each setting, its value in effect, and where that came from.
//
// Cold; may throw std::bad_alloc. Any thread.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/config/setting.h>
#include <midtrace/setup.h>

#include "environment.h"
#include "ready_options.h"

namespace midtrace {
inline namespace v1 {

// Which options code set; to be made before make_ready() takes them apart.
struct AskedInCode {
  explicit AskedInCode(const SetupOptions& options);

  bool service_name, detectors, sampler, exporters, propagator, limits, batch, clock, ids, logger,
      exit_timeout;
};

// `invalid`: the causes of the warnings that reading the environment gave. The first setting is `tracing`.
std::vector<Setting> describe_ready(const ReadyOptions& ready, const AskedInCode& asked,
                                    const Environment& environment,
                                    const std::set<std::string, std::less<>>& invalid);

// `name = value  (origin)` for each, with `separator` between two.
std::string to_text(const std::vector<Setting>& settings, std::string_view separator);

}  // namespace v1
}  // namespace midtrace
