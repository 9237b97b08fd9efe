#include "response.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include <protozero/pbf_reader.hpp>

namespace midtrace {
inline namespace v1 {
namespace otlp {

namespace {

// --- protobuf

std::uint64_t not_negative(std::int64_t number) noexcept {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0));
}

constexpr auto varint = protozero::pbf_wire_type::varint;
constexpr auto bytes = protozero::pbf_wire_type::length_delimited;

void read_partial_success(protozero::pbf_reader message, PartialSuccess& result) {
  while (message.next()) {
    if (message.tag_and_type() == protozero::tag_and_type(1, varint)) {
      result.rejected_spans = not_negative(message.get_int64());
    } else if (message.tag_and_type() == protozero::tag_and_type(2, bytes)) {
      result.message = message.get_string();
    } else {
      message.skip();
    }
  }
}

// --- JSON: only as much as it takes to find a few fields of objects

class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) noexcept : rest_(text) {}

  // Calls `field(name)` for each field of the object that begins here; it must take the value. False when
  // this is no object, or a broken one.
  template <class Field>
  bool object(Field&& field) {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      std::string name;
      if (!string(name) || !take(':') || !field(name)) return false;
    } while (take(','));
    return take('}');
  }
  // Unescaped, apart from \u, which becomes '?' outside ASCII.
  bool string(std::string& text) {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const char c = next();
      if (c == '"') return true;
      if (c != '\\') {
        text += c;
      } else if (!escape(text)) {
        return false;
      }
    }
    return false;
  }
  // A number, or a string that holds one, as 64-bit integers are written.
  bool integer(std::int64_t& number) {
    std::string text;
    if (peek() == '"') {
      if (!string(text)) return false;
    } else {
      while (!rest_.empty() && std::string_view("+-.0123456789eE").find(rest_.front()) != rest_.npos)
        text += next();
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
  }
  // Takes any value. Nested deeper than an answer ever is it counts as broken.
  bool skip(unsigned depth = 0) {
    constexpr unsigned deepest = 64;
    if (depth == deepest) return false;
    std::string ignored;
    switch (peek()) {
      case '"':
        return string(ignored);
      case '{':
        return object([&](const std::string&) { return skip(depth + 1); });
      case '[':
        take('[');
        if (take(']')) return true;
        do {
          if (!skip(depth + 1)) return false;
        } while (take(','));
        return take(']');
      default: {
        const std::size_t end = rest_.find_first_of(",]} \t\r\n");
        if (end == 0 || rest_.empty()) return false;
        rest_.remove_prefix(std::min(end, rest_.size()));
        return true;
      }
    }
  }

 private:
  void skip_space() noexcept {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }
  char peek() noexcept {
    skip_space();
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool take(char c) noexcept {
    if (peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  char next() noexcept {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  bool escape(std::string& text) {
    if (rest_.empty()) return false;
    const char c = next();
    if (c != 'u') {
      text += c == 'n' || c == 'r' || c == 't' ? ' ' : c;
      return true;
    }
    if (rest_.size() < 4) return false;
    unsigned code = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, code, 16);
    if (error != std::errc() || end != rest_.data() + 4) return false;
    rest_.remove_prefix(4);
    text += code >= 0x20 && code < 0x7F ? static_cast<char>(code) : '?';
    return true;
  }

  std::string_view rest_;
};

PartialSuccess json_partial_success(std::string_view body) {
  PartialSuccess result;
  JsonCursor cursor(body);
  cursor.object([&](const std::string& name) {
    if (name != "partialSuccess") return cursor.skip();
    return cursor.object([&](const std::string& field) {
      if (field == "errorMessage") {
        result.message.clear();
        return cursor.string(result.message);
      }
      if (field != "rejectedSpans") return cursor.skip();
      std::int64_t number = 0;
      if (!cursor.integer(number)) return false;
      result.rejected_spans = not_negative(number);
      return true;
    });
  });
  return result;
}

std::string json_error_message(std::string_view body) {
  std::string message;
  JsonCursor cursor(body);
  cursor.object([&](const std::string& name) {
    if (name != "message") return cursor.skip();
    message.clear();
    return cursor.string(message);
  });
  return message;
}

}  // namespace

PartialSuccess read_partial_success(Protocol protocol, std::string_view body) {
  if (protocol == Protocol::http_json) return json_partial_success(body);
  PartialSuccess result;
  try {
    protozero::pbf_reader response(body.data(), body.size());
    while (response.next()) {
      if (response.tag_and_type() == protozero::tag_and_type(1, bytes)) {
        read_partial_success(response.get_message(), result);
      } else {
        response.skip();
      }
    }
  } catch (const protozero::exception&) {
    // What could be read until there holds.
  }
  return result;
}

std::string read_error_message(Protocol protocol, std::string_view body) {
  if (protocol == Protocol::http_json) return json_error_message(body);
  std::string message;
  try {
    protozero::pbf_reader status(body.data(), body.size());
    while (status.next()) {
      if (status.tag_and_type() == protozero::tag_and_type(2, bytes)) {
        message = status.get_string();
      } else {
        status.skip();
      }
    }
  } catch (const protozero::exception&) {
    return {};  // a page of a proxy, for example
  }
  return message;
}

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
