#include <midtrace/propagation/b3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <midtrace/trace/counters.h>

#include "../context/ascii.h"
#include "../context/hex.h"
#include "found_context.h"
#include "problem.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::string_view single_name = "b3";
constexpr std::string_view trace_id_name = "x-b3-traceid";
constexpr std::string_view span_id_name = "x-b3-spanid";
constexpr std::string_view parent_name = "x-b3-parentspanid";
constexpr std::string_view sampled_name = "x-b3-sampled";
constexpr std::string_view flags_name = "x-b3-flags";
constexpr std::array<std::string_view, 6> field_names{single_name, trace_id_name, span_id_name,
                                                      parent_name, sampled_name,  flags_name};

constexpr std::size_t span_id_digits = 16;
constexpr std::size_t trace_id_digits = 32;

constexpr TraceFlags denied{};
constexpr TraceFlags accepted{TraceFlags::sampled_bit};
constexpr TraceFlags forced{TraceFlags::sampled_bit | TraceFlags::debug_bit};
constexpr TraceFlags deferred{TraceFlags::deferred_bit};

// Ids that are not valid mean a decision alone.
struct Found {
  TraceId trace_id;
  SpanId span_id;
  TraceFlags flags = deferred;
};

// The readers leave the result alone when they return false.

bool read_span_id(std::string_view text, SpanId& id) noexcept {
  if (text.size() != span_id_digits) return false;
  hex::Reader reader;
  const std::uint64_t value = reader.read_16(text.data());
  if (!reader.valid() || value == 0) return false;
  id.value = value;
  return true;
}

bool read_trace_id(std::string_view text, TraceId& id) noexcept {
  if (text.size() != trace_id_digits && text.size() != trace_id_digits / 2) return false;
  hex::Reader reader;
  TraceId read;
  if (text.size() == trace_id_digits) {
    read.high = reader.read_16(text.data());
    text.remove_prefix(trace_id_digits / 2);
  }
  read.low = reader.read_16(text.data());
  if (!reader.valid() || !read.valid()) return false;
  id = read;
  return true;
}

bool read_state(std::string_view text, TraceFlags& flags) noexcept {
  if (text == "1") {
    flags = accepted;
  } else if (text == "0") {
    flags = denied;
  } else if (text == "d") {
    flags = forced;
  } else {
    return false;
  }
  return true;
}

