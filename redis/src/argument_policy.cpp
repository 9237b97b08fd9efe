#include "argument_policy.h"

#include <optional>

#include "command_policy.h"
#include "messaging/text.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_ascii_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char capital(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

// `word` is in capitals.
bool is(std::string_view argument, std::string_view word) noexcept {
  if (argument.size() != word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i)
    if (capital(argument[i]) != word[i]) return false;
  return true;
}

bool is_one_of(std::string_view argument, std::string_view words) noexcept {
  while (!words.empty())
    if (is(argument, pattern::take_word(words, '|'))) return true;
  return false;
}

bool is_name(std::string_view argument) noexcept {
  return argument.size() <= most_name_bytes && messaging::is_plain_text(argument);
}

template <typename Predicate>
bool is_made_of(std::string_view argument, std::size_t most, Predicate&& allowed) noexcept {
  if (argument.empty() || argument.size() > most) return false;
  for (const char c : argument)
    if (!allowed(c)) return false;
  return true;
}

// Enough for milliseconds of 115 days, and too little for a point in time in them or a card's number.
constexpr std::size_t most_digits = 10;
constexpr std::size_t most_decimals = 3;

bool is_short_number(std::string_view argument) noexcept {
  if (argument.starts_with('-')) argument.remove_prefix(1);
  const std::size_t point = argument.find('.');
  if (!is_made_of(argument.substr(0, point), most_digits, is_digit)) return false;
  return point == argument.npos || is_made_of(argument.substr(point + 1), most_decimals, is_digit);
}

std::optional<std::size_t> count_of(std::string_view argument) noexcept {
  if (!is_made_of(argument, most_digits, is_digit)) return std::nullopt;
  std::size_t count = 0;
  for (const char c : argument)
    count = count * 10 + static_cast<std::size_t>(c - '0');
  return count;
}

bool is_special_id(std::string_view argument) noexcept {
  return argument == "0" || argument == "0-0" ||
         (argument.size() == 1 && std::string_view("$*-+>").find(argument.front()) != std::string_view::npos);
}

bool letter_shows(char letter, std::string_view argument) noexcept {
  constexpr std::size_t most_word = 64;
  switch (letter) {
    case 'k':
    case 'p':
    case 'f':
    case 'c':
    case 'g':
      return is_name(argument);
    case '#':
      return is_short_number(argument);
    case 'i':
      return is_special_id(argument);
    case 'w':
      return is_made_of(argument, most_word,
                        [](char c) { return is_ascii_letter(c) || is_digit(c) || c == '-' || c == '*'; });
    case 'u':
      return is_made_of(argument, most_word,
                        [](char c) { return is_ascii_letter(c) || is_digit(c) || c == '_'; });
    case 's':
      return argument.size() == 40 && is_made_of(argument, 40, [](char c) {
               return is_digit(c) || (capital(c) >= 'A' && capital(c) <= 'F');
             });
    default:
      return false;
  }
}

}  // namespace

ArgumentPolicy::Verdict ArgumentPolicy::close() noexcept {
  items_ = option_ = group_ = {};
  keys_ = unknown_ = 0;
  return Verdict::hidden;
}

bool ArgumentPolicy::shows(std::string_view argument) noexcept {
  Verdict verdict = Verdict::not_this_item;
  while (verdict == Verdict::not_this_item) {
    if (keys_ > 0) {
      --keys_;
      verdict = letter_shows('k', argument) ? Verdict::shown : Verdict::hidden;
    } else if (unknown_ > 0) {
      --unknown_;
      verdict = Verdict::hidden;
    } else if (!option_.empty()) {
      verdict = judge(option_, argument);
    } else if (items_.empty()) {
      verdict = Verdict::hidden;
    } else if (items_.front() == '[') {
      verdict = judge_option(argument);
    } else {
      verdict = judge(items_, argument);
    }
  }
  --left_;
  return verdict == Verdict::shown;
}

ArgumentPolicy::Verdict ArgumentPolicy::judge_option(std::string_view argument) noexcept {
  const std::size_t end = items_.find(']');
  std::string_view options = items_.substr(1, end - 1);
  while (!options.empty()) {
    std::string_view option = pattern::take_word(options, ' ');
    if (!is(argument, pattern::take_word(option, ':'))) continue;
    option_ = option;
    return Verdict::shown;
  }
  items_.remove_prefix(end + 1);
  return Verdict::not_this_item;
}

ArgumentPolicy::Verdict ArgumentPolicy::judge_key_count(std::string_view& items,
                                                        std::string_view argument) noexcept {
  const std::optional<std::size_t> count = count_of(argument);
  if (!count || *count > left_ - 1) return close();
  keys_ = last_keys_ = *count;
  items.remove_prefix(1);
  return Verdict::shown;
}

ArgumentPolicy::Verdict ArgumentPolicy::judge(std::string_view& items, std::string_view argument) noexcept {
  switch (items.front()) {
    case '<': {
      const std::size_t end = items.find('>');
      if (!is_one_of(argument, items.substr(1, end - 1))) return close();
      items.remove_prefix(end + 1);
      return Verdict::shown;
    }
    case '(':
      if (group_.empty()) {
        group_ = items.substr(1, items.size() - 3);
        if (left_ % group_.size() != 0) return close();
      }
      return letter_shows(group_[in_group_++ % group_.size()], argument) ? Verdict::shown : Verdict::hidden;
    case '@':
      return judge_key_count(items, argument);
    case '%':
      if (left_ % 2 != 0) return close();
      keys_ = left_ / 2;
      items = "i*";
      return Verdict::not_this_item;
    case '=':
      items.remove_prefix(1);
      unknown_ = last_keys_;
      return Verdict::not_this_item;
    case '~':
      items.remove_prefix(1);
      return argument == "=" || argument == "~" ? Verdict::shown : Verdict::not_this_item;
    default:
      break;
  }
  const char letter = items.front();
  const bool repeats = items.size() > 1 && items[1] == '*';
  if (!repeats) {
    items.remove_prefix(1);
  } else if (const std::size_t behind = items.size() - 2; left_ <= behind) {
    items.remove_prefix(2);
    return Verdict::not_this_item;
  }
  return letter_shows(letter, argument) ? Verdict::shown : Verdict::hidden;
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
