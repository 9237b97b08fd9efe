#include "otlp_json_reader.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "json_documents.h"

namespace midtrace::view {
namespace {

using nlohmann::json;
using waterfall::Kind;
using waterfall::Span;
using waterfall::Status;

constexpr int kValueDepth = 16;  // nesting of attribute values that is still shown

// A member that is present and not null; both mean "default" in proto3 JSON.
const json* member(const json& object, const char* key) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string string_member(const json& object, const char* key) {
  const json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::int64_t saturated(std::uint64_t value) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(value, kMost));
}

// Unsigned 64-bit, written as a string or as a number. Nothing when it is neither.
std::optional<std::int64_t> number(const json& value) {
  if (value.is_number_unsigned()) {
    return saturated(value.get<std::uint64_t>());
  }
  if (value.is_number_integer()) {
    return value.get<std::int64_t>();
  }
  if (value.is_number_float()) {
    const double real = value.get<double>();
    if (!(real >= 0)) {
      return std::nullopt;
    }
    return real < 9.2e18 ? static_cast<std::int64_t>(real) : std::numeric_limits<std::int64_t>::max();
  }
  if (value.is_string()) {
    const auto& digits = value.get_ref<const std::string&>();
    std::uint64_t parsed = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
    if (error == std::errc::result_out_of_range) {
      return std::numeric_limits<std::int64_t>::max();
    }
    if (error == std::errc() && end == digits.data() + digits.size()) {
      return saturated(parsed);
    }
  }
  return std::nullopt;
}

// By number, by number in a string, or by the name of the value with or without its prefix.
std::int64_t enumerator(const json* value, std::string_view prefix,
                        std::initializer_list<std::string_view> names) {
  if (value == nullptr) {
    return 0;
  }
  if (const std::optional<std::int64_t> known = number(*value)) {
    return *known;
  }
  if (value->is_string()) {
    std::string_view name = value->get_ref<const std::string&>();
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
    }
    const auto found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? 0 : found - names.begin();
  }
  return 0;
}

Kind kind_of(const json* value) {
  const std::int64_t kind = enumerator(
      value, "SPAN_KIND_", {"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"});
  return kind >= 0 && kind <= 5 ? static_cast<Kind>(kind) : Kind::kUnspecified;
}

Status status_of(const json* value) {
  const std::int64_t status = enumerator(value, "STATUS_CODE_", {"UNSET", "OK", "ERROR"});
  return status >= 0 && status <= 2 ? static_cast<Status>(status) : Status::kUnset;
}

int base64_digit(char c) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t at = kDigits.find(c == '-' ? '+' : c == '_' ? '/' : c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// Lower-case hex of `bytes` bytes given in base64, empty when it is not that.
std::string hex_of_base64(std::string_view text, std::size_t bytes) {
  while (!text.empty() && text.back() == '=') {
    text.remove_suffix(1);
  }
  if (text.size() != (bytes * 8 + 5) / 6) {
    return {};
  }
  std::string hex;
  unsigned held = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) {
      return {};
    }
    held = ((held << 6U) | static_cast<unsigned>(digit)) & 0xFFFFU;
    bits += 6;
    while (bits >= 4 && hex.size() < bytes * 2) {
      bits -= 4;
      hex.push_back("0123456789abcdef"[(held >> bits) & 0xFU]);
    }
  }
  return hex;
}

// Lower-case hex, or empty when absent, all zero or not an id. Hex and base64 of one id never have the same
// length.
std::string id_member(const json& object, const char* key, std::size_t bytes) {
  std::string id = string_member(object, key);
  if (id.size() == bytes * 2) {
    for (char& c : id) {
      if (c >= 'A' && c <= 'F') {
        c = static_cast<char>(c - 'A' + 'a');
      } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
        return {};
      }
    }
  } else {
    id = hex_of_base64(id, bytes);
  }
  return id.find_first_not_of('0') == std::string::npos ? std::string() : id;
}

std::string text_of(const json& value, int depth);

// A list of AnyValue or, with `keyed`, of KeyValue.
std::string text_of_list(const json& list, bool keyed, int depth) {
  std::string text(keyed ? "{" : "[");
  const json* values = member(list, "values");
  if (values != nullptr && values->is_array() && !values->empty()) {
    if (depth >= kValueDepth) {
      text += "...";
    } else {
      for (const json& value : *values) {
        text += text.size() > 1 ? ", " : "";
        if (keyed) {
          const json* inner = member(value, "value");
          text += string_member(value, "key") + ": " + (inner == nullptr ? "" : text_of(*inner, depth + 1));
        } else {
          text += text_of(value, depth + 1);
        }
      }
    }
  }
  return text + (keyed ? "}" : "]");
}

// AnyValue as text.
std::string text_of(const json& value, int depth) {
  if (const json* list = member(value, "arrayValue")) {
    return text_of_list(*list, false, depth);
  }
  if (const json* list = member(value, "kvlistValue")) {
    return text_of_list(*list, true, depth);
  }
  for (const char* key : {"stringValue", "intValue", "boolValue", "doubleValue", "bytesValue"}) {
    if (const json* scalar = member(value, key)) {
      if (scalar->is_string()) {
        return scalar->get<std::string>();
      }
      return scalar->is_primitive() ? scalar->dump() : std::string();
    }
  }
  return {};
}

class DocumentReader {
 public:
  explicit DocumentReader(std::vector<Span>& spans) : spans_(spans) {}

