#include "protobuf_encoder.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include <protozero/basic_pbf_writer.hpp>
#include <protozero/varint.hpp>

#include <midtrace/trace/counters.h>

#include "export/batch_walk.h"
#include "export/utf8.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

namespace {

using Writer = protozero::basic_pbf_writer<ByteBuffer>;
using Tag = protozero::pbf_tag_type;

// A buffer that one batch of huge spans has grown is given back above this.
constexpr std::size_t kept_buffer = 4U << 20U;

// Field numbers of OTLP's messages (conventions 9.3).
namespace request {
constexpr Tag resource_spans = 1;
}
namespace resource_spans {
constexpr Tag resource = 1;
constexpr Tag scope_spans = 2;
}  // namespace resource_spans
namespace resource_message {
constexpr Tag attributes = 1;
}
namespace scope_spans {
constexpr Tag scope = 1;
constexpr Tag spans = 2;
constexpr Tag schema_url = 3;
}  // namespace scope_spans
namespace scope_message {
constexpr Tag name = 1;
constexpr Tag version = 2;
}  // namespace scope_message
namespace span_message {
constexpr Tag trace_id = 1;
constexpr Tag span_id = 2;
constexpr Tag trace_state = 3;
constexpr Tag parent_span_id = 4;
constexpr Tag name = 5;
constexpr Tag kind = 6;
constexpr Tag start_time = 7;
constexpr Tag end_time = 8;
constexpr Tag attributes = 9;
constexpr Tag dropped_attributes = 10;
constexpr Tag events = 11;
constexpr Tag dropped_events = 12;
constexpr Tag links = 13;
constexpr Tag dropped_links = 14;
constexpr Tag status = 15;
constexpr Tag flags = 16;
}  // namespace span_message
namespace event_message {
constexpr Tag time = 1;
constexpr Tag name = 2;
constexpr Tag attributes = 3;
constexpr Tag dropped_attributes = 4;
}  // namespace event_message
namespace link_message {
constexpr Tag trace_id = 1;
constexpr Tag span_id = 2;
constexpr Tag trace_state = 3;
constexpr Tag attributes = 4;
constexpr Tag dropped_attributes = 5;
constexpr Tag flags = 6;
}  // namespace link_message
namespace status_message {
constexpr Tag message = 2;
constexpr Tag code = 3;
}  // namespace status_message
namespace key_value {
constexpr Tag key = 1;
constexpr Tag value = 2;
}  // namespace key_value
namespace any_value {
constexpr Tag string = 1;
constexpr Tag boolean = 2;
constexpr Tag integer = 3;
constexpr Tag real = 4;
constexpr Tag array = 5;
}  // namespace any_value
namespace array_value {
constexpr Tag values = 1;
}

// OTLP times are unsigned; a clock before 1970 is shown as 1970.
std::uint64_t otlp_time(std::int64_t unix_nanos) noexcept {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(unix_nanos, 0));
}

template <std::size_t Size>
std::array<char, Size> big_endian(std::uint64_t high, std::uint64_t low) noexcept {
  std::array<char, Size> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[Size - 1 - i] = static_cast<char>(low >> (8 * i));
    if constexpr (Size == 16) bytes[7 - i] = static_cast<char>(high >> (8 * i));
  }
  static_cast<void>(high);
  return bytes;
}

// Bytes of a field with a tag below 16: the tag, a length where there is one, the content.
std::size_t sized_field(std::size_t content) noexcept {
  return 1 + static_cast<std::size_t>(protozero::length_of_varint(content)) + content;
}
std::size_t size_of(std::string_view value) noexcept { return sized_field(value.size()); }
std::size_t size_of(bool /*value*/) noexcept { return 2; }
std::size_t size_of(std::int64_t value) noexcept {
  return 1 + static_cast<std::size_t>(protozero::length_of_varint(static_cast<std::uint64_t>(value)));
}
std::size_t size_of(double /*value*/) noexcept { return 9; }

// Writes the one field of an AnyValue. Unlike other fields it is there also when it is empty or zero.
void write_any(Writer& any, std::string_view value) {
  any.add_string(any_value::string, value.data(), value.size());
}
void write_any(Writer& any, bool value) { any.add_bool(any_value::boolean, value); }
void write_any(Writer& any, std::int64_t value) { any.add_int64(any_value::integer, value); }
void write_any(Writer& any, double value) { any.add_double(any_value::real, value); }

// Whether every byte is ASCII, which nearly all text is.
bool is_ascii(std::string_view text) noexcept {
  constexpr std::uint64_t high_bits = 0x8080808080808080U;
  std::uint64_t seen = 0;
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= text.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, sizeof(word));
    seen |= word;
  }
  for (; i < text.size(); ++i)
    seen |= static_cast<unsigned char>(text[i]);
  return (seen & high_bits) == 0;
}

