#include <midtrace/export/span_view.h>

#include "../trace/record.h"

namespace midtrace {
inline namespace v1 {

void AttributesView::for_each(FunctionRef<void(std::string_view, const AttributeValue&)> visit) const {
  for (const AttributeStorage* run = first_; run != nullptr; run = run->next) {
    for (std::uint32_t i = 0; i < run->size; ++i)
      visit(run->slots[i].key_view(), run->slots[i].value());
  }
}

namespace {

AttributesView view(const AttributeStorage& storage, std::uint32_t dropped) noexcept {
  return {&storage, storage.size, dropped};
}

}  // namespace

std::string_view SpanView::name() const noexcept { return record_->name_view(); }
SpanKind SpanView::kind() const noexcept { return record_->kind; }
const SpanContext& SpanView::context() const noexcept { return record_->context; }
SpanId SpanView::parent_span_id() const noexcept { return record_->parent_span_id; }
bool SpanView::parent_remote() const noexcept { return record_->parent_remote; }
StatusCode SpanView::status() const noexcept { return record_->status; }
std::string_view SpanView::status_description() const noexcept {
  return {record_->totals.status_description, record_->totals.status_description_size};
}
const InstrumentationScope& SpanView::scope() const noexcept { return *record_->scope; }
AttributesView SpanView::attributes() const noexcept {
  return {&record_->attributes, record_->attribute_count(), record_->totals.dropped_attributes};
}
std::uint32_t SpanView::event_count() const noexcept { return record_->totals.event_count; }
std::uint32_t SpanView::dropped_events() const noexcept { return record_->totals.dropped_events; }
std::uint32_t SpanView::link_count() const noexcept { return record_->totals.link_count; }
std::uint32_t SpanView::dropped_links() const noexcept { return record_->totals.dropped_links; }

void SpanView::for_each_event(FunctionRef<void(const EventView&)> visit) const {
  // Event times are converted as the span's own were: by their distance from its start.
  const auto span_ticks = record_->end_tick - record_->start_tick;
  const auto span_nanos = end_unix_nanos_ - start_unix_nanos_;
  for (const EventNode* event = record_->totals.first_event; event != nullptr; event = event->next) {
    const auto ticks = static_cast<std::int64_t>(event->tick - record_->start_tick);
    const auto nanos = span_ticks == 0 ? ticks
                                       : static_cast<std::int64_t>(static_cast<double>(ticks) *
                                                                   static_cast<double>(span_nanos) /
                                                                   static_cast<double>(span_ticks));
    visit({{event->name, event->name_size},
           start_unix_nanos_ + nanos,
           view(event->attributes, event->dropped_attributes)});
  }
}

void SpanView::for_each_link(FunctionRef<void(const LinkView&)> visit) const {
  for (const LinkNode* link = record_->totals.first_link; link != nullptr; link = link->next) {
    visit({link->context, view(link->attributes, link->dropped_attributes)});
  }
}

}  // namespace v1
}  // namespace midtrace