  // What was wrong, empty when nothing was.
  std::string read(const json& document) {
    if (document.is_array()) {
      for (const json& element : document) {
        read_traces(element);
      }
    } else {
      read_traces(document);
    }
    return problem_;
  }

 private:
  void complain(const std::string& reason) {
    if (problem_.empty()) {
      problem_ = reason;
    }
  }

  // Calls `each` for every object of the list `key`.
  template <class Each>
  void for_each(const json& object, const char* key, const Each& each) {
    const json* list = member(object, key);
    if (list == nullptr) {
      return;
    }
    if (!list->is_array()) {
      complain(std::string(key) + " is not a list");
      return;
    }
    for (const json& element : *list) {
      if (element.is_object()) {
        each(element);
      } else {
        complain(std::string(key) + " holds something that is not an object");
      }
    }
  }

  void read_traces(const json& traces) {
    if (!traces.is_object()) {
      complain("not an OTLP document: an object is expected");
      return;
    }
    for_each(traces, "resourceSpans", [this](const json& resource_spans) {
      std::string service;
      if (const json* resource = member(resource_spans, "resource")) {
        for_each(*resource, "attributes", [&service](const json& attribute) {
          const json* value = member(attribute, "value");
          if (value != nullptr && string_member(attribute, "key") == "service.name") {
            service = text_of(*value, 0);
          }
        });
      }
      for (const char* scopes : {"scopeSpans", "instrumentationLibrarySpans"}) {
        for_each(resource_spans, scopes, [this, &service](const json& scope_spans) {
          for_each(scope_spans, "spans", [this, &service](const json& span) { read_span(span, service); });
        });
      }
    });
  }

  std::int64_t time_of(const json& span, const char* key) {
    const json* value = member(span, key);
    if (value == nullptr) {
      return 0;
    }
    const std::optional<std::int64_t> nanos = number(*value);
    if (!nanos) {
      complain(std::string(key) + " is not a number");
    }
    return nanos.value_or(0);
  }

  void read_span(const json& from, const std::string& service) {
    Span span;
    span.trace_id = id_member(from, "traceId", 16);
    span.span_id = id_member(from, "spanId", 8);
    span.name = string_member(from, "name");
    if (span.trace_id.empty() || span.span_id.empty()) {
      complain(std::string("span \"") + span.name + "\" has no valid " +
               (span.trace_id.empty() ? "traceId" : "spanId"));
      return;
    }
    span.parent_span_id = id_member(from, "parentSpanId", 8);
    span.service = service;
    span.kind = kind_of(member(from, "kind"));
    span.start_unix_nanos = time_of(from, "startTimeUnixNano");
    span.end_unix_nanos = time_of(from, "endTimeUnixNano");
    if (const json* status = member(from, "status")) {
      span.status = status_of(member(*status, "code"));
      span.status_message = string_member(*status, "message");
    }
    for_each(from, "links", [&span](const json& link) {
      span.links.push_back({id_member(link, "traceId", 16), id_member(link, "spanId", 8)});
    });
    if (const json* dropped = member(from, "droppedLinksCount")) {
      constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
      span.dropped_links =
          static_cast<std::uint32_t>(std::clamp<std::int64_t>(number(*dropped).value_or(0), 0, kMost));
    }
    for_each(from, "attributes", [&span](const json& attribute) {
      const json* value = member(attribute, "value");
      span.attributes.emplace_back(string_member(attribute, "key"),
                                   value == nullptr ? "" : text_of(*value, 0));
    });
    spans_.push_back(std::move(span));
  }

  std::vector<Span>& spans_;
  std::string problem_;
};

// What the parser says, without its own numbering of the error and of the place.
std::string reason_of(const json::parse_error& error) {
  std::string_view text = error.what();
  const std::size_t place = text.find("column ");
  const std::size_t start = place == std::string_view::npos ? place : text.find(": ", place);
  return std::string(start == std::string_view::npos ? text : text.substr(start + 2));
}

// The same for a number beyond every double. The parser does not tell where it stands.
std::string reason_of(const json::out_of_range& error) {
  const std::string_view text = error.what();
  const std::size_t start = text.find("] ");
  return std::string(start == std::string_view::npos ? text : text.substr(start + 2));
}

// The problem of a document that could not be parsed, whose mistake is at `at`; moves behind it.
Problem broken(Documents& documents, const Document& document, const Position& at, std::string reason) {
  const std::size_t last = documents.skip_broken(document);
  if (last > at.line) {
    reason += " (left out up to line " + std::to_string(last) + ")";
  }
  return {at.line, std::move(reason)};
}

}  // namespace

void read_otlp_json(std::string_view text, Reading& reading) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  Documents documents(text);
  for (Document document = documents.next(); !document.text.empty(); document = documents.next()) {
    try {
      const json parsed = json::parse(document.text);
      const Position start = documents.position(document.offset);
      if (std::string problem = DocumentReader(reading.spans).read(parsed); !problem.empty()) {
        reading.problems.push_back({start.line, std::move(problem)});
      }
    } catch (const json::parse_error& error) {
      const Position at = documents.position(document.offset + (error.byte > 0 ? error.byte - 1 : 0));
      reading.problems.push_back(
          broken(documents, document, at, "column " + std::to_string(at.column) + ": " + reason_of(error)));
    } catch (const json::out_of_range& error) {
      reading.problems.push_back(
          broken(documents, document, documents.position(document.offset), reason_of(error)));
    }
  }
}

}  // namespace midtrace::view
