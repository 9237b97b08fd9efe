#include "waterfall/times.h"

#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace midtrace::waterfall {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

struct Unit {
  std::int64_t nanos;
  const char* name;
  const char* ascii;
};

constexpr std::array kUnits{Unit{1, " ns", " ns"}, Unit{1'000, " \xC2\xB5s", " us"},
                            Unit{1'000'000, " ms", " ms"}, Unit{kSecond, " s", " s"}};

std::string decimal(double value, int digits) {
  std::array<char, 32> buffer{};
  const int written = std::snprintf(buffer.data(), buffer.size(), "%.*f", digits, value);
  return std::string(buffer.data(), static_cast<std::size_t>(written));
}

std::string two_digits(std::int64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); }

// Rounded to the smaller unit first, so that 59.9 seconds past a minute never reads "1m 60s".
std::string long_duration(std::int64_t nanos) {
  const auto two_units = [nanos](std::int64_t large, std::int64_t small, const char* large_name,
                                 const char* name) {
    const std::int64_t count = nanos / small + (nanos % small >= small / 2 ? 1 : 0);
    const std::int64_t per_large = large / small;
    return std::to_string(count / per_large) + large_name + " " + two_digits(count % per_large) + name;
  };
  if (nanos < kHour - kSecond / 2) {
    return two_units(kMinute, kSecond, "m", "s");
  }
  if (nanos < kDay - kMinute / 2) {
    return two_units(kHour, kMinute, "h", "m");
  }
  if (nanos < 1000 * kDay) {
    return two_units(kDay, kHour, "d", "h");
  }
  return std::to_string(nanos / kDay) + "d";
}

std::string civil_date(std::chrono::sys_days day) {
  const std::chrono::year_month_day date(day);
  return std::to_string(static_cast<int>(date.year())) + "-" +
         two_digits(static_cast<unsigned>(date.month())) + "-" +
         two_digits(static_cast<unsigned>(date.day()));
}

}  // namespace

std::string format_duration(std::int64_t nanos, bool unicode) {
  if (nanos < 0) {
    // Negative only where a caller shows an offset; the smallest value has no positive counterpart.
    return "-" + format_duration(nanos == INT64_MIN ? INT64_MAX : -nanos, unicode);
  }
  if (nanos < 1000) {
    return std::to_string(nanos) + " ns";
  }
  for (std::size_t i = 1; i < kUnits.size(); ++i) {
    const Unit& unit = kUnits[i];
    const double value = static_cast<double>(nanos) / static_cast<double>(unit.nanos);
    const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    const double ceiling = unit.nanos == kSecond ? 59.95 : 999.5;
    if (value < ceiling) {
      return decimal(value, digits) + (unicode ? unit.name : unit.ascii);
    }
  }
  return long_duration(nanos);
}

std::string format_tick(std::int64_t nanos, bool unicode) {
  if (nanos <= 0) {
    return "0";
  }
  if (nanos >= kMinute) {
    std::string text;
    const auto part = [&text, &nanos](std::int64_t unit, const char* name) {
      if (nanos >= unit) {
        text += std::to_string(nanos / unit) + name;
        nanos %= unit;
      }
    };
    part(kDay, "d");
    part(kHour, "h");
    part(kMinute, "m");
    part(kSecond, "s");
    return text;
  }
  std::size_t unit = kUnits.size() - 1;
  while (unit > 0 && nanos < kUnits[unit].nanos) {
    --unit;
  }
  std::string text = decimal(static_cast<double>(nanos) / static_cast<double>(kUnits[unit].nanos), 3);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') {
    text.pop_back();
  }
  return text + (unicode ? kUnits[unit].name : kUnits[unit].ascii);
}

std::string format_instant(std::int64_t unix_nanos) {
  const std::int64_t day = unix_nanos >= 0 ? unix_nanos / kDay : -1 - (-1 - unix_nanos) / kDay;
  const std::int64_t time = unix_nanos - day * kDay;
  const std::int64_t millis = time % kSecond / 1'000'000;
  return civil_date(std::chrono::sys_days(std::chrono::days(day))) + " " + two_digits(time / kHour) + ":" +
         two_digits(time % kHour / kMinute) + ":" + two_digits(time % kMinute / kSecond) + "." +
         (millis < 100 ? "0" : "") + two_digits(millis) + " UTC";
}

}  // namespace midtrace::waterfall
