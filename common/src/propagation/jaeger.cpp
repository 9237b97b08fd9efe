#include <midtrace/propagation/jaeger.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <midtrace/context/baggage.h>
#include <midtrace/trace/counters.h>

#include "../context/ascii.h"
#include "../context/baggage_builder.h"
#include "../context/hex.h"
#include "../export/utf8.h"
#include "baggage_problems.h"
#include "found_context.h"
#include "problem.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::string_view context_name = "uber-trace-id";
constexpr std::array<std::string_view, 1> field_names{context_name};

constexpr unsigned sampled_flag = 0x01;
constexpr unsigned debug_flag = 0x02;

constexpr std::size_t trace_id_digits = 32;
constexpr std::size_t span_id_digits = 16;
constexpr std::size_t flags_digits = 2;

// URL encoding leaves these.
constexpr CharacterSet unreserved = CharacterSet{}.with('a', 'z').with('A', 'Z').with('0', '9').with("-_.~");
constexpr CharacterSet printable = CharacterSet{}.with(' ', '~');

// Between the parts is a colon, percent-encoded by old clients. Takes the text before it off `rest`; false
// when there is none.
bool take_part(std::string_view& rest, std::string_view& part) noexcept {
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const std::string_view three = rest.substr(i, 3);
    const std::size_t separator = rest[i] == ':' ? 1 : three == "%3A" || three == "%3a" ? 3 : 0;
    if (separator == 0) continue;
    part = rest.substr(0, i);
    rest.remove_prefix(i + separator);
    return true;
  }
  return false;
}

