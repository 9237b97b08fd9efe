#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <midtrace/propagation/propagator.h>
#include <midtrace/trace/counters.h>

#include "../context/ascii.h"
#include "../context/hex.h"
#include "../context/trace_state_members.h"
#include "found_context.h"
#include "problem.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::string_view traceparent_name = "traceparent";
constexpr std::string_view tracestate_name = "tracestate";
constexpr std::array<std::string_view, 2> field_names{traceparent_name, tracestate_name};

// Where the fields of a traceparent begin: `00-<32 digits>-<16 digits>-<2 digits>`.
constexpr std::size_t trace_id_at = 3;
constexpr std::size_t span_id_at = 36;
constexpr std::size_t flags_at = 53;

// All tracestate lines together. 32 members of the greatest length are 17 KiB; the rest is room for blanks.
constexpr std::size_t longest_tracestate = 64 * 1024;

bool is_known_or_later_version(std::string_view header) noexcept {
  if (header[0] == '0' && header[1] == '0') return header.size() == traceparent_length;
  if (hex::digit(header[0]) > 15 || hex::digit(header[1]) > 15) return false;
  if (header[0] == 'f' && header[1] == 'f') return false;
  return header.size() == traceparent_length || header[traceparent_length] == '-';
}

struct Traceparent {
  TraceId trace_id;
  SpanId span_id;
  TraceFlags flags;

  bool valid() const noexcept { return trace_id.valid() && span_id.valid(); }
};

// Leaves `found` alone when it returns false.
bool read_traceparent(std::string_view header, Traceparent& found) noexcept {
  header = trim(header);
  if (header.size() < traceparent_length) return false;
  const char* const text = header.data();
  if (text[trace_id_at - 1] != '-' || text[span_id_at - 1] != '-' || text[flags_at - 1] != '-') return false;
  if (!is_known_or_later_version(header)) return false;
  hex::Reader reader;
  const std::uint64_t high = reader.read_16(text + trace_id_at);
  const std::uint64_t low = reader.read_16(text + trace_id_at + 16);
  const std::uint64_t span = reader.read_16(text + span_id_at);
  const unsigned high_flags = hex::digit(text[flags_at]);
  const unsigned low_flags = hex::digit(text[flags_at + 1]);
  if (!reader.valid() || high_flags > 15 || low_flags > 15 || (high | low) == 0 || span == 0) return false;
  found.trace_id = {high, low};
  found.span_id = {span};
  found.flags = {static_cast<std::uint8_t>(low_flags & TraceFlags::wire_bits)};
  return true;
}

struct Freed {
  void operator()(char* text) const noexcept { std::free(text); }
};

// All values of a field as one text, joined by ','. The usual single value is not copied.
class JoinedField {
 public:
  JoinedField(const CarrierReader& carrier, std::string_view name) noexcept {
    std::size_t values = 0;
    std::size_t total = 0;
    carrier.get_all(name, [&](std::string_view value) {
      text_ = value;
      ++values;
      total += value.size() + 1;
      return total <= longest_tracestate;
    });
    too_long_ = total > longest_tracestate;
    if (values > 1 && !too_long_) join(carrier, name, total);
  }

  std::string_view text() const noexcept { return text_; }
  bool too_long() const noexcept { return too_long_; }

 private:
  void join(const CarrierReader& carrier, std::string_view name, std::size_t capacity) noexcept {
    text_ = {};
    memory_.reset(static_cast<char*>(std::malloc(capacity)));
    if (memory_ == nullptr) return;
    std::size_t size = 0;
    carrier.get_all(name, [&](std::string_view value) {
      if (size + value.size() + 1 > capacity) return false;  // cannot be, unless the carrier changed
      if (size != 0) memory_[size++] = ',';
      size += value.copy(memory_.get() + size, value.size());
      return true;
    });
    text_ = std::string_view(memory_.get(), size);
  }

  std::string_view text_;
  std::unique_ptr<char[], Freed> memory_;
  bool too_long_ = false;
};

[[gnu::noinline, gnu::cold]] void refuse_traceparents(std::uint64_t malformed,
                                                      std::string_view last) noexcept {
  count(Counter::extract_malformed_traceparent, malformed);
  Problem()
      .text("the header traceparent = ")
      .quote(last)
      .text(
          " is not valid and was ignored, so the trace does not continue here; look at what sets it at the "
          "sender")
      .report(Severity::warning, "propagation.traceparent");
}

