// Whatever is in the spans, their OTLP/JSON is one line of JSON that an independent reader takes, and it says
// all that the spans hold.
//
// The input is a program (exported.h).
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include <midtrace/export/exporters.h>

#include "exported.h"

namespace {

using midtrace_fuzz::Items;
using nlohmann::json;

// What no JSON number can say is a word.
double real_of(const json& value) {
  if (value.is_number()) return value.get<double>();
  const auto word = value.get<std::string>();
  FUZZ_CHECK(word == "NaN" || word == "Infinity" || word == "-Infinity");
  const double infinity = std::numeric_limits<double>::infinity();
  return word == "NaN" ? std::numeric_limits<double>::quiet_NaN() : word == "Infinity" ? infinity : -infinity;
}

void add_value(const json& value, Items& items) {
  FUZZ_CHECK(value.is_object() && value.size() == 1);
  const auto only = value.begin();
  const std::string& kind = only.key();
  const json& held = only.value();
  if (kind == "stringValue") {
    items.push_back({"text", held.get<std::string>()});
  } else if (kind == "boolValue") {
    items.push_back(midtrace_fuzz::boolean_item(held.get<bool>()));
  } else if (kind == "intValue") {
    items.push_back({"integer", held.get<std::string>()});
  } else if (kind == "doubleValue") {
    items.push_back(midtrace_fuzz::real_item(real_of(held)));
  } else {
    FUZZ_CHECK(kind == "arrayValue");
    const json& elements = held.at("values");
    items.push_back({"array", std::to_string(elements.size())});
    for (const json& element : elements)
      add_value(element, items);
  }
}

json list_of(const json& object, const char* key) { return object.value(key, json::array()); }

void add_attributes(const json& object, Items& items) {
  for (const json& attribute : list_of(object, "attributes")) {
    items.push_back({"key", attribute.at("key").get<std::string>()});
    add_value(attribute.at("value"), items);
  }
}

Items decode(std::string_view line) {
  FUZZ_CHECK(line.find('\n') == std::string_view::npos && midtrace::is_utf8(line));
  const json request = json::parse(line);
  FUZZ_CHECK(request.at("resourceSpans").size() == 1);
  Items items;
  for (const json& scope_spans : request.at("resourceSpans").at(0).at("scopeSpans")) {
    items.push_back({"scope", scope_spans.at("scope").at("name").get<std::string>()});
    for (const json& span : scope_spans.at("spans")) {
      items.push_back({"span", span.at("spanId").get<std::string>()});
      items.push_back({"name", span.at("name").get<std::string>()});
      items.push_back({"status", span.at("status").value("message", "")});
      add_attributes(span, items);
      for (const json& event : list_of(span, "events")) {
        items.push_back({"event", event.at("name").get<std::string>()});
        add_attributes(event, items);
      }
      for (const json& link : list_of(span, "links")) {
        items.push_back(
            {"link", link.at("traceId").get<std::string>() + link.at("spanId").get<std::string>()});
        items.push_back({"state", link.value("traceState", "")});
        add_attributes(link, items);
      }
    }
  }
  return items;
}

std::string encode(const midtrace::ExportBatch& batch) {
  std::string line;
  midtrace::append_otlp_json(line, batch);
  return line;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  midtrace_fuzz::check_encoder(encode, decode, bytes, size);
  return 0;
}