// Up to so many digits in any case, at most 16 of which count here.
bool read_number(std::string_view text, std::uint64_t& number) noexcept {
  number = 0;
  for (const char c : text) {
    const unsigned digit = hex::digit(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
    if (digit > 15) return false;
    number = number << 4U | digit;
  }
  return true;
}

bool read_trace_id(std::string_view text, TraceId& id) noexcept {
  if (text.empty() || text.size() > trace_id_digits) return false;
  const std::size_t high_digits = text.size() - std::min(text.size(), span_id_digits);
  return read_number(text.substr(0, high_digits), id.high) && read_number(text.substr(high_digits), id.low) &&
         id.valid();
}

struct Found {
  TraceId trace_id;
  SpanId span_id;
  TraceFlags flags;
};

// `{trace id}:{span id}:{parent id}:{flags}`. Leaves `found` alone when it returns false.
bool read_context(std::string_view text, Found& found) noexcept {
  text = trim(text);
  constexpr std::size_t longest = trace_id_digits + 2 * span_id_digits + flags_digits + 3 * 3;
  if (text.size() > longest) return false;
  std::string_view trace_id;
  std::string_view span_id;
  std::string_view parent_id;
  if (!take_part(text, trace_id) || !take_part(text, span_id) || !take_part(text, parent_id)) return false;
  if (span_id.size() > span_id_digits || parent_id.size() > span_id_digits || text.empty() ||
      text.size() > flags_digits) {
    return false;
  }
  Found read;
  std::uint64_t flags = 0;
  std::uint64_t ignored = 0;
  if (!read_trace_id(trace_id, read.trace_id) || !read_number(span_id, read.span_id.value) ||
      !read.span_id.valid() || !read_number(parent_id, ignored) || !read_number(text, flags)) {
    return false;
  }
  if ((flags & sampled_flag) != 0) {
    read.flags.bits = TraceFlags::sampled_bit;
    if ((flags & debug_flag) != 0) read.flags.bits |= TraceFlags::debug_bit;
  }
  found = read;
  return true;
}

[[gnu::noinline, gnu::cold]] void refuse(std::uint64_t values, std::string_view last) noexcept {
  count(Counter::extract_malformed_jaeger, values);
  Problem()
      .text("the header uber-trace-id = ")
      .quote(last)
      .text(
          " is not valid and was ignored, so the trace does not continue here; look at what sets it at the "
          "sender")
      .report(Severity::warning, "propagation.jaeger");
}

bool is_member(std::string_view name, CarrierKind kind) noexcept {
  if (name.size() < jaeger_baggage_prefix.size()) return false;
  name = name.substr(0, jaeger_baggage_prefix.size());
  return kind == CarrierKind::http ? equals_in_any_case(name, jaeger_baggage_prefix)
                                   : name == jaeger_baggage_prefix;
}

class MemberReader {
 public:
  // `before` must outlive this.
  MemberReader(const Baggage& before, CarrierKind kind) noexcept : before_(before), kind_(kind) {
    before.for_each([this](const Baggage::Member& member) {
      if (!builder_.set(member, BaggageBuilder::Value::plain)) ++dropped_;
    });
  }

  void read(std::string_view name, std::string_view value) noexcept {
    name.remove_prefix(jaeger_baggage_prefix.size());
    const bool like_http = kind_ == CarrierKind::http;
    if (like_http) value = trim(value);
    if (!is_token(name) || !(like_http ? printable.contains_all(value) : is_utf8(value))) {
      ++malformed_;
      return;
    }
    const std::size_t before = size_;
    const auto form = like_http ? BaggageBuilder::Value::percent_encoded : BaggageBuilder::Value::plain;
    const bool read = !like_http || (in_lower_case(name) && without_plus(value));
    if (read && repeats(name, value)) {
      size_ = before;
    } else if (read && builder_.set({name, value, {}}, form)) {
      changed_ = true;
    } else {
      size_ = before;
      ++dropped_;
    }
  }

  void finish(Baggage& into) noexcept {
    if (changed_) builder_.build(into);
    if (malformed_ != 0) report_malformed_baggage(malformed_);
    if (dropped_ != 0) report_baggage_dropped_on_extract(dropped_);
  }

 private:
  // Whether W3C baggage said the same, with metadata, which this format cannot say.
  bool repeats(std::string_view name, std::string_view value) noexcept {
    const auto known = before_.find(name);
    if (!known || known->metadata.empty()) return false;
    if (kind_ != CarrierKind::http) return known->value == value;
    if (value.size() > text_.size() - size_) return false;
    char* const decoded = text_.data() + size_;
    return known->value == std::string_view(decoded, percent_decode(value, decoded));
  }
  // Whoever forwards a field of HTTP may write its name in any case, and many do; W3C baggage may know which
  // it had. False when there is no room.
  bool in_lower_case(std::string_view& name) noexcept {
    if (before_.find(name)) return true;
    const std::size_t before = size_;
    if (!to_lower_case(name)) return false;
    before_.for_each([&](const Baggage::Member& member) {
      if (!equals_in_any_case(member.name, name)) return;
      name = member.name;
      size_ = before;
    });
    return true;
  }
  bool to_lower_case(std::string_view& name) noexcept {
    if (std::none_of(name.begin(), name.end(), is_capital)) return true;
    return rewrite(name, [](char c) { return is_capital(c) ? static_cast<char>(c - 'A' + 'a') : c; });
  }
  // Jaeger's clients encode as HTML forms do: a plus is a blank. False when there is no room to say so.
  bool without_plus(std::string_view& value) noexcept {
    if (value.find('+') == std::string_view::npos) return true;
    return rewrite(value, [](char c) { return c == '+' ? ' ' : c; });
  }
  template <class Change>
  bool rewrite(std::string_view& text, const Change& change) noexcept {
    if (text.size() > text_.size() - size_) return false;
    char* const begin = text_.data() + size_;
    std::transform(text.begin(), text.end(), begin, change);
    size_ += text.size();
    text = {begin, text.size()};
    return true;
  }
  static bool is_capital(char c) noexcept { return c >= 'A' && c <= 'Z'; }

  const Baggage& before_;
  CarrierKind kind_;
  BaggageBuilder builder_{BaggageBuilder::Measure::texts};
  std::array<char, Baggage::max_bytes> text_;  // as far as size_ only
  std::size_t size_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t dropped_ = 0;
  bool changed_ = false;
};

void extract_baggage(const CarrierReader& carrier, Baggage& into) noexcept {
  const CarrierKind kind = carrier.kind();
  // Most messages carry none, and then the reader's tables are not set up.
  bool present = false;
  carrier.for_each([&](std::string_view name, std::string_view) {
    present = is_member(name, kind);
    return !present;
  });
  if (!present) return;
  const Baggage before = into;  // the reader holds views of it
  MemberReader reader(before, kind);
  carrier.for_each([&](std::string_view name, std::string_view value) {
    if (is_member(name, kind)) reader.read(name, value);
    return true;
  });
  reader.finish(into);
}

// One header at a time; all together stay within the limit of a Baggage.
class MemberWriter {
 public:
  // False when the member does not fit; then it is not sent.
  bool write(const Baggage::Member& member, CarrierWriter& carrier) noexcept {
    size_ = 0;
    const std::size_t name_size = jaeger_baggage_prefix.size() + member.name.size();
    if (!put(jaeger_baggage_prefix) || !put(member.name)) return false;
    if (carrier.kind() == CarrierKind::http ? !put_encoded(member.value) : !put(member.value)) return false;
    const std::size_t counted = size_ - jaeger_baggage_prefix.size();
    if (counted > Baggage::max_bytes - total_) return false;
    total_ += counted;
    const std::string_view text(text_.data(), size_);
    carrier.set(text.substr(0, name_size), text.substr(name_size));
    return true;
  }

 private:
  bool put(std::string_view text) noexcept {
    if (text.size() > text_.size() - size_) return false;
    size_ += text.copy(text_.data() + size_, text.size());
    return true;
  }
  bool put_encoded(std::string_view text) noexcept {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      const char escape[] = {'%', digits[byte >> 4U], digits[byte & 15U]};
      if (!put(unreserved.contains(c) ? std::string_view(&c, 1) : std::string_view(escape, 3))) return false;
    }
    return true;
  }

  std::array<char, Baggage::max_bytes + jaeger_baggage_prefix.size()> text_;  // as far as size_ only
  std::size_t size_ = 0;
  std::size_t total_ = 0;
};

