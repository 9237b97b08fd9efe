// The `ot` member of a tracestate: whatever stands in it, a change of the threshold reads back, keeps the
// randomness, is within 256 characters, and done twice is the same as done once.
//
// The input's first seven bytes are a threshold, the rest is a member's value.
#include <optional>
#include <string>
#include <string_view>

#include "check.h"
#include "context/ot_member.h"

namespace {

using midtrace::OtMember;
using midtrace::TraceState;

std::string rewritten(std::string_view value, std::optional<std::uint64_t> threshold) {
  std::string text(OtMember::longest, '\0');
  text.resize(midtrace::rewrite_ot(value, threshold, text.data()));
  return text;
}

void check(std::string_view value, std::optional<std::uint64_t> threshold) {
  const OtMember before = OtMember::parse(value);
  const std::string text = rewritten(value, threshold);
  FUZZ_CHECK(text.size() <= OtMember::longest);
  const OtMember after = OtMember::parse(text);
  FUZZ_CHECK(after.threshold == threshold);
  FUZZ_CHECK(after.has_threshold_text == threshold.has_value());
  FUZZ_CHECK(after.randomness == before.randomness);
  FUZZ_CHECK(rewritten(text, threshold) == text);

  const TraceState state = TraceState().with("a", "1").with(OtMember::key, value);
  const TraceState changed = midtrace::with_threshold(state, threshold);
  FUZZ_CHECK(changed.get("a") == "1");
  FUZZ_CHECK(OtMember::of(changed).threshold == threshold);
  FUZZ_CHECK(OtMember::of(changed).randomness == OtMember::of(state).randomness);
  FUZZ_CHECK(midtrace::with_threshold(changed, threshold) == changed);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  constexpr std::size_t longest_input = 1000;  // a tracestate has at most 256 characters here
  if (size < 7 || size > longest_input) return 0;
  std::uint64_t threshold = 0;
  for (std::size_t i = 0; i < 7; ++i)
    threshold = threshold << 8U | bytes[i];
  const std::string_view value = midtrace_fuzz::text_of(bytes + 7, size - 7);
  const OtMember read = OtMember::parse(value);
  if (read.threshold) FUZZ_CHECK(*read.threshold < OtMember::keep_none);
  if (read.randomness) FUZZ_CHECK(*read.randomness < OtMember::keep_none);
  check(value, threshold);
  check(value, std::nullopt);
  return 0;
}
