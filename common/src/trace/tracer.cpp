#include <midtrace/trace/tracer.h>

#include <utility>

#include <midtrace/trace/backend.h>

#include "fork.h"
#include "native_backend.h"
#include "record.h"
#include "record_pool.h"
#include "scopes.h"
#include "thread_block.h"

namespace midtrace {
inline namespace v1 {

namespace {

// Starts through the native backend directly, or through the seam. `backend` is which; true when the span
// records.
[[gnu::always_inline]] inline bool begin(const InstrumentationScope* scope, std::string_view name,
                                         const StartOptions& options, SpanContext& context, Lineage& lineage,
                                         Backend*& backend, std::uint64_t& word) noexcept {
  backend = &active_backend();
  NativeBackend& native = NativeBackend::instance();
  if (backend == &native) [[likely]]
    return native.begin(name, options, context, lineage);
  std::span<const Attribute> attributes = options.attributes;
  if (options.lazy_attributes && backend->needs().attributes) {
    attributes = lineage.lazy_attributes = make_lazy_attributes(options);
    lineage.has_lazy_attributes = true;
  }
  Started started = backend->start({name, options.kind, options.parent, options.links, attributes,
                                    options.start_tick, scope, options.module_link_limit});
  context = std::move(started.context);
  lineage.parent_span_id = started.parent_span_id;
  lineage.start_tick = started.start_tick;
  lineage.sampler_attributes = started.attributes;
  lineage.parent_remote = started.parent_remote;
  word = started.word;
  return started.recording;
}

// Keeps the sampler's attributes of a pending span; null when there is no memory (counted).
[[gnu::noinline]] SpanRecord* hold(std::span<const Attribute> attributes) noexcept {
  SpanRecord* record = take_record();
  if (record == nullptr) {
    count(Counter::dropped_attributes, attributes.size());
    return nullptr;
  }
  record->limits = &pool_limits();
  begin_record(*record, {});
  for (const Attribute& attribute : attributes)
    record_attribute(*record, attribute.key, attribute.value);
  record->close_attributes();
  return record;
}

// Gives them to the span, when that has a record.
[[gnu::noinline]] void release_held(SpanRecord* held, SpanRecord* into) noexcept {
  if (into != nullptr) {
    for (const AttributeStorage* run = &held->attributes; run != nullptr; run = run->next) {
      for (std::uint32_t i = 0; i < run->size; ++i)
        record_attribute(*into, AnyKey(run->slots[i].key_view()), run->slots[i].value());
    }
    into->totals.dropped_attributes += held->totals.dropped_attributes;
  }
  give_back_unsent(held);
}

std::uint64_t tick_or_now(std::uint64_t tick) noexcept {
  return tick != 0 ? tick : NativeBackend::instance().tick();
}

}  // namespace

Tracer Tracer::get(std::string_view name, std::string_view version, std::string_view schema_url) noexcept {
  return Tracer(intern_scope(name, version, schema_url));
}

Span Tracer::start(std::string_view name, const StartOptions& options) const noexcept {
  Span span;
  Lineage lineage;
  Backend* backend;
  if (begin(scope_, name, options, span.context_, lineage, backend, span.word_)) {
    open_record(span, lineage, fork_generation(), name, options, *backend);
  }
  return span;
}

PendingSpan Tracer::start_pending(std::string_view name, const StartOptions& options) const noexcept {
  PendingSpan pending;
  Lineage lineage;
  Backend* backend;
  if (begin(scope_, name, options, pending.context_, lineage, backend, pending.word_)) {
    pending.parent_span_id_ = lineage.parent_span_id;
    pending.parent_remote_ = lineage.parent_remote;
    pending.start_tick_ = tick_or_now(lineage.start_tick);
    pending.backend_ = backend;
    pending.fork_generation_ = fork_generation();
    if (!lineage.sampler_attributes.empty()) [[unlikely]]
      pending.sampler_attributes_ = hold(lineage.sampler_attributes);
  }
  return pending;
}

Span Tracer::resume(PendingSpan&& pending, std::string_view name,
                    const StartOptions& options) const noexcept {
  Span span;
  span.context_ = std::move(pending.context_);
  span.word_ = pending.word_;
  if (Backend* backend = std::exchange(pending.backend_, nullptr); backend != nullptr) {
    const Lineage lineage{pending.parent_span_id_, pending.start_tick_, {}, pending.parent_remote_};
    open_record(span, lineage, pending.fork_generation_, name, options, *backend);
    if (pending.sampler_attributes_ != nullptr) [[unlikely]]
      release_held(std::exchange(pending.sampler_attributes_, nullptr), span.record_);
  }
  return span;
}

// Gives a span that records its record; without memory the span is discarded and counted.
void Tracer::open_record(Span& span, const Lineage& lineage, std::uint32_t generation, std::string_view name,
                         const StartOptions& options, Backend& backend) const noexcept {
  SpanRecord* record = take_record();
  if (record == nullptr) [[unlikely]] {
    if (ThreadBlock* block = this_thread_block(); block != nullptr) {
      HotCounters::bump(block->counters.dropped_no_record);
    } else {
      shared_hot_counters().dropped_no_record.fetch_add(1, std::memory_order_relaxed);
    }
    backend.discard(nullptr, span.word_);
    return;
  }
  const SpanLimits& limits = pool_limits();
  record->context = span.context_;
  record->parent_span_id = lineage.parent_span_id;
  record->parent_remote = lineage.parent_remote;
  record->start_tick = tick_or_now(lineage.start_tick);
  record->scope = scope_;
  record->kind = options.kind;
  record->limits = &limits;
  record->link_limit = options.module_link_limit ? limits.module_link_count : limits.link_count;
  record->fork_generation = generation;
  begin_record(*record, name);
  for (const Attribute& attribute : options.attributes)
    record_attribute(*record, attribute.key, attribute.value);
  if (options.lazy_attributes) [[unlikely]] {
    for (const Attribute& attribute :
         lineage.has_lazy_attributes ? lineage.lazy_attributes : make_lazy_attributes(options)) {
      record_attribute(*record, attribute.key, attribute.value);
    }
  }
  for (const Attribute& attribute : lineage.sampler_attributes) {
    record_attribute(*record, attribute.key, attribute.value);
  }
  for (const Link& link : options.links)
    record_link(*record, link);
  if (options.dropped_links != 0) [[unlikely]] {
    record->totals.dropped_links += options.dropped_links;
    count(Counter::dropped_links, options.dropped_links);
  }
  span.record_ = record;
  span.backend_ = &backend;
  NativeBackend& native = NativeBackend::instance();
  if (native.has_processors() && &backend == &native) [[unlikely]]
    native.tell_processors(span, options.parent);
}

std::uint32_t module_link_limit() noexcept { return pool_limits().module_link_count; }

SamplerNeeds sampler_needs() noexcept { return active_backend().needs(); }

std::uint64_t current_tick() noexcept { return NativeBackend::instance().tick(); }
std::int64_t tick_to_unix_nanos(std::uint64_t tick) noexcept {
  return NativeBackend::instance().unix_nanos(tick);
}

}  // namespace v1
}  // namespace midtrace
