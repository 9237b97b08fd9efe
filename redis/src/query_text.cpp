#include "query_text.h"

#include <cstring>

#include "argument_policy.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

constexpr std::string_view other = "_OTHER";
constexpr std::string_view value = "?";
constexpr std::string_view cut = " ...";

bool is_likely_command(std::string_view name) noexcept {
  constexpr std::size_t most = 24;
  if (name.empty() || name.size() > most) return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && c != '.' && c != '-' && c != '_') return false;
  }
  return true;
}

bool needs_quotes(std::string_view argument) noexcept {
  if (argument.empty() || argument == value || argument == cut.substr(1)) return true;
  for (const char c : argument)
    if (c == ' ' || c == '"' || c == '\'') return true;
  return false;
}

// Takes whole arguments only, and as long as there is room for the mark of a cut behind them.
class Writer {
 public:
  explicit Writer(std::span<char> into) noexcept : into_(into) {}

  bool put(std::string_view argument, bool last) noexcept {
    const bool blank = used_ > 0;
    const std::size_t needed = argument.size() + (blank ? 1 : 0);
    if (!has_room(needed, last)) return false;
    if (blank) into_[used_++] = ' ';
    if (!argument.empty()) std::memcpy(into_.data() + used_, argument.data(), argument.size());
    used_ += argument.size();
    return true;
  }

  bool put_quoted(std::string_view argument, bool last) noexcept {
    std::size_t needed = argument.size() + 3;
    for (const char c : argument)
      if (c == '"' || c == '\\') ++needed;
    if (!has_room(needed, last)) return false;
    into_[used_++] = ' ';
    into_[used_++] = '"';
    for (const char c : argument) {
      if (c == '"' || c == '\\') into_[used_++] = '\\';
      into_[used_++] = c;
    }
    into_[used_++] = '"';
    return true;
  }

  QueryText cut_off() noexcept {
    if (used_ > 0) {
      std::memcpy(into_.data() + used_, cut.data(), cut.size());
      used_ += cut.size();
    }
    return {text(), true};
  }
  QueryText whole() const noexcept { return {text(), false}; }

 private:
  bool has_room(std::size_t needed, bool last) const noexcept {
    return into_.size() - used_ >= needed + (last ? 0 : cut.size());
  }
  std::string_view text() const noexcept { return {into_.data(), used_}; }

  std::span<char> into_;
  std::size_t used_ = 0;
};

}  // namespace

const CommandPolicy* policy_of(Arguments command) noexcept {
  const std::string_view name = command.take();
  return find_policy(name, command.take());
}

std::string_view operation_name(const CommandPolicy* policy, std::string_view name) noexcept {
  return policy != nullptr || is_likely_command(name) ? name : other;
}

std::string_view stored_procedure_name(const CommandPolicy* policy, Arguments command) noexcept {
  if (policy == nullptr) return {};
  if (policy->role != CommandRole::script_sha && policy->role != CommandRole::function_call) return {};
  command.take();
  if (command.empty()) return {};
  const std::size_t arguments = command.size();
  const std::string_view name = command.take();
  return ArgumentPolicy(policy->arguments, arguments).shows(name) ? name : std::string_view();
}

QueryText write_query_text(const CommandPolicy* policy, Arguments command, std::span<char> into) noexcept {
  Writer writer(into);
  if (command.empty()) return writer.whole();
  const std::string_view name = command.take();
  const bool known = policy != nullptr || is_likely_command(name);
  if (!writer.put(known ? name : value, command.empty())) return writer.cut_off();
  if (policy != nullptr && policy->is_sub_command() && !command.empty()) {
    const std::string_view second = command.take();
    if (!writer.put(second, command.empty())) return writer.cut_off();
  }

  ArgumentPolicy arguments(policy != nullptr ? policy->arguments : std::string_view(), command.size());
  while (!command.empty() && !arguments.closed()) {
    const std::string_view argument = command.take();
    const bool last = command.empty();
    const bool put = !arguments.shows(argument) ? writer.put(value, last)
                     : needs_quotes(argument)   ? writer.put_quoted(argument, last)
                                                : writer.put(argument, last);
    if (!put) return writer.cut_off();
  }
  // What is left is only counted.
  for (std::size_t left = command.size(); left > 0; --left)
    if (!writer.put(value, left == 1)) return writer.cut_off();
  return writer.whole();
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
