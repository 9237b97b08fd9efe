// The instrumentation scopes that tracers were made for, by content.
//
// Immortal, because records point into them. Guarded by `mutex`, which a fork takes too, so that a child can
// make tracers.
#pragma once

#include <deque>
#include <mutex>
#include <string>

#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

struct KeptScope {
  std::string name;
  std::string version;
  std::string schema_url;
  InstrumentationScope scope;
};

struct KnownScopes {
  std::mutex mutex;
  std::deque<KeptScope> kept;
};

inline KnownScopes& known_scopes() {
  static KnownScopes& scopes = *new KnownScopes;
  return scopes;
}

}  // namespace v1
}  // namespace midtrace
