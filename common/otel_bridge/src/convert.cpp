#include "convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <midtrace/trace/counters.h>

#include "context/ascii.h"
#include "context/baggage_metadata.h"

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

namespace {

void write_big_endian(std::uint64_t value, std::uint8_t* out) noexcept {
  for (int i = 7; i >= 0; --i, value >>= 8U)
    out[i] = static_cast<std::uint8_t>(value & 0xFFU);
}

std::uint64_t read_big_endian(const std::uint8_t* in) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i)
    value = (value << 8U) | in[i];
  return value;
}

bool says_something(const Link& link) noexcept {
  return link.context.valid() || !link.attributes.empty() || !link.context.trace_state.empty();
}

// False when the callback wants no more.
bool hand_over(AttributeCallback callback, std::string_view key, const AttributeValue& value) noexcept {
  try {
    StringArray strings;
    return callback(to_api(key), to_api(value, strings));
  } catch (...) {  // no memory
    count(Counter::dropped_attributes);
    return true;
  }
}

template <class Element>
api::nostd::span<const Element> to_api(std::span<const Element> values) noexcept {
  return {values.data(), values.size()};
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) noexcept {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15U;
  return hash ^ (hash >> 32U);
}

std::uint64_t hash_of(std::string_view text) noexcept { return std::hash<std::string_view>{}(text); }

// In pieces, so that it can be compared without memory.
template <class Put>
void write_member(const Baggage::Member& member, Put put) {
  if (member.value.find(';') == std::string_view::npos) {
    put(member.value);
  } else {
    for (const char& c : member.value)
      put(c == ';' ? std::string_view("%3B") : c == '%' ? std::string_view("%25") : std::string_view(&c, 1));
  }
  if (!member.metadata.empty() && is_baggage_metadata(member.metadata)) {
    put(std::string_view(";"));
    put(member.metadata);
  }
}

bool is_written_as(const Baggage::Member& member, std::string_view text) noexcept {
  bool same = true;
  write_member(member, [&](std::string_view piece) {
    same = same && text.substr(0, piece.size()) == piece;
    if (same) text.remove_prefix(piece.size());
  });
  return same && text.empty();
}

Baggage::Member read_member(std::string_view name, std::string_view text) noexcept {
  const std::size_t split = text.find(';');
  if (split != std::string_view::npos) {
    const std::string_view metadata = trim(text.substr(split + 1));
    if (is_baggage_metadata(metadata)) return {name, text.substr(0, split), metadata};
  }
  return {name, text, {}};
}

}  // namespace

api::trace::SpanKind to_api(SpanKind kind) noexcept {
  switch (kind) {
    case SpanKind::server:
      return api::trace::SpanKind::kServer;
    case SpanKind::client:
      return api::trace::SpanKind::kClient;
    case SpanKind::producer:
      return api::trace::SpanKind::kProducer;
    case SpanKind::consumer:
      return api::trace::SpanKind::kConsumer;
    case SpanKind::internal:
      break;
  }
  return api::trace::SpanKind::kInternal;
}

api::trace::SpanContext to_api(const SpanContext& context) noexcept {
  std::array<std::uint8_t, 16> trace_id;
  std::array<std::uint8_t, 8> span_id;
  write_big_endian(context.trace_id.high, trace_id.data());
  write_big_endian(context.trace_id.low, trace_id.data() + 8);
  write_big_endian(context.span_id.value, span_id.data());
  return {api::trace::TraceId(api::nostd::span<const std::uint8_t, 16>(trace_id.data(), 16)),
          api::trace::SpanId(api::nostd::span<const std::uint8_t, 8>(span_id.data(), 8)),
          api::trace::TraceFlags(context.flags.bits & TraceFlags::wire_bits), context.remote,
          context.trace_state.empty()
              ? api::trace::TraceState::GetDefault()
              : api::trace::TraceState::FromHeader(to_api(context.trace_state.header()))};
}

SpanContext from_api(const api::trace::SpanContext& context) noexcept {
  SpanContext result;
  const auto trace_id = context.trace_id().Id();
  result.trace_id = {read_big_endian(trace_id.data()), read_big_endian(trace_id.data() + 8)};
  result.span_id = {read_big_endian(context.span_id().Id().data())};
  result.flags.bits = context.trace_flags().flags() & TraceFlags::wire_bits;
  result.remote = context.IsRemote();
  if (const auto& state = context.trace_state(); state && !state->Empty())
    result.trace_state = TraceState::parse(state->ToHeader());
  return result;
}

