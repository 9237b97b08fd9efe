// visit_batch: the order in which a batch of spans is encoded, apart from how: OTLP's tree of resource,
// scopes, spans.
//
// It calls a sink, so that every encoding is a sink and none repeats the walk:
//
//   begin_resource(resource)  end_resource()             once; the attributes are read from the resource
//   begin_scope(scope)  end_scope(scope)                 once per instrumentation scope, as they appear
//     begin_span(span)  end_span(span)                   the spans of the scope, in batch order
//       begin_attributes() attribute(key, value)* end_attributes()        only where there are any
//       begin_events() { begin_event(event) <attributes> end_event(event) }* end_events()
//       begin_links() { begin_link(link) <attributes> end_link(link) }* end_links()
//
// Everything else of a span, event or link is the sink's to read from the view. The walk allocates nothing;
// one thread. Source: OTLP trace.proto; conventions 9.3.
#pragma once

#include <cstddef>
#include <string_view>

#include <midtrace/export/exporter.h>

namespace midtrace {
inline namespace v1 {

namespace batch_walk {

// Scopes are interned, so nearly always the addresses decide; a copy of the library in a plugin has its own.
inline bool same_scope(const InstrumentationScope& a, const InstrumentationScope& b) noexcept {
  return &a == &b || (a.name == b.name && a.version == b.version && a.schema_url == b.schema_url);
}

// Whether no earlier span has the scope of span `index`. Batches hold few scopes, so this ends early.
inline bool begins_scope(std::span<const SpanView> spans, std::size_t index) noexcept {
  for (std::size_t i = 0; i < index; ++i) {
    if (same_scope(spans[i].scope(), spans[index].scope())) return false;
  }
  return true;
}

template <class Sink>
void visit_attributes(const AttributesView& attributes, Sink& sink) {
  if (attributes.size() == 0) return;
  sink.begin_attributes();
  attributes.for_each(
      [&sink](std::string_view key, const AttributeValue& value) { sink.attribute(key, value); });
  sink.end_attributes();
}

template <class Sink>
void visit_span(const SpanView& span, Sink& sink) {
  sink.begin_span(span);
  visit_attributes(span.attributes(), sink);
  if (span.event_count() != 0) {
    sink.begin_events();
    span.for_each_event([&sink](const EventView& event) {
      sink.begin_event(event);
      visit_attributes(event.attributes, sink);
      sink.end_event(event);
    });
    sink.end_events();
  }
  if (span.link_count() != 0) {
    sink.begin_links();
    span.for_each_link([&sink](const LinkView& link) {
      sink.begin_link(link);
      visit_attributes(link.attributes, sink);
      sink.end_link(link);
    });
    sink.end_links();
  }
  sink.end_span(span);
}

}  // namespace batch_walk

template <class Sink>
void visit_batch(const ExportBatch& batch, Sink& sink) {
  sink.begin_resource(batch.resource);
  sink.end_resource();
  const std::span<const SpanView> spans = batch.spans;
  for (std::size_t first = 0; first < spans.size(); ++first) {
    if (!batch_walk::begins_scope(spans, first)) continue;
    const InstrumentationScope& scope = spans[first].scope();
    sink.begin_scope(scope);
    for (const SpanView& span : spans.subspan(first)) {
      if (batch_walk::same_scope(span.scope(), scope)) batch_walk::visit_span(span, sink);
    }
    sink.end_scope(scope);
  }
}

}  // namespace v1
}  // namespace midtrace
