// What describe() prints: each setting, its value in effect, and where that came from.
//
// Filled by make_ready(); one line per setting, `name = value  (origin)`. Values of header lists, file
// contents and anything else that may hold a secret are never added. Cold; may throw std::bad_alloc. One
// thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/setup.h>

#include "environment.h"
#include "ready_options.h"

namespace midtrace {
inline namespace v1 {

// Where a setting comes from that code may set and a variable may set. `invalid`: the causes of the warnings
// that reading the environment gave.
std::string origin_of(bool in_code, const char* variable, const Environment& environment,
                      const std::set<std::string, std::less<>>& invalid);

// `asked` says what code set; it is looked at before make_ready() takes it apart.
struct AskedInCode {
  explicit AskedInCode(const SetupOptions& options);

  bool service_name, detectors, sampler, exporters, propagator, limits, batch, logger;
  std::size_t processors;
};

std::string describe_ready(const ReadyOptions& ready, const AskedInCode& asked,
                           const Environment& environment, const std::set<std::string, std::less<>>& invalid);

}  // namespace v1
}  // namespace midtrace
