// Trace and span identifiers and the trace flags, as plain values.
//
// A trace id is 16 bytes, a span id 8 bytes; both are kept as big-endian integers, so that the first hex
// digit of the text is the highest digit of `high` (or `value`). All zero means "none" and is never valid on
// the wire. Nothing here allocates, throws or locks; every function may be called from any thread. Source:
// W3C Trace Context, section 3.2 (traceparent field values).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace midtrace {
inline namespace v1 {

struct TraceId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  constexpr bool valid() const noexcept { return (high | low) != 0; }
  // 32 lower-case hex digits, without a terminator.
  std::array<char, 32> hex() const noexcept;
  std::string to_string() const;
  // Exactly 32 lower-case hex digits that are not all zero; anything else is nullopt.
  static std::optional<TraceId> from_hex(std::string_view text) noexcept;

  friend constexpr bool operator==(const TraceId&, const TraceId&) noexcept = default;
  friend constexpr std::strong_ordering operator<=>(const TraceId&, const TraceId&) noexcept = default;
};

struct SpanId {
  std::uint64_t value = 0;

  constexpr bool valid() const noexcept { return value != 0; }
  // 16 lower-case hex digits, without a terminator.
  std::array<char, 16> hex() const noexcept;
  std::string to_string() const;
  // Exactly 16 lower-case hex digits that are not all zero; anything else is nullopt.
  static std::optional<SpanId> from_hex(std::string_view text) noexcept;

  friend constexpr bool operator==(const SpanId&, const SpanId&) noexcept = default;
  friend constexpr std::strong_ordering operator<=>(const SpanId&, const SpanId&) noexcept = default;
};

// Bit 0: sampled. Bit 1: the low 56 bits of the trace id are random (Level 2). Test bits, never compare the
// byte.
//
// The bits outside `wire_bits` stay in this process: traceparent and exports leave them out, and a
// traceparent cannot set them. They hold what only B3 and Jaeger can say (conventions 7.4, 7.5).
struct TraceFlags {
  static constexpr std::uint8_t sampled_bit = 0x01;
  static constexpr std::uint8_t random_bit = 0x02;
  static constexpr std::uint8_t wire_bits = sampled_bit | random_bit;
  // Somebody forces this trace. Comes with `sampled`; every span of the trace here inherits it, so that it is
  // sent on.
  static constexpr std::uint8_t debug_bit = 0x40;
  // `sampled` is nobody's decision that is to be followed: the sender left it to us, or is not trusted.
  // Samplers treat a remote parent or a link like that as if it had none. New spans never have it.
  static constexpr std::uint8_t deferred_bit = 0x80;

  std::uint8_t bits = 0;

  constexpr bool sampled() const noexcept { return (bits & sampled_bit) != 0; }
  constexpr bool random() const noexcept { return (bits & random_bit) != 0; }
  constexpr bool debug() const noexcept { return (bits & debug_bit) != 0; }
  constexpr bool deferred() const noexcept { return (bits & deferred_bit) != 0; }

  friend constexpr bool operator==(const TraceFlags&, const TraceFlags&) noexcept = default;
};

}  // namespace v1
}  // namespace midtrace

template <>
struct std::hash<midtrace::TraceId> {
  std::size_t operator()(const midtrace::TraceId& id) const noexcept {
    return id.low ^ (id.high * 0x9E3779B97F4A7C15U);
  }
};
template <>
struct std::hash<midtrace::SpanId> {
  std::size_t operator()(const midtrace::SpanId& id) const noexcept { return id.value; }
};
