#include "baggage_rules.h"

#include <algorithm>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace messaging {

Baggage allowed_baggage(const std::optional<std::vector<std::string>>& keys, Baggage baggage) noexcept {
  if (!keys.has_value() || baggage.empty()) return baggage;
  return baggage.only(
      [&](std::string_view name) { return std::find(keys->begin(), keys->end(), name) != keys->end(); });
}

Baggage overlaid(const Baggage& below, const Baggage& above) noexcept {
  if (below.empty()) return above;
  Baggage result = below;
  above.for_each([&result](const Baggage::Member& member) {
    result = result.with(member.name, member.value, member.metadata);
  });
  return result;
}

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
