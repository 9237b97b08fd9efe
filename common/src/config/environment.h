// Environment: where configuration variables come from, and the specification's rules for reading them.
//
// An empty value counts as unset, and so does one of only spaces where the value is a word or a number. A
// value that cannot be used is reported with the variable's name, the value and what is used instead, is
// counted (Counter::invalid_configuration), and never stops anything. Names of variables are literals,
// because they are also the causes under which report() limits its messages.
//
// Tests inject a lookup and collect the warnings; everything else uses process_environment(). Any thread, as
// long as nobody changes the environment meanwhile (setenv is not thread-safe). Source: OpenTelemetry
// environment variable specification; conventions 8.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace midtrace {
inline namespace v1 {

// Which whole numbers a variable takes, both ends included; `unit` completes "a whole number ...".
struct NumberRange {
  std::uint32_t least = 0;
  std::uint32_t most = 0x7FFFFFFFU;
  std::string_view unit = {};
};

class Environment {
 public:
  // Null for a variable that is not set.
  using Lookup = std::function<const char*(const char* variable)>;
  // Takes a problem: its cause (a literal) and a sentence.
  using Warn = std::function<void(std::string_view cause, std::string_view sentence)>;

  // Counts the problem and reports it at most once a minute.
  static void warn_through_report(std::string_view cause, std::string_view sentence);

  explicit Environment(Lookup lookup, Warn warn = &Environment::warn_through_report);
  // The same warnings, every variable unset.
  Environment without_variables() const;
  // The same, with the causes of its warnings also added to `causes`, which must outlive it.
  Environment noting(std::set<std::string, std::less<>>& causes) const;

  // The value as it stands.
  std::optional<std::string> verbatim(const char* variable) const;
  // The value without spaces around it.
  std::optional<std::string> text(const char* variable) const;
  // The value without spaces around it, in lower case: for enumerations, which ignore case.
  std::optional<std::string> word(const char* variable) const;
  // The parts of a comma-separated value, as words; empty parts and repetitions are left out. Unset: nothing.
  std::optional<std::vector<std::string>> words(const char* variable) const;
  // True only for `true`, in any case. Everything that is neither that nor `false` warns and is false.
  bool boolean(const char* variable) const;
  // Nothing when unset, and, after a warning, when the value is no whole number in the range; `instead` says
  // what is used then.
  std::optional<std::uint32_t> number(const char* variable, const NumberRange& range,
                                      std::uint32_t instead) const;

  // Reports a problem. `cause` must be a literal.
  void warn(std::string_view cause, std::string_view sentence) const;

 private:
  Lookup lookup_;
  Warn warn_;
};

// The variables that module_mode() reads; the name of a module is what follows the prefix.
inline constexpr std::string_view module_variable_prefix = "MIDTRACE_";
inline constexpr std::array<const char*, 4> module_variables{"MIDTRACE_KAFKA", "MIDTRACE_AMQP",
                                                             "MIDTRACE_REDIS", "MIDTRACE_POSTGRES"};

// The variables of this process.
Environment process_environment();
// Every variable unset.
Environment empty_environment();

// A foreign value as it may stand in a sentence: in quotes, control characters replaced, cut when it is long.
std::string quoted(std::string_view value);
// A copy in lower case; only ASCII letters change.
std::string lower_case(std::string_view text);
// Without spaces, tabs and line ends around it.
std::string_view trimmed(std::string_view text) noexcept;

}  // namespace v1
}  // namespace midtrace
