// Which arguments of one command may be shown, by the pattern of its policy (command_policy.h).
//
// Told how many arguments there are, then asked for each in turn. Whatever does not fit the pattern closes
// it: this argument and all that follow are not shown. Nothing throws or allocates; one thread at a time.
#pragma once

#include <cstddef>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

// For tables of patterns, checked when they are compiled.
constexpr bool is_well_formed(std::string_view pattern) noexcept;

class ArgumentPolicy {
 public:
  // `pattern` must be well formed, and outlive this. `arguments` are those that it speaks of.
  ArgumentPolicy(std::string_view pattern, std::size_t arguments) noexcept
      : items_(pattern), left_(arguments) {}

  // Whether the next argument may be shown. Must not be called more often than there are arguments.
  bool shows(std::string_view argument) noexcept;
  // Whether nothing that follows may be shown.
  bool closed() const noexcept { return items_.empty() && option_.empty() && keys_ == 0; }

 private:
  enum class Verdict { shown, hidden, not_this_item };

  Verdict judge(std::string_view& items, std::string_view argument) noexcept;
  Verdict judge_option(std::string_view argument) noexcept;
  Verdict judge_key_count(std::string_view& items, std::string_view argument) noexcept;
  Verdict close() noexcept;

  std::string_view items_;    // what is left of the pattern
  std::string_view option_;   // what is left of an option's arguments
  std::string_view group_;    // the letters of a group that repeats
  std::size_t in_group_ = 0;  // how many of them are taken
  std::size_t left_;          // arguments, the current one included
  std::size_t keys_ = 0;      // keys that a number announced
  std::size_t last_keys_ = 0;
  std::size_t unknown_ = 0;  // as many unknown arguments as there were keys
};

inline constexpr std::string_view argument_letters = "kpfcgwus#i_";

namespace pattern {

constexpr bool is_letter(char c) noexcept { return argument_letters.find(c) != std::string_view::npos; }
constexpr bool is_word(std::string_view text) noexcept {
  for (const char c : text)
    if ((c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-') return false;
  return !text.empty();
}

// `ONE|OTHER`, or `ONE OTHER`: the first off the front.
constexpr std::string_view take_word(std::string_view& words, char separator) noexcept {
  const std::size_t end = words.find(separator);
  const std::string_view word = words.substr(0, end);
  words.remove_prefix(end == words.npos ? words.size() : end + 1);
  return word;
}

constexpr bool are_words(std::string_view words) noexcept {
  if (words.empty()) return false;
  while (!words.empty())
    if (!is_word(take_word(words, '|'))) return false;
  return true;
}

// Arguments one by one: letters, words, `~`, `=`; a star only at the end.
constexpr bool are_single(std::string_view items) noexcept {
  while (!items.empty()) {
    if (items.front() == '<') {
      const std::size_t end = items.find('>');
      if (end == items.npos || !are_words(items.substr(1, end - 1))) return false;
      items.remove_prefix(end + 1);
    } else if (items.front() == '~' || items.front() == '=' || is_letter(items.front())) {
      const bool letter = is_letter(items.front());
      items.remove_prefix(1);
      if (letter && items == "*") return true;
    } else {
      return false;
    }
  }
  return true;
}

constexpr bool are_options(std::string_view options) noexcept {
  if (options.empty()) return false;
  while (!options.empty()) {
    std::string_view option = take_word(options, ' ');
    const bool has_arguments = option.find(':') != option.npos;
    if (!is_word(take_word(option, ':')) || has_arguments == option.empty() || !are_single(option))
      return false;
  }
  return true;
}

constexpr bool is_group(std::string_view letters) noexcept {
  for (const char c : letters)
    if (!is_letter(c)) return false;
  return !letters.empty();
}

}  // namespace pattern

constexpr bool is_well_formed(std::string_view items) noexcept {
  while (!items.empty()) {
    const char item = items.front();
    if (item == '[') {
      const std::size_t end = items.find(']');
      if (end == items.npos || !pattern::are_options(items.substr(1, end - 1))) return false;
      items.remove_prefix(end + 1);
    } else if (item == '<') {
      const std::size_t end = items.find('>');
      if (end == items.npos || !pattern::are_words(items.substr(1, end - 1))) return false;
      items.remove_prefix(end + 1);
    } else if (item == '(') {
      return items.ends_with(")*") && pattern::is_group(items.substr(1, items.size() - 3));
    } else if (item == '%') {
      return items.size() == 1;
    } else if (item == '@' || pattern::is_letter(item)) {
      items.remove_prefix(1);
      if (item == '@' || items.empty() || items.front() != '*') continue;
      items.remove_prefix(1);
      // What follows a star is counted from the end, so it must be one argument per letter.
      return items.empty() || pattern::is_group(items);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
