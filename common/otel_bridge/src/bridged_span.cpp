#include "bridged_span.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include <midtrace/export/span_view.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

#include "convert.h"
#include "trace/native_backend.h"
#include "trace/record.h"

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

namespace {

constinit const char mark = 0;

std::uint64_t hash_of(std::string_view text) noexcept { return std::hash<std::string_view>{}(text); }

std::int64_t steady_now() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Moment Moment::at(std::uint64_t tick) noexcept {
  NativeBackend& native = NativeBackend::instance();
  const std::uint64_t now = native.tick();
  Moment moment{tick != 0 ? tick : now, 0, steady_now()};
  moment.unix_nanos = native.unix_nanos(moment.tick);
  if (tick != 0) moment.steady_nanos -= native.unix_nanos(now) - moment.unix_nanos;
  return moment;
}

BridgedSpan::BridgedSpan(Pointer span, const Moment& start, const StartArguments& arguments)
    : mark_(&mark),
      span_(std::move(span)),
      start_(start),
      name_(hash_of(arguments.name)),
      links_at_start_(GivenLinks(arguments.links).size()) {
  attributes_at_start_.reserve(arguments.attributes.size());
  for (const Attribute& attribute : arguments.attributes)
    attributes_at_start_.push_back(fingerprint(attribute.key.name(), attribute.value));
}

BridgedSpan* BridgedSpan::of(std::uint64_t word) noexcept {
  auto* span = reinterpret_cast<BridgedSpan*>(static_cast<std::uintptr_t>(word));
  // Every backend's word that is not zero points to more than one pointer.
  return span != nullptr && span->mark_ == &mark ? span : nullptr;
}

void BridgedSpan::finish(const SpanRecord& record) noexcept {
  // All durations of the span by the same anchor of the clock.
  NativeBackend& native = NativeBackend::instance();
  const std::int64_t end = native.unix_nanos(record.end_tick);
  const std::int64_t start = native.unix_nanos(start_.tick);
  try {
    replay(record, start);
  } catch (...) {  // no memory for the rest
    count(Counter::dropped_attributes);
  }
  end_at(end - start);
}

void BridgedSpan::discard() noexcept {
  span_->SetAttribute(to_api(semconv::midtrace_discarded.name()), true);
  end_at(0);
}

void BridgedSpan::end_at(std::int64_t nanos_after_start) noexcept {
  api::trace::EndSpanOptions options;
  options.end_steady_time = api::common::SteadyTimestamp(
      std::chrono::nanoseconds(start_.steady_nanos + std::max<std::int64_t>(nanos_after_start, 0)));
  span_->End(options);
}

void BridgedSpan::replay(const SpanRecord& record, std::int64_t start_unix_nanos) {
  const SpanView source(record, 0, 0);
  if (hash_of(source.name()) != name_) span_->UpdateName(to_api(source.name()));

  // What came with the start is there already; exporters may keep an attribute that is set twice, twice.
  StringArray strings;
  source.attributes().for_each([&](std::string_view key, const AttributeValue& value) {
    if (!attributes_at_start_.empty() && std::find(attributes_at_start_.begin(), attributes_at_start_.end(),
                                                   fingerprint(key, value)) != attributes_at_start_.end())
      return;
    span_->SetAttribute(to_api(key), to_api(value, strings));
  });

  NativeBackend& native = NativeBackend::instance();
  for (const EventNode* event = record.totals.first_event; event != nullptr; event = event->next) {
    const std::int64_t at = start_.unix_nanos + (native.unix_nanos(event->tick) - start_unix_nanos);
    span_->AddEvent(to_api(std::string_view(event->name, event->name_size)),
                    api::common::SystemTimestamp(std::chrono::nanoseconds(at)),
                    RecordedAttributes(AttributesView(&event->attributes, event->attributes.size,
                                                      event->dropped_attributes)));
  }
  replay_links(record);
  if (source.status() != StatusCode::unset) {
    span_->SetStatus(
        source.status() == StatusCode::ok ? api::trace::StatusCode::kOk : api::trace::StatusCode::kError,
        to_api(source.status_description()));
  }
}

// Those that were added after the start.
void BridgedSpan::replay_links(const SpanRecord& record) noexcept {
  const SpanView source(record, 0, 0);
  std::size_t seen = 0;
  std::uint64_t lost = 0;
  source.for_each_link([&]([[maybe_unused]] const LinkView& link) {
    if (seen++ < links_at_start_) return;
#if OPENTELEMETRY_ABI_VERSION_NO >= 2
    const api::common::KeyValueIterable& attributes = RecordedAttributes(link.attributes);
    span_->AddLink(to_api(link.context), attributes);
#else
    ++lost;
#endif
  });
  if (lost == 0) return;
  count(Counter::dropped_links, lost);
  report(Severity::warning, "otel_bridge.links",
         "Links that were added to a span after its start are lost: opentelemetry-cpp's ABI 1 takes links at "
         "the start only. Give them to Tracer::start(), or build opentelemetry-cpp with WITH_ABI_VERSION_2.");
}

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