// Writes each part of the tree as soon as the walk reaches it. A message's length stands before it and is
// known at its end; those that attributes consist of are measured instead, because there are so many.
class ProtobufSink {
 public:
  ProtobufSink(ByteBuffer& bytes, std::string& key_scratch, std::string& value_scratch)
      : bytes_(bytes),
        request_(bytes),
        flat_(bytes),
        key_scratch_(key_scratch),
        value_scratch_(value_scratch) {}

  void begin_resource(const Resource& resource) {
    resource_spans_.emplace(request_, request::resource_spans);
    const Writer message(*resource_spans_, resource_spans::resource);
    for (const ResourceAttribute& attribute : resource.attributes()) {
      std::visit(
          [&](const auto& value) {
            using Value = std::decay_t<decltype(value)>;
            if constexpr (std::is_same_v<Value, std::string>) {
              scalar(resource_message::attributes, attribute.key,
                     ProtobufEncoder::valid_utf8(value, value_scratch_));
            } else {
              scalar(resource_message::attributes, attribute.key, value);
            }
          },
          attribute.value);
    }
  }
  void end_resource() noexcept {}

  void begin_scope(const InstrumentationScope& scope) {
    scope_spans_.emplace(*resource_spans_, resource_spans::scope_spans);
    Writer message(*scope_spans_, scope_spans::scope);
    text(message, scope_message::name, scope.name);
    text(message, scope_message::version, scope.version);
  }
  void end_scope(const InstrumentationScope& scope) {
    text(*scope_spans_, scope_spans::schema_url, scope.schema_url);
    scope_spans_.reset();
  }

  void begin_span(const SpanView& span) {
    span_.emplace(*scope_spans_, scope_spans::spans);
    context(*span_, span.context());
    if (span.parent_span_id().valid()) {
      const auto parent = big_endian<8>(0, span.parent_span_id().value);
      span_->add_bytes(span_message::parent_span_id, parent.data(), parent.size());
    }
    text(*span_, span_message::name, span.name());
    span_->add_enum(span_message::kind, static_cast<std::int32_t>(span.kind()));
    span_->add_fixed64(span_message::start_time, otlp_time(span.start_unix_nanos()));
    span_->add_fixed64(span_message::end_time, otlp_time(span.end_unix_nanos()));
    attributes_ = span_message::attributes;
    holder_ = &*span_;
  }
  void end_span(const SpanView& span) {
    count(*span_, span_message::dropped_attributes, span.attributes().dropped());
    count(*span_, span_message::dropped_events, span.dropped_events());
    count(*span_, span_message::dropped_links, span.dropped_links());
    if (span.status() != StatusCode::unset) {
      Writer status(*span_, span_message::status);
      text(status, status_message::message, span.status_description());
      status.add_enum(status_message::code, static_cast<std::int32_t>(span.status()));
    }
    span_->add_fixed32(span_message::flags, SpanView::otlp_flags(span.context().flags, span.parent_remote()));
    span_.reset();
  }

  void begin_attributes() noexcept {}
  void attribute(std::string_view key, const AttributeValue& value) {
    switch (value.type()) {
      case AttributeType::string:
        return scalar(attributes_, key, ProtobufEncoder::valid_utf8(value.as_string(), value_scratch_));
      case AttributeType::boolean:
        return scalar(attributes_, key, value.as_boolean());
      case AttributeType::integer:
        return scalar(attributes_, key, value.as_integer());
      case AttributeType::real:
        return scalar(attributes_, key, value.as_real());
      case AttributeType::string_array:
        return array(key, value.as_string_array());
      case AttributeType::boolean_array:
        return array(key, value.as_boolean_array());
      case AttributeType::integer_array:
        return array(key, value.as_integer_array());
      case AttributeType::real_array:
        return array(key, value.as_real_array());
    }
  }
  void end_attributes() noexcept {}

  void begin_events() noexcept {}
  void begin_event(const EventView& event) {
    part_.emplace(*span_, span_message::events);
    part_->add_fixed64(event_message::time, otlp_time(event.unix_nanos));
    text(*part_, event_message::name, event.name);
    attributes_ = event_message::attributes;
    holder_ = &*part_;
  }
  void end_event(const EventView& event) {
    count(*part_, event_message::dropped_attributes, event.attributes.dropped());
    part_.reset();
  }
  void end_events() noexcept {}

  void begin_links() noexcept {}
  void begin_link(const LinkView& link) {
    part_.emplace(*span_, span_message::links);
    context(*part_, link.context);
    attributes_ = link_message::attributes;
    holder_ = &*part_;
  }
  void end_link(const LinkView& link) {
    count(*part_, link_message::dropped_attributes, link.attributes.dropped());
    part_->add_fixed32(link_message::flags, SpanView::otlp_flags(link.context.flags, link.context.remote));
    part_.reset();
  }
  void end_links() noexcept {}