[[gnu::noinline, gnu::cold]] void refuse_duplicates(std::string_view last) noexcept {
  count(Counter::extract_duplicate_traceparent);
  Problem()
      .text("the header traceparent = ")
      .quote(last)
      .text(
          " is not the only one of its message; all were ignored; let only one component of the sender set "
          "it")
      .report(Severity::warning, "propagation.traceparent_duplicate");
}

[[gnu::noinline, gnu::cold]] void refuse_tracestate() noexcept {
  count(Counter::extract_malformed_tracestate);
  Problem()
      .text("a tracestate header is not valid and was dropped, the trace continues without it; ")
      .text("look at what sets it at the sender")
      .report(Severity::warning, "propagation.tracestate");
}

TraceState read_tracestate(const CarrierReader& carrier) noexcept {
  const JoinedField field(carrier, tracestate_name);
  if (field.text().empty() && !field.too_long()) return TraceState();
  if (field.too_long()) {
    refuse_tracestate();
    return TraceState();
  }
  TraceState state = TraceState::parse(field.text());
  if (state.empty()) {
    TraceStateMembers members;  // nothing in it, or no memory, is no mistake of the sender
    if (!split_trace_state(field.text(), members)) refuse_tracestate();
  }
  return state;
}

[[gnu::noinline]] void inject_tracestate(const TraceState& state, CarrierWriter& carrier) noexcept {
  char text[TraceState::send_budget];
  const std::size_t size = state.write(text);
  if (size != 0) carrier.set(tracestate_name, std::string_view(text, size));
}

}  // namespace

void write_traceparent(const SpanContext& context, char (&out)[traceparent_length]) noexcept {
  out[0] = '0';
  out[1] = '0';
  out[trace_id_at - 1] = '-';
  hex::write(context.trace_id.high, out + trace_id_at);
  hex::write(context.trace_id.low, out + trace_id_at + 16);
  out[span_id_at - 1] = '-';
  hex::write(context.span_id.value, out + span_id_at);
  out[flags_at - 1] = '-';
  out[flags_at] = '0';
  out[flags_at + 1] = hex::digit_text(context.flags.bits & TraceFlags::wire_bits);
}

SpanContext parse_traceparent(std::string_view header) noexcept {
  Traceparent read;
  if (!read_traceparent(header, read)) return SpanContext();
  return {read.trace_id, read.span_id, read.flags, true, TraceState()};
}

void TraceContextPropagator::inject(const Context& context, CarrierWriter& carrier) const noexcept {
  if (!context.span.valid()) return;
  char text[traceparent_length];
  write_traceparent(context.span, text);
  carrier.set(traceparent_name, std::string_view(text, sizeof text));
  if (!context.span.trace_state.empty()) inject_tracestate(context.span.trace_state, carrier);
}

void TraceContextPropagator::extract(const CarrierReader& carrier, Context& into) const noexcept {
  Traceparent found;
  std::string_view last;
  std::string_view malformed;
  std::uint64_t values = 0;
  std::uint64_t malformed_values = 0;
  carrier.get_all(traceparent_name, [&](std::string_view value) {
    ++values;
    last = value;
    if (!read_traceparent(value, found)) [[unlikely]] {
      ++malformed_values;
      malformed = value;
    }
    return true;
  });
  if (malformed_values != 0) refuse_traceparents(malformed_values, malformed);
  if (values > 1 && carrier.kind() == CarrierKind::http) {
    refuse_duplicates(last);
    return;
  }
  if (!found.valid()) return;
  // What B3 or Jaeger said of the same span, and this format cannot say.
  if (into.span.trace_id == found.trace_id && into.span.span_id == found.span_id)
    found.flags = joined_flags(into.span.flags, found.flags, TraceFlags::debug_bit);
  into.span.trace_id = found.trace_id;
  into.span.span_id = found.span_id;
  into.span.flags = found.flags;
  into.span.remote = true;
  into.span.trace_state = read_tracestate(carrier);
}

std::span<const std::string_view> TraceContextPropagator::fields() const noexcept { return field_names; }

}  // namespace v1
}  // namespace midtrace
