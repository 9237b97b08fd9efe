#include "names.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>

#include "messaging/text.h"

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

constexpr std::string_view reply_to = "amq.rabbitmq.reply-to";

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
bool is_word(char c) noexcept { return is_digit(c) || is_lower(c) || is_upper(c); }
bool is_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// What a part consists of.
struct Shape {
  std::size_t digits = 0;
  std::size_t uppers = 0;
  std::size_t lowers = 0;
  std::size_t others = 0;
  std::size_t changes = 0;  // from one of these to another
  bool hex = true;
};

Shape shape_of(std::string_view part) noexcept {
  Shape shape;
  int before = 0;
  for (const char c : part) {
    const int kind = is_digit(c) ? 1 : is_upper(c) ? 2 : is_lower(c) ? 3 : 4;
    ++(kind == 1 ? shape.digits : kind == 2 ? shape.uppers : kind == 3 ? shape.lowers : shape.others);
    if (before != 0 && kind != before) ++shape.changes;
    before = kind;
    if (!is_hex(c)) shape.hex = false;
  }
  return shape;
}

// Words with numbers change rarely between letters and digits (`retry2queue10`), and words in mixed case
// about once in three characters; random text does twice as often.
bool is_random(std::string_view part) noexcept {
  const std::size_t size = part.size();
  if (size < 12) return false;
  const Shape shape = shape_of(part);
  const std::size_t letters = shape.uppers + shape.lowers;
  if (shape.hex && (size == 32 || size == 40 || size == 64)) return true;
  if (shape.hex && shape.digits >= 2 && letters >= 2 && shape.changes >= 3) return true;
  if (size < 16 || shape.digits == 0 || letters == 0) return false;
  const bool mixed_case = shape.uppers != 0 && shape.lowers != 0;
  if (mixed_case) return shape.changes * 20 >= size * 9;
  if (shape.digits < 3) return false;
  return size >= 20 ? shape.changes * 4 >= size : shape.changes * 3 >= size;
}

bool has_long_number(std::string_view name) noexcept {
  std::size_t run = 0;
  for (const char c : name) {
    run = is_digit(c) ? run + 1 : 0;
    if (run == 8) return true;
  }
  return false;
}

// 8-4-4-4-12 hexadecimal digits, with one kind of separator, as a part of its own.
bool has_uuid(std::string_view name) noexcept {
  constexpr std::array<std::size_t, 5> groups = {8, 4, 4, 4, 12};
  constexpr std::size_t length = 36;
  for (std::size_t at = 0; at + length <= name.size(); ++at) {
    if (at != 0 && is_word(name[at - 1])) continue;
    if (at + length < name.size() && is_word(name[at + length])) continue;
    const char separator = name[at + groups[0]];
    if (is_word(separator)) continue;
    std::size_t next = at;
    bool all = true;
    for (std::size_t group = 0; all && group < groups.size(); ++group) {
      if (group != 0) all = name[next++] == separator;
      all = all && std::all_of(name.begin() + static_cast<std::ptrdiff_t>(next),
                               name.begin() + static_cast<std::ptrdiff_t>(next + groups[group]), is_hex);
      next += groups[group];
    }
    if (all) return true;
  }
  return false;
}

// A UUID in base64 has 22 characters, and `-` and `_` among them.
bool ends_in_base64_uuid(std::string_view name) noexcept {
  constexpr std::size_t length = 22;
  if (name.size() < length) return false;
  const std::string_view end = name.substr(name.size() - length);
  if (name.size() > length && is_word(name[name.size() - length - 1])) return false;
  if (!std::all_of(end.begin(), end.end(), [](char c) { return is_word(c) || c == '-' || c == '_'; }))
    return false;
  const Shape shape = shape_of(end);
  return shape.digits != 0 && shape.uppers >= 3 && shape.lowers >= 3 && shape.changes * 20 >= length * 9;
}

// `-7d9f8b6c5d-x2x4z`: Kubernetes leaves vowels and what looks like them out.
bool ends_in_pod_suffix(std::string_view name) noexcept {
  const auto random = [](std::string_view part) {
    return std::all_of(part.begin(), part.end(), [](char c) {
      return std::string_view("bcdfghjklmnpqrstvwxz2456789").find(c) != std::string_view::npos;
    });
  };
  const std::size_t last = name.rfind('-');
  if (last == std::string_view::npos || last == 0 || name.size() - last != 6) return false;
  const std::size_t first = name.rfind('-', last - 1);
  if (first == std::string_view::npos) return false;
  const std::string_view hash = name.substr(first + 1, last - first - 1);
  return hash.size() >= 8 && hash.size() <= 10 && random(hash) && random(name.substr(last + 1)) &&
         std::any_of(hash.begin(), hash.end(), is_digit);
}

bool has_random_part(std::string_view name) noexcept {
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= name.size(); ++at) {
    if (at < name.size() && is_word(name[at])) continue;
    if (is_random(name.substr(begin, at - begin))) return true;
    begin = at + 1;
  }
  return false;
}

void append(std::string_view part, DestinationName& into) {
  if (part.empty()) return;
  if (!messaging::is_plain_text(part)) {
    into.anonymous = true;
    return;
  }
  if (is_generated_name(part)) into.anonymous = true;
  if (!into.name.empty()) into.name += ':';
  into.name += without_reply_token(part);
}

void assemble(std::initializer_list<std::string_view> parts, DestinationName& into) noexcept {
  into.name.clear();
  into.anonymous = false;
  try {
    for (const std::string_view part : parts)
      append(part, into);
    if (into.name.empty() && !into.anonymous) into.name = "amq.default";
  } catch (...) {
    into.name.clear();
    into.anonymous = true;
  }
}

}  // namespace

std::string_view without_reply_token(std::string_view name) noexcept {
  if (!name.starts_with(reply_to)) return name;
  if (name.size() > reply_to.size() && name[reply_to.size()] != '.') return name;
  return name.substr(0, reply_to.size());
}

bool is_generated_name(std::string_view name) noexcept {
  if (name.starts_with("amq.")) {
    if (name.starts_with("amq.gen-") || name.starts_with("amq.ctag-") || name.starts_with(reply_to))
      return true;
  }
  return has_long_number(name) || has_uuid(name) || has_random_part(name) || ends_in_base64_uuid(name) ||
         ends_in_pod_suffix(name);
}

void producer_destination(std::string_view exchange, std::string_view routing_key,
                          DestinationName& into) noexcept {
  assemble({exchange, routing_key}, into);
}

void consumer_destination(std::string_view exchange, std::string_view routing_key, std::string_view queue,
                          DestinationName& into) noexcept {
  const bool same = without_reply_token(routing_key) == without_reply_token(queue);
  assemble({exchange, routing_key, same ? std::string_view() : queue}, into);
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
