// append_json_string(): a text as a JSON string, for log lines and the like.
//
// Adds `text` to `out` in quotes, escaped, on one line, as valid UTF-8 whatever goes in (what is not becomes
// U+FFFD, and is counted once per text as `invalid_utf8`).
// std::bad_alloc may pass; `out` then holds what was written until then. Any thread. Source: RFC 8259.
#pragma once

#include <string>
#include <string_view>

namespace midtrace {
inline namespace v1 {

void append_json_string(std::string& out, std::string_view text);

}  // namespace v1
}  // namespace midtrace
