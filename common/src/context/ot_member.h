// The `ot` member of a tracestate: the sub-keys `th` and `rv` of consistent probability sampling.
//
// A member is `k1:v1;k2:v2`. `th` is the rejection threshold T, 1 to 14 lower-case hex digits that are padded
// with zeros on the right to 14; a span is kept when its randomness R >= T, so T = 0 keeps all. `rv`, exactly
// 14 digits, is R; without it R is the low 56 bits of the trace id. Reading takes any text: a part that is
// malformed, or that repeats a sub-key, counts as absent and does not spoil the others. Writing replaces `th`
// only, copies `rv` and foreign sub-keys unchanged, leaves out what was malformed, and keeps within 256
// characters by leaving out foreign sub-keys from the right. Nothing throws or (except with_threshold)
// allocates; any thread. Source: OpenTelemetry, TraceState handling and probability sampling; conventions 7.2
// and 10.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <midtrace/context/ids.h>
#include <midtrace/context/trace_state.h>

namespace midtrace {
inline namespace v1 {

struct OtMember {
  static constexpr std::string_view key = "ot";
  static constexpr std::size_t longest = 256;
  static constexpr std::size_t digits = 14;
  static constexpr std::uint64_t randomness_mask = (1ULL << 56U) - 1;
  // A threshold above every other: nothing is kept. Not representable as `th`.
  static constexpr std::uint64_t keep_none = 1ULL << 56U;

  std::optional<std::uint64_t> threshold;
  std::optional<std::uint64_t> randomness;
  bool has_threshold_text = false;  // there is a `th`, well formed or not

  static OtMember parse(std::string_view value) noexcept;
  static OtMember of(const TraceState& state) noexcept {
    return state.empty() ? OtMember() : parse(state.get(key).value_or(std::string_view()));
  }
  std::uint64_t randomness_for(TraceId id) const noexcept {
    return randomness ? *randomness : id.low & randomness_mask;
  }
};

// 2^56 * (1 - probability), rounded to four hex digits after the leading `f`s. Probabilities below 2^-56 and
// what is no number give keep_none, those above 1 give 0.
std::uint64_t threshold_of(double probability) noexcept;

// The digits of `th` without trailing zeros, into 14 characters; returns how many. `threshold` < 2^56.
std::size_t write_threshold(std::uint64_t threshold, char* out) noexcept;

// The member's value with this threshold, or with none, into 256 characters; returns how many. 0: nothing is
// left.
std::size_t rewrite_ot(std::string_view value, std::optional<std::uint64_t> threshold, char* out) noexcept;

// The tracestate with its `ot` member rewritten, or without it when nothing is left of it. Unchanged when
// there is no memory, or when the threshold is already as wanted.
TraceState with_threshold(const TraceState& state, std::optional<std::uint64_t> threshold) noexcept;

}  // namespace v1
}  // namespace midtrace
