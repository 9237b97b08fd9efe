// Whether bytes have an unambiguous text form: valid UTF-8 (no overlong forms, no surrogates) without control
// characters.
#pragma once

#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace messaging {

bool is_plain_text(std::string_view bytes) noexcept;

}  // namespace messaging
}  // namespace v1
}  // namespace midtrace
