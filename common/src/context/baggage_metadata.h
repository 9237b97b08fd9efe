// What baggage may consist of on the wire: the characters of a value, and metadata, the W3C's properties.
//
// Pure functions. Source: W3C Baggage, section 3.3.1; conventions 7.3.
#pragma once

#include <string_view>

#include "ascii.h"

namespace midtrace {
inline namespace v1 {

inline constexpr CharacterSet baggage_characters = CharacterSet{}.with('!', '~').without("\",;\\");

// `property *( ";" property )`, where a property is a token that may have a value.
constexpr bool is_baggage_metadata(std::string_view text) noexcept {
  for (;;) {
    const std::size_t end = text.find(';');
    const std::string_view property = text.substr(0, end);
    const std::size_t equals = property.find('=');
    if (!is_token(trim(property.substr(0, equals)))) return false;
    if (equals != std::string_view::npos &&
        !baggage_characters.contains_all(trim(property.substr(equals + 1))))
      return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

}  // namespace v1
}  // namespace midtrace