[[gnu::noinline]] void inject_baggage(const Baggage& baggage, CarrierWriter& carrier) noexcept {
  MemberWriter writer;
  std::uint64_t dropped = 0;
  std::string_view last_dropped;
  baggage.for_each([&](const Baggage::Member& member) {
    if (is_token(member.name) && writer.write(member, carrier)) return;
    ++dropped;
    last_dropped = member.name;
  });
  if (dropped != 0) report_baggage_dropped_on_inject(dropped, last_dropped);
}

}  // namespace

void JaegerPropagator::inject(const Context& context, CarrierWriter& carrier) const noexcept {
  const SpanContext& span = context.span;
  if (span.valid()) {
    char text[trace_id_digits + 1 + span_id_digits + 4];
    hex::write(span.trace_id.high, text);
    hex::write(span.trace_id.low, text + 16);
    text[trace_id_digits] = ':';
    char* end = text + trace_id_digits + 1;
    hex::write(span.span_id.value, end);
    end += span_id_digits;
    *end++ = ':';
    *end++ = '0';
    *end++ = ':';
    const unsigned flags = span.flags.debug()     ? sampled_flag | debug_flag
                           : span.flags.sampled() ? sampled_flag
                                                  : 0U;
    *end++ = hex::digit_text(flags);
    carrier.set(context_name, std::string_view(text, sizeof text));
  }
  if (!context.baggage.empty()) inject_baggage(context.baggage, carrier);
}

void JaegerPropagator::extract(const CarrierReader& carrier, Context& into) const noexcept {
  Found found;
  std::uint64_t malformed_values = 0;
  std::string_view malformed;
  carrier.get_all(context_name, [&](std::string_view value) {
    if (!read_context(value, found)) {
      ++malformed_values;
      malformed = value;
    }
    return true;
  });
  if (malformed_values != 0) refuse(malformed_values, malformed);
  if (found.trace_id.valid()) accept_ids(found.trace_id, found.span_id, found.flags, into);
  extract_baggage(carrier, into.baggage);
}

std::span<const std::string_view> JaegerPropagator::fields() const noexcept { return field_names; }

}  // namespace v1
}  // namespace midtrace
