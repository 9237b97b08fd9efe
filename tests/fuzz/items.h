// Items: what a batch of spans says, as a list, so that an encoding can be compared with the batch itself.
//
// items_of() makes it from the batch; a target's decoder makes it from the encoded bytes, in the same order:
// per scope its name; per span id, name, status, attributes, events and links with their attributes. A text
// that is not UTF-8 may only come out as one that is.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/export/exporter.h>

#include "check.h"
#include "export/utf8.h"

namespace midtrace_fuzz {

using midtrace::AttributeType;
using midtrace::AttributeValue;

struct Item {
  std::string_view what;  // a literal
  std::string text;
};
using Items = std::vector<Item>;

inline Item real_item(double value) {
  // JSON does not tell 0 from -0 in every reader, nor one NaN from another.
  if (std::isnan(value)) return {"real", "NaN"};
  return {"real", std::to_string(std::bit_cast<std::uint64_t>(value == 0 ? 0.0 : value))};
}
inline Item integer_item(std::int64_t value) { return {"integer", std::to_string(value)}; }
inline Item boolean_item(bool value) { return {"boolean", value ? "true" : "false"}; }

template <class Element, class ToItem>
void add_array(std::span<const Element> elements, const ToItem& to_item, Items& items) {
  items.push_back({"array", std::to_string(elements.size())});
  for (const Element& element : elements)
    items.push_back(to_item(element));
}

inline void add_value(const AttributeValue& value, Items& items) {
  const auto text_item = [](std::string_view text) { return Item{"text", std::string(text)}; };
  switch (value.type()) {
    case AttributeType::string:
      return items.push_back(text_item(value.as_string()));
    case AttributeType::boolean:
      return items.push_back(boolean_item(value.as_boolean()));
    case AttributeType::integer:
      return items.push_back(integer_item(value.as_integer()));
    case AttributeType::real:
      return items.push_back(real_item(value.as_real()));
    case AttributeType::string_array:
      return add_array(value.as_string_array(), text_item, items);
    case AttributeType::boolean_array:
      return add_array(value.as_boolean_array(), boolean_item, items);
    case AttributeType::integer_array:
      return add_array(value.as_integer_array(), integer_item, items);
    case AttributeType::real_array:
      return add_array(value.as_real_array(), real_item, items);
  }
}

inline void add_attributes(const midtrace::AttributesView& attributes, Items& items) {
  attributes.for_each([&](std::string_view key, const AttributeValue& value) {
    items.push_back({"key", std::string(key)});
    add_value(value, items);
  });
}

inline void add_span(const midtrace::SpanView& span, Items& items) {
  items.push_back({"span", span.context().span_id.to_string()});
  items.push_back({"name", std::string(span.name())});
  // Only an error has a message.
  items.push_back({"status", std::string(span.status_description())});
  add_attributes(span.attributes(), items);
  span.for_each_event([&](const midtrace::EventView& event) {
    items.push_back({"event", std::string(event.name)});
    add_attributes(event.attributes, items);
  });
  span.for_each_link([&](const midtrace::LinkView& link) {
    items.push_back({"link", link.context.trace_id.to_string() + link.context.span_id.to_string()});
    items.push_back({"state", std::string(link.context.trace_state.header())});
    add_attributes(link.attributes, items);
  });
}

// Scopes in order of appearance, each with all of its spans.
inline Items items_of(const midtrace::ExportBatch& batch) {
  std::vector<std::string> scopes;
  for (const midtrace::SpanView& span : batch.spans)
    if (const std::string name(span.scope().name);
        std::find(scopes.begin(), scopes.end(), name) == scopes.end())
      scopes.push_back(name);
  Items items;
  for (const std::string& scope : scopes) {
    items.push_back({"scope", scope});
    for (const midtrace::SpanView& span : batch.spans)
      if (span.scope().name == scope) add_span(span, items);
  }
  return items;
}

inline void check_same(const Items& given, const Items& found) {
  FUZZ_CHECK(given.size() == found.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    FUZZ_CHECK(given[i].what == found[i].what);
    FUZZ_CHECK(midtrace::is_utf8(found[i].text));
    if (midtrace::is_utf8(given[i].text)) {
      FUZZ_CHECK(given[i].text == found[i].text);
    } else {
      FUZZ_CHECK(found[i].text.find("\xEF\xBF\xBD") != std::string::npos);
    }
  }
}

}  // namespace midtrace_fuzz
