// The instrumentation scopes that tracers were made for, by content.
//
// Kept for ever, because records point into them, and therefore bounded. Any thread, also in a forked child:
// looking one up takes no lock, because applications get a tracer in every request.
#pragma once

#include <string_view>

#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

// Never null. A scope without a name when there are too many (reported), or no memory.
const InstrumentationScope* intern_scope(std::string_view name, std::string_view version,
                                         std::string_view schema_url) noexcept;

}  // namespace v1
}  // namespace midtrace