// `{trace id}-{span id}[-{state}[-{parent id}]]`, or a state alone.
bool read_single(std::string_view text, Found& found) noexcept {
  text = trim(text);
  Found read;
  if (read_state(text, read.flags)) {
    found = read;
    return true;
  }
  std::array<std::string_view, 4> parts;
  std::size_t count = 0;
  for (;;) {
    if (count == parts.size()) return false;
    const std::size_t end = text.find('-');
    parts[count++] = text.substr(0, end);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  SpanId ignored;
  if (count < 2 || !read_trace_id(parts[0], read.trace_id) || !read_span_id(parts[1], read.span_id) ||
      (count > 2 && !read_state(parts[2], read.flags)) || (count > 3 && !read_span_id(parts[3], ignored))) {
    return false;
  }
  found = read;
  return true;
}

[[gnu::noinline, gnu::cold]] void refuse(std::string_view name, std::uint64_t values,
                                         std::string_view last) noexcept {
  count(Counter::extract_malformed_b3, values);
  Problem()
      .text("the header ")
      .text(name)
      .text(" = ")
      .quote(last)
      .text(" is not valid B3 and was ignored; look at what sets it at the sender")
      .report(Severity::warning, "propagation.b3");
}

[[gnu::noinline, gnu::cold]] void refuse_half() noexcept {
  count(Counter::extract_malformed_b3);
  Problem()
      .text("only one of the headers x-b3-traceid and x-b3-spanid is there and valid; the x-b3 headers were ")
      .text("ignored, so the trace does not continue here; look at what sets them at the sender")
      .report(Severity::warning, "propagation.b3_half");
}

enum class Header { absent, malformed, valid };

// The last value of the field that `read` accepts.
template <class Read>
Header read_last(const CarrierReader& carrier, std::string_view name, const Read& read) noexcept {
  bool any = false;
  std::uint64_t malformed_values = 0;
  std::string_view malformed;
  carrier.get_all(name, [&](std::string_view value) {
    if (read(trim(value))) {
      any = true;
    } else {
      ++malformed_values;
      malformed = value;
    }
    return true;
  });
  if (malformed_values != 0) refuse(name, malformed_values, malformed);
  return any ? Header::valid : malformed_values != 0 ? Header::malformed : Header::absent;
}

bool read_sampled(std::string_view text, TraceFlags& flags) noexcept {
  if (text == "1" || equals_in_any_case(text, "true")) {
    flags = accepted;
  } else if (text == "0" || equals_in_any_case(text, "false")) {
    flags = denied;
  } else {
    return false;
  }
  return true;
}

// True when there is something to go by: ids, or a decision that is alone. Next to ids that cannot be read it
// is not, and goes with them, as in the format of one header.
bool read_multi(const CarrierReader& carrier, Found& found) noexcept {
  const Header trace = read_last(carrier, trace_id_name,
                                 [&](std::string_view text) { return read_trace_id(text, found.trace_id); });
  const Header span = read_last(carrier, span_id_name,
                                [&](std::string_view text) { return read_span_id(text, found.span_id); });
  if ((trace == Header::valid) != (span == Header::valid)) {
    refuse_half();
    return false;
  }
  if (trace == Header::malformed || span == Header::malformed) return false;
  const Header sampled = read_last(carrier, sampled_name,
                                   [&](std::string_view text) { return read_sampled(text, found.flags); });
  // Of this one every value but "1" means nothing.
  bool is_forced = false;
  carrier.get_all(flags_name, [&](std::string_view value) {
    is_forced = trim(value) == "1";
    return true;
  });
  if (is_forced) found.flags = forced;
  return trace == Header::valid || sampled == Header::valid || is_forced;
}

char state_text(TraceFlags flags) noexcept {
  if (flags.debug()) return 'd';
  return flags.sampled() ? '1' : '0';
}

void inject_single(const SpanContext& span, CarrierWriter& carrier) noexcept {
  char text[trace_id_digits + 1 + span_id_digits + 2];
  std::size_t size = 0;
  if (span.valid()) {
    hex::write(span.trace_id.high, text);
    hex::write(span.trace_id.low, text + 16);
    text[trace_id_digits] = '-';
    hex::write(span.span_id.value, text + trace_id_digits + 1);
    size = trace_id_digits + 1 + span_id_digits;
  }
  if (!span.flags.deferred()) {
    if (size != 0) text[size++] = '-';
    text[size++] = state_text(span.flags);
  }
  if (size != 0) carrier.set(single_name, std::string_view(text, size));
}

void inject_multi(const SpanContext& span, CarrierWriter& carrier) noexcept {
  if (span.valid()) {
    char text[trace_id_digits];
    hex::write(span.trace_id.high, text);
    hex::write(span.trace_id.low, text + 16);
    carrier.set(trace_id_name, std::string_view(text, trace_id_digits));
    hex::write(span.span_id.value, text);
    carrier.set(span_id_name, std::string_view(text, span_id_digits));
  }
  if (span.flags.deferred()) return;
  if (span.flags.debug()) {
    carrier.set(flags_name, "1");
  } else {
    carrier.set(sampled_name, span.flags.sampled() ? "1" : "0");
  }
}

}  // namespace

void B3Propagator::inject(const Context& context, CarrierWriter& carrier) const noexcept {
  if (!context.span.valid() && !context.span.decision_only()) return;
  if (written_ == B3Format::single) {
    inject_single(context.span, carrier);
  } else {
    inject_multi(context.span, carrier);
  }
}

void B3Propagator::extract(const CarrierReader& carrier, Context& into) const noexcept {
  Found found;
  const Header single =
      read_last(carrier, single_name, [&](std::string_view text) { return read_single(text, found); });
  if (single != Header::valid && !read_multi(carrier, found)) return;
  if (found.trace_id.valid()) {
    accept_ids(found.trace_id, found.span_id, found.flags, into);
  } else if (!into.span.valid()) {
    into.span = {{}, {}, found.flags, true, TraceState()};
  }
}

std::span<const std::string_view> B3Propagator::fields() const noexcept { return field_names; }

}  // namespace v1
}  // namespace midtrace