 private:
  static_assert(span_message::trace_id == link_message::trace_id &&
                span_message::span_id == link_message::span_id &&
                span_message::trace_state == link_message::trace_state);
  // Which spans and links begin with.
  void context(Writer& message, const SpanContext& context) {
    const auto trace_id = big_endian<16>(context.trace_id.high, context.trace_id.low);
    message.add_bytes(span_message::trace_id, trace_id.data(), trace_id.size());
    const auto span_id = big_endian<8>(0, context.span_id.value);
    message.add_bytes(span_message::span_id, span_id.data(), span_id.size());
    if (!context.trace_state.empty()) text(message, span_message::trace_state, context.trace_state.header());
  }
  void text(Writer& message, Tag tag, std::string_view value) {
    if (value.empty()) return;
    const std::string_view valid = ProtobufEncoder::valid_utf8(value, value_scratch_);
    message.add_string(tag, valid.data(), valid.size());
  }
  static void count(Writer& message, Tag tag, std::uint32_t number) {
    if (number != 0) message.add_uint32(tag, number);
  }
  // The beginning of a message of `size` bytes, which flat_ then writes. A nested writer of protozero's would
  // keep its parent from being written to afterwards.
  void begin_sized(Tag tag, std::size_t size) {
    constexpr auto wire = static_cast<std::uint64_t>(protozero::pbf_wire_type::length_delimited);
    protozero::add_varint_to_buffer(&bytes_, std::uint64_t{tag} << 3U | wire);
    protozero::add_varint_to_buffer(&bytes_, size);
  }
  template <class Value>
  void scalar(Tag tag, std::string_view key, const Value& value) {
    const std::string_view name = ProtobufEncoder::valid_utf8(key, key_scratch_);
    const std::size_t any_size = size_of(value);
    begin_sized(tag, sized_field(name.size()) + sized_field(any_size));
    flat_.add_string(key_value::key, name.data(), name.size());
    begin_sized(key_value::value, any_size);
    write_any(flat_, value);
  }
  template <class Element>
  void array(std::string_view key, std::span<const Element> elements) {
    Writer pair(*holder_, attributes_);
    const std::string_view name = ProtobufEncoder::valid_utf8(key, key_scratch_);
    pair.add_string(key_value::key, name.data(), name.size());
    if (elements.empty()) {
      // A message without content would be taken back, and with it the attribute's type.
      pair.add_message(key_value::value, "\x2A\x00", 2);
      return;
    }
    Writer any(pair, key_value::value);
    const Writer values(any, any_value::array);
    for (const Element& element : elements) {
      if constexpr (std::is_same_v<Element, std::string_view>) {
        const std::string_view valid = ProtobufEncoder::valid_utf8(element, value_scratch_);
        begin_sized(array_value::values, size_of(valid));
        write_any(flat_, valid);
      } else {
        begin_sized(array_value::values, size_of(element));
        write_any(flat_, element);
      }
    }
  }

  // From the outside in: the inner ones end first, also when there is no memory.
  ByteBuffer& bytes_;
  Writer request_;
  std::optional<Writer> resource_spans_;
  std::optional<Writer> scope_spans_;
  std::optional<Writer> span_;
  std::optional<Writer> part_;  // an event or a link
  Writer flat_;                 // fields of whatever message is open
  Writer* holder_ = nullptr;    // what the next attribute belongs to, and its field there
  Tag attributes_ = 0;
  std::string& key_scratch_;
  std::string& value_scratch_;
};

}  // namespace

std::string_view ProtobufEncoder::valid_utf8(std::string_view text, std::string& scratch) {
  if (is_ascii(text) || is_utf8(text)) return text;
  count(Counter::invalid_utf8);
  scratch.clear();
  while (!text.empty()) {
    const Utf8Sequence sequence = utf8_sequence(text);
    scratch += sequence.valid ? text.substr(0, sequence.size) : std::string_view("\xEF\xBF\xBD");
    text.remove_prefix(sequence.size);
  }
  return scratch;
}

std::string_view ProtobufEncoder::encode(const ExportBatch& batch) {
  bytes_.clear();
  {
    ProtobufSink sink(bytes_, key_scratch_, value_scratch_);
    visit_batch(batch, sink);
  }
  return bytes_.view();
}

void ProtobufEncoder::trim() noexcept {
  if (bytes_.capacity() > kept_buffer) bytes_.release();
  if (key_scratch_.capacity() > kept_buffer) std::string().swap(key_scratch_);
  if (value_scratch_.capacity() > kept_buffer) std::string().swap(value_scratch_);
}

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
