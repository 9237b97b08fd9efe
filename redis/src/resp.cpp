#include "resp.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

// A bulk string of 512 MB has 9 digits; a server takes no longer one unless it is configured to.
constexpr std::size_t most_digits = 10;

// `{mark}{decimal}\r\n` off the front of `rest`.
std::optional<std::size_t> take_length(std::string_view& rest, char mark) noexcept {
  if (rest.empty() || rest.front() != mark) return std::nullopt;
  std::size_t value = 0;
  std::size_t at = 1;
  for (; at < rest.size() && rest[at] >= '0' && rest[at] <= '9'; ++at) {
    if (at > most_digits) return std::nullopt;
    value = value * 10 + static_cast<std::size_t>(rest[at] - '0');
  }
  const bool leading_zero = at > 2 && rest[1] == '0';
  if (at == 1 || leading_zero || rest.size() - at < 2 || rest[at] != '\r' || rest[at + 1] != '\n')
    return std::nullopt;
  rest.remove_prefix(at + 2);
  return value;
}

bool skip_bulk_string(std::string_view& rest) noexcept {
  const std::optional<std::size_t> size = take_length(rest, '$');
  if (!size || rest.size() < 2 || rest.size() - 2 < *size) return false;
  if (rest[*size] != '\r' || rest[*size + 1] != '\n') return false;
  rest.remove_prefix(*size + 2);
  return true;
}

}  // namespace

std::string_view Arguments::take() noexcept {
  if (left_ == 0) return {};
  --left_;
  if (array_ != nullptr) return *array_++;
  std::size_t size = 0;
  const char* at = encoded_ + 1;
  for (; *at != '\r'; ++at)
    size = size * 10 + static_cast<std::size_t>(*at - '0');
  const std::string_view taken(at + 2, size);
  encoded_ = at + 2 + size + 2;
  return taken;
}

std::string_view Command::argument(std::size_t index) const noexcept {
  if (index >= argc_) return {};
  Arguments all = arguments();
  for (; index > 0; --index)
    all.take();
  return all.take();
}

std::optional<Command> CommandReader::next() noexcept {
  if (malformed_ || rest_.empty()) return std::nullopt;
  std::string_view rest = rest_;
  Command command;
  const std::optional<std::size_t> argc = take_length(rest, '*');
  malformed_ = true;
  if (!argc || *argc == 0) return std::nullopt;
  command.argc_ = *argc;
  command.first_ = rest.data();
  for (std::size_t left = *argc; left > 0; --left)
    if (!skip_bulk_string(rest)) return std::nullopt;
  command.bytes_ = rest_.substr(0, rest_.size() - rest.size());
  rest_ = rest;
  malformed_ = false;
  return command;
}

std::optional<Command> read_command(std::string_view bytes) noexcept {
  CommandReader reader(bytes);
  const std::optional<Command> command = reader.next();
  if (!command || command->bytes().size() != bytes.size()) return std::nullopt;
  return command;
}

std::optional<Command> formatted_command(std::string_view bytes) noexcept {
  std::string_view rest = bytes;
  const std::optional<std::size_t> argc = take_length(rest, '*');
  if (!argc || *argc == 0) return std::nullopt;
  Command command;
  command.argc_ = *argc;
  command.first_ = rest.data();
  command.bytes_ = bytes;
  return command;
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
