// Times for people: durations, axis labels, instants.
//
// Contract: input is nanoseconds. format_duration() gives three significant digits ("45.1 ms", "1.24 s")
// below a minute and two units above ("1m 24s", "2h 05m", "3d 04h"); never more than 8 cells. format_tick()
// drops what is zero
// ("500 ms", "1.5 s", "2h"). format_instant() is UTC with milliseconds. "us" replaces "µs" when `unicode` is
// false. Threads: pure, no locale.
#pragma once

#include <cstdint>
#include <string>

namespace midtrace::waterfall {

std::string format_duration(std::int64_t nanos, bool unicode);
std::string format_tick(std::int64_t nanos, bool unicode);
std::string format_instant(std::int64_t unix_nanos);

}  // namespace midtrace::waterfall
