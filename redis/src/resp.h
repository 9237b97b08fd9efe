// Commands as they go to a server: RESP arrays of bulk strings, `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`.
//
// Read is what redisFormatCommand makes, exactly and binary safe: lengths in plain decimal without sign or
// leading zeros, CRLF after each, nothing nested. Anything else is malformed, gives nothing, and ends the
// reading, as does a command without arguments (a server sends no reply to it). A length that exceeds the
// buffer is malformed too, so that the buffer bounds all work.
//
// Everything here is a view into the buffer, which must neither change nor end while it is used. Nothing
// throws or allocates, whatever the number of arguments; any thread, one reader by one thread at a time.
// Source: RESP2, "Sending commands to a Redis server".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

// Arguments one after the other, the command's name first: those of a Command, or an array's.
class Arguments {
 public:
  Arguments() noexcept = default;
  explicit Arguments(std::span<const std::string_view> array) noexcept
      : array_(array.data()), left_(array.size()) {}

  // How many are left.
  std::size_t size() const noexcept { return left_; }
  bool empty() const noexcept { return left_ == 0; }
  // The next; empty when none is left.
  std::string_view take() noexcept;

 private:
  friend class Command;
  Arguments(const char* encoded, std::size_t count) noexcept : encoded_(encoded), left_(count) {}

  const std::string_view* array_ = nullptr;
  const char* encoded_ = nullptr;  // at the `$` of the next; checked before
  std::size_t left_ = 0;
};

class Command {
 public:
  Command() noexcept = default;

  std::size_t argc() const noexcept { return argc_; }
  Arguments arguments() const noexcept { return {first_, argc_}; }
  // Argument `index`, 0 for the name; empty beyond the last. Linear in `index`.
  std::string_view argument(std::size_t index) const noexcept;
  // As encoded, from `*` to the last CRLF.
  std::string_view bytes() const noexcept { return bytes_; }

 private:
  friend class CommandReader;
  friend std::optional<Command> formatted_command(std::string_view bytes) noexcept;
  std::string_view bytes_;
  const char* first_ = nullptr;
  std::size_t argc_ = 0;
};

// The commands of a buffer, one after the other.
class CommandReader {
 public:
  explicit CommandReader(std::string_view bytes) noexcept : rest_(bytes) {}

  // The next command; none at the end and from the first malformed byte on.
  std::optional<Command> next() noexcept;
  bool malformed() const noexcept { return malformed_; }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

// The only command of a buffer; none when it is malformed or has another one.
std::optional<Command> read_command(std::string_view bytes) noexcept;

// The same of a buffer that redisFormatCommand has just made, and that therefore need not be read: none for
// `*0`, which has no arguments. In a time that does not depend on their number.
std::optional<Command> formatted_command(std::string_view bytes) noexcept;

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
