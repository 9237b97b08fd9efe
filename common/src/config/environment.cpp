#include "environment.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::size_t longest_quote = 120;

char lower_case(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower_case(x) == lower_case(y); });
}

}  // namespace

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view spaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    c = lower_case(c);
  return result;
}

std::string quoted(std::string_view value) {
  const bool cut = value.size() > longest_quote;
  std::size_t kept = cut ? longest_quote : value.size();
  // Not inside a character of several bytes.
  while (cut && kept > 0 && (static_cast<unsigned char>(value[kept]) & 0xC0U) == 0x80U)
    --kept;
  std::string result = "\"";
  for (const char c : value.substr(0, kept)) {
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  result += cut ? "...\"" : "\"";
  return result;
}

void Environment::warn_through_report(std::string_view cause, std::string_view sentence) {
  count(Counter::invalid_configuration);
  report(Severity::warning, cause, sentence);
}

Environment::Environment(Lookup lookup, Warn warn) : lookup_(std::move(lookup)), warn_(std::move(warn)) {}

Environment Environment::noting(std::set<std::string, std::less<>>& causes) const {
  return Environment(lookup_, [&causes, warn = warn_](std::string_view cause, std::string_view sentence) {
    causes.emplace(cause);
    warn(cause, sentence);
  });
}

Environment Environment::without_variables() const {
  return Environment([](const char*) -> const char* { return nullptr; }, warn_);
}

Environment process_environment() {
  return Environment([](const char* variable) -> const char* { return std::getenv(variable); });
}

Environment empty_environment() {
  return Environment([](const char*) -> const char* { return nullptr; });
}

std::optional<std::string> Environment::verbatim(const char* variable) const {
  const char* value = lookup_(variable);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

std::optional<std::string> Environment::text(const char* variable) const {
  const char* value = lookup_(variable);
  const std::string_view bare = value == nullptr ? std::string_view() : trimmed(value);
  if (bare.empty()) return std::nullopt;
  return std::string(bare);
}

std::optional<std::string> Environment::word(const char* variable) const {
  std::optional<std::string> value = text(variable);
  if (value) *value = v1::lower_case(*value);
  return value;
}

std::optional<std::vector<std::string>> Environment::words(const char* variable) const {
  const std::optional<std::string> value = word(variable);
  if (!value) return std::nullopt;
  std::vector<std::string> result;
  for (std::string_view rest = *value;;) {
    const std::size_t comma = rest.find(',');
    const std::string_view part = trimmed(rest.substr(0, comma));
    if (!part.empty() && std::find(result.begin(), result.end(), part) == result.end())
      result.emplace_back(part);
    if (comma == std::string_view::npos) return result;
    rest.remove_prefix(comma + 1);
  }
}

bool Environment::boolean(const char* variable) const {
  const std::optional<std::string> value = word(variable);
  if (!value || *value == "false") return false;
  if (*value == "true") return true;
  warn(variable,
       std::string(variable) + " is " + quoted(*value) + ", which is neither true nor false; using false");
  return false;
}

std::optional<std::uint32_t> Environment::number(const char* variable, const NumberRange& range,
                                                 std::uint32_t instead) const {
  const std::optional<std::string> value = text(variable);
  if (!value) return std::nullopt;
  std::uint32_t result = 0;
  const char* const end = value->data() + value->size();
  const auto [stop, error] = std::from_chars(value->data(), end, result);
  if (error == std::errc() && stop == end && result >= range.least && result <= range.most) return result;
  std::string sentence = std::string(variable) + " is " + quoted(*value) + ", which is not a whole number";
  if (!range.unit.empty()) sentence.append(" of ").append(range.unit);
  sentence += " from " + std::to_string(range.least) + " to " + std::to_string(range.most) + "; using ";
  sentence += instead == 0xFFFFFFFFU ? "no limit" : std::to_string(instead);
  warn(variable, sentence);
  return std::nullopt;
}

void Environment::warn(std::string_view cause, std::string_view sentence) const { warn_(cause, sentence); }

ModuleMode module_mode(std::string_view module) noexcept {
  constexpr std::string_view prefix = module_variable_prefix;
  std::array<char, 64> variable{};
  if (module.size() + prefix.size() >= variable.size()) return ModuleMode::on;
  std::memcpy(variable.data(), prefix.data(), prefix.size());
  std::memcpy(variable.data() + prefix.size(), module.data(), module.size());
  const char* setting = std::getenv(variable.data());
  const std::string_view value = setting == nullptr ? std::string_view() : trimmed(setting);
  if (value.empty() || equal_ignoring_case(value, "on")) return ModuleMode::on;
  if (equal_ignoring_case(value, "off")) return ModuleMode::off;
  if (equal_ignoring_case(value, "propagate")) return ModuleMode::propagate;

  // Modules ask once per client, so what was said already is remembered here, one bit per module.
  static constinit std::atomic<std::uint32_t> said{0};
  const auto found =
      std::find(module_variables.begin(), module_variables.end(), std::string_view(variable.data()));
  const std::uint32_t bit = 1U << static_cast<unsigned>(found - module_variables.begin());
  if ((said.fetch_or(bit, std::memory_order_relaxed) & bit) != 0) return ModuleMode::on;
  const std::string_view cause = found != module_variables.end() ? *found : "MIDTRACE_<module>";
  try {
    Environment::warn_through_report(cause, std::string(variable.data()) + " is " + quoted(value) +
                                                ", which is none of off, propagate and on; using on");
  } catch (...) {  // no memory for the sentence
    count(Counter::invalid_configuration);
    report(Severity::warning, cause,
           "A MIDTRACE_<module> variable is none of off, propagate and on; using on");
  }
  return ModuleMode::on;
}

}  // namespace v1
}  // namespace midtrace
