// Whatever is in the spans, their OTLP encoding is well-formed: every length ends where its message does,
// every string is UTF-8, and it says all that the spans hold.
//
// The input is a program (exported.h).
#include <array>
#include <string>
#include <string_view>

#include <protozero/pbf_reader.hpp>

#include "exported.h"
#include "protobuf_encoder.h"

namespace {

using midtrace_fuzz::Items;
using protozero::pbf_reader;
using protozero::pbf_tag_type;
using protozero::pbf_wire_type;

std::string text_of(pbf_reader& message) {
  const auto text = message.get_view();
  FUZZ_CHECK(midtrace::is_utf8({text.data(), text.size()}));
  return {text.data(), text.size()};
}

std::string hex_of(pbf_reader& message, std::size_t size) {
  const auto bytes = message.get_view();
  FUZZ_CHECK(bytes.size() == size);
  std::string hex;
  for (const char c : std::string_view(bytes.data(), bytes.size())) {
    const auto byte = static_cast<unsigned char>(c);
    hex += {"0123456789abcdef"[byte >> 4U], "0123456789abcdef"[byte & 15U]};
  }
  return hex;
}

// Calls `each` for the fields of this number, which must be texts or messages.
template <class Each>
void for_each_field(pbf_reader message, pbf_tag_type tag, const Each& each) {
  while (message.next(tag)) {
    FUZZ_CHECK(message.wire_type() == pbf_wire_type::length_delimited);
    each(message);
  }
}

// Empty when there is none, as in proto3.
std::string text_field(const pbf_reader& message, pbf_tag_type tag) {
  std::string text;
  for_each_field(message, tag, [&](pbf_reader& field) { text = text_of(field); });
  return text;
}
std::string id_field(const pbf_reader& message, pbf_tag_type tag, std::size_t size) {
  std::string id;
  for_each_field(message, tag, [&](pbf_reader& field) { id = hex_of(field, size); });
  return id;
}

void add_value(pbf_reader any, Items& items) {
  FUZZ_CHECK(any.next());
  switch (any.tag()) {
    case 1:
      items.push_back({"text", text_of(any)});
      break;
    case 2:
      items.push_back(midtrace_fuzz::boolean_item(any.get_bool()));
      break;
    case 3:
      items.push_back(midtrace_fuzz::integer_item(any.get_int64()));
      break;
    case 4:
      items.push_back(midtrace_fuzz::real_item(any.get_double()));
      break;
    default: {
      FUZZ_CHECK(any.tag() == 5);
      Items elements;
      std::size_t count = 0;
      pbf_reader array = any.get_message();
      while (array.next(1, pbf_wire_type::length_delimited)) {
        add_value(array.get_message(), elements);
        ++count;
      }
      FUZZ_CHECK(array.length() == 0);
      items.push_back({"array", std::to_string(count)});
      items.insert(items.end(), elements.begin(), elements.end());
    }
  }
  FUZZ_CHECK(!any.next());  // one value, and the message ends with it
}

void add_attributes(const pbf_reader& message, pbf_tag_type tag, Items& items) {
  for_each_field(message, tag, [&](pbf_reader& field) {
    std::array<int, 3> seen{};
    for (pbf_reader pair = field.get_message(); pair.next();) {
      FUZZ_CHECK(pair.tag() == 1 || pair.tag() == 2);
      ++seen[pair.tag()];
      if (pair.tag() == 1) {
        items.push_back({"key", text_of(pair)});
      } else {
        add_value(pair.get_message(), items);
      }
    }
    FUZZ_CHECK(seen[1] == 1 && seen[2] == 1);
  });
}

// All of it can be skipped, and no field has a number above this.
void check_fields(pbf_reader message, pbf_tag_type greatest) {
  for (; message.next(); message.skip())
    FUZZ_CHECK(message.tag() <= greatest);
}

void add_span(const pbf_reader& span, Items& items) {
  check_fields(span, 16);
  FUZZ_CHECK(id_field(span, 1, 16).size() == 32);
  items.push_back({"span", id_field(span, 2, 8)});
  items.push_back({"name", text_field(span, 5)});
  items.push_back({"status", ""});
  for_each_field(span, 15, [&](pbf_reader& field) {
    const pbf_reader status = field.get_message();
    check_fields(status, 3);
    items.back().text = text_field(status, 2);
  });
  add_attributes(span, 9, items);
  for_each_field(span, 11, [&](pbf_reader& field) {
    const pbf_reader event = field.get_message();
    check_fields(event, 4);
    items.push_back({"event", text_field(event, 2)});
    add_attributes(event, 3, items);
  });
  for_each_field(span, 13, [&](pbf_reader& field) {
    const pbf_reader link = field.get_message();
    check_fields(link, 6);
    items.push_back({"link", id_field(link, 1, 16) + id_field(link, 2, 8)});
    items.push_back({"state", text_field(link, 3)});
    add_attributes(link, 4, items);
  });
}

Items decode(std::string_view bytes) {
  pbf_reader request(bytes.data(), bytes.size());
  FUZZ_CHECK(request.next(1, pbf_wire_type::length_delimited));
  const pbf_reader resource_spans = request.get_message();
  FUZZ_CHECK(!request.next());
  check_fields(resource_spans, 3);
  for_each_field(resource_spans, 1, [](pbf_reader& field) {
    Items resource;
    add_attributes(field.get_message(), 1, resource);
    FUZZ_CHECK(!resource.empty());
  });
  Items items;
  for_each_field(resource_spans, 2, [&](pbf_reader& field) {
    const pbf_reader scope_spans = field.get_message();
    check_fields(scope_spans, 3);
    for_each_field(scope_spans, 1, [&](pbf_reader& scope) {
      items.push_back({"scope", text_field(scope.get_message(), 1)});
    });
    for_each_field(scope_spans, 2, [&](pbf_reader& span) { add_span(span.get_message(), items); });
  });
  return items;
}

std::string encode(const midtrace::ExportBatch& batch) {
  static auto* const encoder = new midtrace::otlp::ProtobufEncoder;
  std::string request(encoder->encode(batch));
  encoder->trim();
  return request;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  midtrace_fuzz::check_encoder(encode, decode, bytes, size);
  return 0;
}