api::nostd::shared_ptr<api::baggage::Baggage> to_api(const Baggage& baggage) {
  std::vector<std::pair<std::string, std::string>> owned;
  owned.reserve(baggage.size());
  baggage.for_each([&owned](const Baggage::Member& member) {
    std::string value;
    write_member(member, [&value](std::string_view piece) { value.append(piece); });
    owned.emplace_back(std::string(member.name), std::move(value));
  });
  std::vector<std::pair<api::nostd::string_view, api::nostd::string_view>> views;
  views.reserve(owned.size());
  for (const auto& [name, value] : owned)
    views.emplace_back(to_api(name), to_api(value));
  return api::nostd::shared_ptr<api::baggage::Baggage>(new api::baggage::Baggage(views));
}

Baggage from_api(const api::baggage::Baggage& baggage, const Baggage& ours) noexcept {
  Baggage result;
  baggage.GetAllEntries([&](api::nostd::string_view key, api::nostd::string_view held) noexcept {
    const std::string_view name = from_api(key);
    const std::string_view text = from_api(held);
    const std::optional<Baggage::Member> own = ours.find(name);
    const Baggage::Member read = own && is_written_as(*own, text) ? *own : read_member(name, text);
    result = result.with(read.name, read.value, read.metadata);
    return true;
  });
  return result;
}

api::common::AttributeValue to_api(const AttributeValue& value, StringArray& strings) {
  switch (value.type()) {
    case AttributeType::string:
      return to_api(value.as_string());
    case AttributeType::boolean:
      return value.as_boolean();
    case AttributeType::integer:
      return value.as_integer();
    case AttributeType::real:
      return value.as_real();
    case AttributeType::string_array:
      strings.clear();
      strings.reserve(value.size());
      for (const std::string_view text : value.as_string_array())
        strings.push_back(to_api(text));
      return api::nostd::span<const api::nostd::string_view>(strings.data(), strings.size());
    case AttributeType::boolean_array:
      return to_api(value.as_boolean_array());
    case AttributeType::integer_array:
      return to_api(value.as_integer_array());
    case AttributeType::real_array:
      return to_api(value.as_real_array());
  }
  return false;
}

bool GivenAttributes::ForEachKeyValue(AttributeCallback callback) const noexcept {
  return std::all_of(attributes_.begin(), attributes_.end(), [callback](const Attribute& attribute) {
    return hand_over(callback, attribute.key.name(), attribute.value);
  });
}

bool RecordedAttributes::ForEachKeyValue(AttributeCallback callback) const noexcept {
  bool wanted = true;
  attributes_.for_each([&wanted, callback](std::string_view key, const AttributeValue& value) {
    if (wanted) wanted = hand_over(callback, key, value);
  });
  return wanted;
}

GivenLinks::GivenLinks(std::span<const Link> links) noexcept
    : links_(links),
      size_(static_cast<std::size_t>(std::count_if(links.begin(), links.end(), says_something))) {}

bool GivenLinks::ForEachKeyValue(
    api::nostd::function_ref<bool(api::trace::SpanContext, const api::common::KeyValueIterable&)> callback)
    const noexcept {
  return std::all_of(links_.begin(), links_.end(), [callback](const Link& link) {
    return !says_something(link) || callback(to_api(link.context), GivenAttributes(link.attributes));
  });
}

std::uint64_t fingerprint(std::string_view key, const AttributeValue& value) noexcept {
  std::uint64_t hash = mixed(hash_of(key), static_cast<std::uint64_t>(value.type()));
  switch (value.type()) {
    case AttributeType::string:
      return mixed(hash, hash_of(value.as_string()));
    case AttributeType::boolean:
      return mixed(hash, value.as_boolean() ? 1 : 0);
    case AttributeType::integer:
      return mixed(hash, static_cast<std::uint64_t>(value.as_integer()));
    case AttributeType::real:
      return mixed(hash, std::bit_cast<std::uint64_t>(value.as_real()));
    case AttributeType::string_array:
      for (const std::string_view text : value.as_string_array())
        hash = mixed(hash, hash_of(text));
      return hash;
    case AttributeType::boolean_array:
      for (const bool element : value.as_boolean_array())
        hash = mixed(hash, element ? 1 : 0);
      return hash;
    case AttributeType::integer_array:
      for (const std::int64_t element : value.as_integer_array())
        hash = mixed(hash, static_cast<std::uint64_t>(element));
      return hash;
    case AttributeType::real_array:
      for (const double element : value.as_real_array())
        hash = mixed(hash, std::bit_cast<std::uint64_t>(element));
      return hash;
  }
  return hash;
}

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
