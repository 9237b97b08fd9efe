// A tracestate keeps its limits, reads back as itself, is cut at whole members, and survives changes.
//
// The input's first byte is a budget for writing; a line break splits the rest into a header and a member to
// set.
#include <string>
#include <string_view>

#include <midtrace/context/trace_state.h>

#include "check.h"

namespace {

using midtrace::TraceState;

void check(const TraceState& state) {
  FUZZ_CHECK(state.size() <= TraceState::max_members);
  FUZZ_CHECK(state.empty() == (state.size() == 0));
  FUZZ_CHECK(TraceState::parse(state.header()) == state);
  std::size_t members = 0;
  state.for_each([&](std::string_view key, std::string_view value) {
    ++members;
    FUZZ_CHECK(!key.empty() && key.size() <= 256);
    FUZZ_CHECK(!value.empty() && value.size() <= 256 && value.back() != ' ');
    FUZZ_CHECK(state.get(key) == value);  // thus no key occurs twice with different values
  });
  FUZZ_CHECK(members == state.size());
}

void check_written(const TraceState& state, std::size_t budget) {
  std::string out(budget, '\0');
  out.resize(state.write(out.data(), budget));
  FUZZ_CHECK(out.size() <= budget);
  const TraceState cut = TraceState::parse(out);
  FUZZ_CHECK(cut.header() == out);
  cut.for_each([&](std::string_view key, std::string_view value) { FUZZ_CHECK(state.get(key) == value); });
  if (state.header().size() <= budget) FUZZ_CHECK(out == state.header());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input = midtrace_fuzz::text_of(bytes + 1, size - 1);
  const std::size_t line_end = input.find('\n');
  const TraceState state = TraceState::parse(input.substr(0, line_end));
  check(state);
  check_written(state, bytes[0]);
  check_written(state, TraceState::send_budget);

  if (line_end == std::string_view::npos) return 0;
  const std::string_view member = input.substr(line_end + 1);
  const std::size_t equals = member.find('=');
  const std::string_view key = member.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : member.substr(equals + 1);
  const TraceState changed = state.with(key, value);
  check(changed);
  if (changed != state) {
    FUZZ_CHECK(changed.get(key) == value);
    FUZZ_CHECK(changed.header().substr(0, key.size()) == key);
  }
  const TraceState removed = changed.without(key);
  check(removed);
  FUZZ_CHECK(!removed.get(key));
  return 0;
}
