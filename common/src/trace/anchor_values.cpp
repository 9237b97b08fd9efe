#include "anchor_values.h"

namespace midtrace {
inline namespace v1 {
namespace anchor {

midtrace_span_context to_plain(const SpanContext& context) noexcept {
  return {context.trace_id.high,
          context.trace_id.low,
          context.span_id.value,
          context.flags.bits,
          static_cast<std::uint8_t>(context.remote ? 1 : 0),
          to_plain(context.trace_state.header())};
}

SpanContext from_plain(const midtrace_span_context& context) noexcept {
  SpanContext result;
  result.trace_id = {context.trace_id_high, context.trace_id_low};
  result.span_id = {context.span_id};
  result.flags.bits = context.flags;
  result.remote = context.remote != 0;
  if (context.trace_state.size != 0) result.trace_state = TraceState::parse(view(context.trace_state));
  return result;
}

midtrace_context to_plain(const Context& context, std::vector<midtrace_baggage_member>& members) {
  context.baggage.for_each([&members](const Baggage::Member& member) {
    members.push_back({to_plain(member.name), to_plain(member.value), to_plain(member.metadata)});
  });
  return {to_plain(context.span), members.data(), members.size(),
          static_cast<std::uint8_t>(context.suppressed ? 1 : 0)};
}

Context from_plain(const midtrace_context& context) noexcept {
  Context result;
  result.span = from_plain(context.span);
  for (std::size_t i = 0; i < context.baggage_size; ++i) {
    const midtrace_baggage_member& member = context.baggage[i];
    result.baggage = result.baggage.with(view(member.name), view(member.value), view(member.metadata));
  }
  result.suppressed = context.suppressed != 0;
  return result;
}

void Attributes::add(const midtrace_attribute& attribute) {
  const AnyKey key(anchor::view(attribute.key));
  switch (static_cast<AttributeType>(attribute.type)) {
    case AttributeType::string:
      attributes_.push_back(
          {key, std::string_view(static_cast<const char*>(attribute.pointer), attribute.size)});
      break;
    case AttributeType::boolean:
      attributes_.push_back({key, attribute.integer != 0});
      break;
    case AttributeType::integer:
      attributes_.push_back({key, attribute.integer});
      break;
    case AttributeType::real:
      attributes_.push_back({key, attribute.real});
      break;
    case AttributeType::string_array: {
      std::vector<std::string_view>& texts = strings_.emplace_back();
      const auto* first = static_cast<const midtrace_text*>(attribute.pointer);
      for (std::size_t i = 0; i < attribute.size; ++i)
        texts.push_back(anchor::view(first[i]));
      attributes_.push_back({key, std::span<const std::string_view>(texts)});
      break;
    }
    case AttributeType::boolean_array:
      attributes_.push_back(
          {key, std::span<const bool>(static_cast<const bool*>(attribute.pointer), attribute.size)});
      break;
    case AttributeType::integer_array:
      attributes_.push_back({key, std::span<const std::int64_t>(
                                      static_cast<const std::int64_t*>(attribute.pointer), attribute.size)});
      break;
    case AttributeType::real_array:
      attributes_.push_back(
          {key, std::span<const double>(static_cast<const double*>(attribute.pointer), attribute.size)});
      break;
  }
}

void Links::add(const midtrace_link& link) {
  Attributes& attributes = attributes_.emplace_back();
  for (std::size_t i = 0; i < link.attributes_size; ++i)
    attributes.add(link.attributes[i]);
  links_.push_back({from_plain(link.context), attributes.view()});
}

void PlainAttributes::add(std::string_view key, const AttributeValue& value) {
  midtrace_attribute plain{
      to_plain(key), static_cast<std::uint8_t>(value.type()), nullptr, value.size(), 0, 0.0};
  switch (value.type()) {
    case AttributeType::string:
      plain.pointer = value.as_string().data();
      break;
    case AttributeType::boolean:
      plain.integer = value.as_boolean() ? 1 : 0;
      break;
    case AttributeType::integer:
      plain.integer = value.as_integer();
      break;
    case AttributeType::real:
      plain.real = value.as_real();
      break;
    case AttributeType::string_array: {
      std::vector<midtrace_text>& texts = strings_.emplace_back();
      for (const std::string_view text : value.as_string_array())
        texts.push_back(to_plain(text));
      plain.pointer = texts.data();
      break;
    }
    case AttributeType::boolean_array:
      plain.pointer = value.as_boolean_array().data();
      break;
    case AttributeType::integer_array:
      plain.pointer = value.as_integer_array().data();
      break;
    case AttributeType::real_array:
      plain.pointer = value.as_real_array().data();
      break;
  }
  attributes_.push_back(plain);
}

}  // namespace anchor
}  // namespace v1
}  // namespace midtrace
