#include <algorithm>
#include <variant>

#include <midtrace/export/exporters.h>

#include "batch_walk.h"
#include "json_text.h"

namespace midtrace {
inline namespace v1 {

namespace {

// OTLP times are unsigned; a clock before 1970 is shown as 1970.
std::int64_t otlp_time(std::int64_t unix_nanos) noexcept { return std::max<std::int64_t>(unix_nanos, 0); }

// Writes each part of the tree as soon as the walk reaches it. Fields that say nothing (empty, zero) are left
// out, as proto3 does.
class JsonSink {
 public:
  explicit JsonSink(std::string& out) : text_(out) {}

  void begin_batch() { text_.raw(R"({"resourceSpans":[{)"); }
  void end_batch() { text_.raw("]}]}"); }

  void begin_resource(const Resource& resource) {
    text_.raw(R"("resource":{"attributes":[)");
    begin_list();
    for (const ResourceAttribute& attribute : resource.attributes()) {
      begin_attribute(attribute.key);
      std::visit([this](const auto& value) { scalar(value); }, attribute.value);
      text_.raw("}}");
    }
  }
  void end_resource() {
    text_.raw(R"(]},"scopeSpans":[)");
    begin_list();
  }

  void begin_scope(const InstrumentationScope& scope) {
    next_item();
    text_.raw(R"({"scope":{"name":)");
    text_.string(scope.name);
    string_field(R"(,"version":)", scope.version);
    text_.raw(R"(},"spans":[)");
    begin_list();
  }
  void end_scope(const InstrumentationScope& scope) {
    text_.raw(']');
    string_field(R"(,"schemaUrl":)", scope.schema_url);
    text_.raw('}');
    first_ = false;
  }

  void begin_span(const SpanView& span) {
    next_item();
    context(span.context());
    if (span.parent_span_id().valid()) {
      text_.raw(R"(,"parentSpanId":)");
      text_.hex(span.parent_span_id().value);
    }
    text_.raw(R"(,"flags":)");
    text_.number(SpanView::otlp_flags(span.context().flags, span.parent_remote()));
    text_.raw(R"(,"name":)");
    text_.string(span.name());
    text_.raw(R"(,"kind":)");
    text_.number(static_cast<std::uint64_t>(span.kind()));
    text_.raw(R"(,"startTimeUnixNano":)");
    text_.quoted_number(otlp_time(span.start_unix_nanos()));
    text_.raw(R"(,"endTimeUnixNano":)");
    text_.quoted_number(otlp_time(span.end_unix_nanos()));
  }
  void end_span(const SpanView& span) {
    dropped(R"(,"droppedAttributesCount":)", span.attributes().dropped());
    dropped(R"(,"droppedEventsCount":)", span.dropped_events());
    dropped(R"(,"droppedLinksCount":)", span.dropped_links());
    text_.raw(R"(,"status":{)");
    if (span.status() != StatusCode::unset) {
      text_.raw(R"("code":)");
      text_.number(static_cast<std::uint64_t>(span.status()));
      string_field(R"(,"message":)", span.status_description());
    }
    text_.raw("}}");
    first_ = false;
  }

  void begin_attributes() {
    text_.raw(R"(,"attributes":[)");
    begin_list();
  }
  void attribute(std::string_view key, const AttributeValue& value) {
    begin_attribute(key);
    switch (value.type()) {
      case AttributeType::string:
        scalar(value.as_string());
        break;
      case AttributeType::boolean:
        scalar(value.as_boolean());
        break;
      case AttributeType::integer:
        scalar(value.as_integer());
        break;
      case AttributeType::real:
        scalar(value.as_real());
        break;
      case AttributeType::string_array:
        array(value.as_string_array());
        break;
      case AttributeType::boolean_array:
        array(value.as_boolean_array());
        break;
      case AttributeType::integer_array:
        array(value.as_integer_array());
        break;
      case AttributeType::real_array:
        array(value.as_real_array());
        break;
    }
    text_.raw("}}");
  }
  void end_attributes() { text_.raw(']'); }

  void begin_events() {
    text_.raw(R"(,"events":[)");
    begin_list();
  }
  void begin_event(const EventView& event) {
    next_item();
    text_.raw(R"({"timeUnixNano":)");
    text_.quoted_number(otlp_time(event.unix_nanos));
    text_.raw(R"(,"name":)");
    text_.string(event.name);
  }
  void end_event(const EventView& event) { end_item(event.attributes); }
  void end_events() { text_.raw(']'); }

  void begin_links() {
    text_.raw(R"(,"links":[)");
    begin_list();
  }
  void begin_link(const LinkView& link) {
    next_item();
    context(link.context);
    text_.raw(R"(,"flags":)");
    text_.number(SpanView::otlp_flags(link.context.flags, link.context.remote));
  }
  void end_link(const LinkView& link) { end_item(link.attributes); }
  void end_links() { text_.raw(']'); }

 private:
  void begin_list() noexcept { first_ = true; }
  void next_item() {
    if (!first_) text_.raw(',');
    first_ = false;
  }
  void end_item(const AttributesView& attributes) {
    dropped(R"(,"droppedAttributesCount":)", attributes.dropped());
    text_.raw('}');
    first_ = false;
  }
  // `{"traceId":...,"spanId":...,"traceState":...`, which spans and links begin with.
  void context(const SpanContext& context) {
    text_.raw(R"({"traceId":)");
    text_.hex(context.trace_id.high, context.trace_id.low);
    text_.raw(R"(,"spanId":)");
    text_.hex(context.span_id.value);
    if (!context.trace_state.empty()) string_field(R"(,"traceState":)", context.trace_state.header());
  }
  void string_field(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    text_.raw(key);
    text_.string(value);
  }
  void dropped(std::string_view key, std::uint32_t count) {
    if (count == 0) return;
    text_.raw(key);
    text_.number(count);
  }
  void begin_attribute(std::string_view key) {
    next_item();
    text_.raw(R"({"key":)");
    text_.string(key);
    text_.raw(R"(,"value":{)");
  }
  void scalar(std::string_view value) {
    text_.raw(R"("stringValue":)");
    text_.string(value);
  }
  void scalar(const std::string& value) { scalar(std::string_view(value)); }
  void scalar(bool value) { text_.raw(value ? R"("boolValue":true)" : R"("boolValue":false)"); }
  void scalar(std::int64_t value) {
    text_.raw(R"("intValue":)");
    text_.quoted_number(value);
  }
  void scalar(double value) {
    text_.raw(R"("doubleValue":)");
    text_.real(value);
  }
  template <class Element>
  void array(std::span<const Element> elements) {
    text_.raw(R"("arrayValue":{"values":[)");
    bool first = true;
    for (const Element& element : elements) {
      text_.raw(first ? "{" : ",{");
      first = false;
      scalar(element);
      text_.raw('}');
    }
    text_.raw("]}");
  }

  JsonText text_;
  bool first_ = true;  // the list being written is still empty
};

}  // namespace

void append_otlp_json(std::string& out, const ExportBatch& batch) {
  JsonSink sink(out);
  sink.begin_batch();
  visit_batch(batch, sink);
  sink.end_batch();
}

}  // namespace v1
}  // namespace midtrace
