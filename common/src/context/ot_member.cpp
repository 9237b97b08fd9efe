#include "ot_member.h"

#include <cmath>
#include <cstring>

#include "ascii.h"
#include "hex.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr CharacterSet key_starts = CharacterSet{}.with('a', 'z');
constexpr CharacterSet key_characters = key_starts.with('0', '9');
constexpr CharacterSet value_characters =
    CharacterSet{}.with('a', 'z').with('A', 'Z').with('0', '9').with("._-");

struct Part {
  std::string_view whole;
  std::string_view key;
  std::string_view value;
  bool valid;
};

Part take_part(std::string_view& rest) noexcept {
  const std::string_view whole = take_until(rest, ';');
  const std::size_t colon = whole.find(':');
  if (colon == std::string_view::npos) return {whole, {}, {}, false};
  const std::string_view key = whole.substr(0, colon);
  const std::string_view value = whole.substr(colon + 1);
  const bool valid = !key.empty() && key_starts.contains(key.front()) && key_characters.contains_all(key) &&
                     value_characters.contains_all(value);
  return {whole, key, value, valid};
}

bool occurs_before(std::string_view value, const Part& part) noexcept {
  std::string_view earlier = value.substr(0, static_cast<std::size_t>(part.whole.data() - value.data()));
  while (!earlier.empty()) {
    const Part other = take_part(earlier);
    if (other.valid && other.key == part.key) return true;
  }
  return false;
}

std::optional<std::uint64_t> read_digits(std::string_view text, std::size_t least) noexcept {
  if (text.size() < least || text.size() > OtMember::digits) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : text) {
    const unsigned digit = hex::digit(c);
    if (digit > 15) return std::nullopt;
    number = number << 4U | digit;
  }
  return number << (4 * (OtMember::digits - text.size()));
}

}  // namespace

OtMember OtMember::parse(std::string_view value) noexcept {
  OtMember member;
  bool has_randomness_text = false;
  for (std::string_view rest = value; !rest.empty();) {
    const Part part = take_part(rest);
    if (!part.valid) continue;
    if (part.key == "th" && !member.has_threshold_text) {
      member.has_threshold_text = true;
      member.threshold = read_digits(part.value, 1);
    } else if (part.key == "rv" && !has_randomness_text) {
      has_randomness_text = true;
      member.randomness = read_digits(part.value, OtMember::digits);
    }
  }
  return member;
}

std::uint64_t threshold_of(double probability) noexcept {
  constexpr unsigned default_precision = 4;
  if (!(probability >= 0x1p-56)) return OtMember::keep_none;
  if (probability >= 1.0) return 0;
  const std::uint64_t exact =
      OtMember::keep_none - static_cast<std::uint64_t>(std::llround(std::ldexp(probability, 56)));
  unsigned precision = default_precision;
  for (unsigned shift = 52; (exact >> shift & 15U) == 15 && precision < OtMember::digits; shift -= 4)
    ++precision;
  const unsigned cut = 4 * (static_cast<unsigned>(OtMember::digits) - precision);
  if (cut == 0) return exact;
  // Cannot reach 2^56: the digit after the leading `f`s is none.
  return (exact + (1ULL << (cut - 1))) >> cut << cut;
}

std::size_t write_threshold(std::uint64_t threshold, char* out) noexcept {
  std::size_t size = 0;
  do {
    out[size++] = hex::digit_text(static_cast<unsigned>(threshold >> 52U) & 15U);
    threshold = threshold << 4U & OtMember::randomness_mask;
  } while (threshold != 0);
  return size;
}

std::size_t rewrite_ot(std::string_view value, std::optional<std::uint64_t> threshold, char* out) noexcept {
  std::size_t size = 0;
  const auto append = [&](std::string_view part) {
    if (size + (size == 0 ? 0 : 1) + part.size() > OtMember::longest) return false;
    if (size != 0) out[size++] = ';';
    std::memcpy(out + size, part.data(), part.size());
    size += part.size();
    return true;
  };
  if (threshold) {
    char text[3 + OtMember::digits] = {'t', 'h', ':'};
    append({static_cast<const char*>(text), 3 + write_threshold(*threshold, text + 3)});
  }
  // First what we understand, which always fits.
  for (const bool foreign : {false, true}) {
    for (std::string_view rest = value; !rest.empty();) {
      const Part part = take_part(rest);
      if (!part.valid || part.key == "th" || (part.key != "rv") != foreign || occurs_before(value, part))
        continue;
      if (!foreign && !read_digits(part.value, OtMember::digits)) continue;
      if (!append(part.whole)) break;
    }
  }
  return size;
}

TraceState with_threshold(const TraceState& state, std::optional<std::uint64_t> threshold) noexcept {
  const std::string_view value = state.get(OtMember::key).value_or(std::string_view());
  const OtMember member = OtMember::parse(value);
  if (threshold ? member.threshold == threshold : !member.has_threshold_text) return state;
  char text[OtMember::longest];
  const std::size_t size = rewrite_ot(value, threshold, text);
  return size == 0 ? state.without(OtMember::key)
                   : state.with(OtMember::key, {static_cast<const char*>(text), size});
}

}  // namespace v1
}  // namespace midtrace
