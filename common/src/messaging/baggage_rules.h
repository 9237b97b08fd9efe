// What baggage crosses a module's boundary, and how what a message carries joins what is current.
//
// Nothing throws; any thread. Source: the modules' option baggage_keys.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <midtrace/context/baggage.h>

namespace midtrace {
inline namespace v1 {
namespace messaging {

// Only the members whose names are among the keys; all of them where the keys are unset.
Baggage allowed_baggage(const std::optional<std::vector<std::string>>& keys, Baggage baggage) noexcept;

// Both; of a name that is in both, the member of `above`.
Baggage overlaid(const Baggage& below, const Baggage& above) noexcept;

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
