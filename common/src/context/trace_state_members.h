// The members of a tracestate header, as views on its text.
//
// Shared by TraceState, which copies them, and by the propagator, which has to tell invalid text from text
// that holds no member. No memory is allocated; the time is linear in the length of the text. Source: W3C
// Trace Context, section 3.3.1; conventions 7.2.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include <midtrace/context/trace_state.h>

namespace midtrace {
inline namespace v1 {

struct TraceStateMembers {
  std::array<std::string_view, TraceState::max_members> items;  // each `key=value`
  std::size_t size = 0;

  std::span<const std::string_view> view() const noexcept { return {items.data(), size}; }
};

// False when the text is not a tracestate; then `members` is unspecified.
bool split_trace_state(std::string_view header, TraceStateMembers& members) noexcept;

}  // namespace v1
}  // namespace midtrace
