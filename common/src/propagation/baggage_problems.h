// What is counted and reported about baggage, in whichever header it came.
//
// Values are never quoted: they may hold what nobody wants in a log.
#pragma once

#include <cstdint>
#include <string_view>

namespace midtrace {
inline namespace v1 {

void report_malformed_baggage(std::uint64_t members) noexcept;
void report_baggage_dropped_on_extract(std::uint64_t members) noexcept;
void report_baggage_dropped_on_inject(std::uint64_t members, std::string_view last_name) noexcept;
void report_baggage_metadata_dropped(std::uint64_t members, std::string_view last_name) noexcept;

}  // namespace v1
}  // namespace midtrace
