#include "scopes.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {

namespace {

// Far more than there are libraries in a program: who passes more passes names that vary.
constexpr std::size_t most_scopes = 1000;

struct KeptScope {
  std::string name;
  std::string version;
  std::string schema_url;
  InstrumentationScope scope;
  KeptScope* next = nullptr;
};

constinit const InstrumentationScope unnamed{};
// Grows at its head only, so that readers need nothing but the head.
constinit std::atomic<KeptScope*> newest{nullptr};
constinit std::atomic<std::size_t> kept{0};

// Looks at the scopes from `first` to before `last`.
const KeptScope* find(const KeptScope* first, const KeptScope* last, std::string_view name,
                      std::string_view version, std::string_view schema_url) noexcept {
  for (; first != last; first = first->next) {
    const InstrumentationScope& scope = first->scope;
    if (scope.name == name && scope.version == version && scope.schema_url == schema_url) return first;
  }
  return nullptr;
}

const InstrumentationScope* keep(KeptScope* seen, std::string_view name, std::string_view version,
                                 std::string_view schema_url) {
  if (kept.load(std::memory_order_relaxed) >= most_scopes) {
    report(Severity::warning, "scope.too_many",
           "More than 1000 instrumentation scopes were asked for; further ones have no name. Pass "
           "Tracer::get() the name of a library, not one that varies.");
    return &unnamed;
  }
  auto made = std::make_unique<KeptScope>(
      KeptScope{std::string(name), std::string(version), std::string(schema_url), {}, seen});
  made->scope = {made->name, made->version, made->schema_url};
  while (!newest.compare_exchange_weak(made->next, made.get(), std::memory_order_release,
                                       std::memory_order_acquire)) {
    // Others came first, perhaps with the same scope.
    if (const KeptScope* other = find(made->next, seen, name, version, schema_url); other != nullptr)
      return &other->scope;
    seen = made->next;
  }
  kept.fetch_add(1, std::memory_order_relaxed);
  return &made.release()->scope;
}

}  // namespace

const InstrumentationScope* intern_scope(std::string_view name, std::string_view version,
                                         std::string_view schema_url) noexcept {
  KeptScope* const seen = newest.load(std::memory_order_acquire);
  if (const KeptScope* known = find(seen, nullptr, name, version, schema_url); known != nullptr)
    return &known->scope;
  try {
    return keep(seen, name, version, schema_url);
  } catch (...) {  // no memory
    return &unnamed;
  }
}

}  // namespace v1
}  // namespace midtrace
