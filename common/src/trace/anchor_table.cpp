// The publishing side of the anchor: the table's functions on top of this copy's native backend.
#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <new>
#include <vector>

#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

#include "anchor.h"
#include "anchor_values.h"
#include "native_backend.h"
#include "record.h"
#include "thread_block.h"

namespace midtrace {
inline namespace v1 {

namespace anchor {

namespace {

void ambient(void* state, void (*visit)(void*, const midtrace_context*)) {
  const Context context = NativeBackend::instance().ambient();
  try {
    std::vector<midtrace_baggage_member> members;
    const midtrace_context plain = to_plain(context, members);
    visit(state, &plain);
  } catch (...) {  // no memory for the baggage: the rest still goes
    const midtrace_context plain{to_plain(context.span), nullptr, 0, context.suppressed};
    visit(state, &plain);
  }
}

void* start(const midtrace_start_arguments* arguments, void* state,
            void (*visit)(void*, const midtrace_span_context*)) {
  try {
    Context parent;
    if (arguments->parent != nullptr) parent = from_plain(*arguments->parent);
    Attributes attributes;
    Links links;
    for (std::size_t i = 0; i < arguments->attributes_size; ++i)
      attributes.add(arguments->attributes[i]);
    for (std::size_t i = 0; i < arguments->links_size; ++i)
      links.add(arguments->links[i]);
    StartOptions options;
    options.kind = static_cast<SpanKind>(arguments->kind);
    options.parent = arguments->parent != nullptr ? &parent : nullptr;
    options.links = links.view();
    options.attributes = attributes.view();
    options.start_tick = arguments->start_tick;
    options.module_link_limit = arguments->module_link_limit != 0;
    const Tracer tracer = Tracer::get(view(arguments->scope_name), view(arguments->scope_version),
                                      view(arguments->scope_schema_url));
    Span span = tracer.start(view(arguments->name), options);
    const midtrace_span_context context = to_plain(span.context());
    visit(state, &context);
    return span.recording() ? new Span(std::move(span)) : nullptr;
  } catch (...) {  // no memory: the caller goes on with the parent's context
    const midtrace_span_context none{};
    visit(state, &none);
    return nullptr;
  }
}

void finish(void* pointer, const midtrace_finished_span* finished) {
  std::unique_ptr<Span> span(static_cast<Span*>(pointer));
  if (span == nullptr) return;
  try {
    SpanRecord* const record = SpanAccess::record(*span);
    if (record == nullptr) return;
    span->set_name(view(finished->name));
    record->kind = static_cast<SpanKind>(finished->kind);
    // All attributes come again, and what is too much is dropped again.
    record->totals.dropped_attributes = finished->dropped_attributes;
    Attributes attributes;
    for (std::size_t i = 0; i < finished->attributes_size; ++i)
      attributes.add(finished->attributes[i]);
    span->set(attributes.view());
    for (std::size_t i = 0; i < finished->links_size; ++i) {
      Links link;
      link.add(finished->links[i]);
      const LinkNode* const before = record->totals.last_link;
      span->add_link(link.view().front());
      if (record->totals.last_link != before) {
        record->totals.last_link->dropped_attributes += finished->links[i].dropped_attributes;
      }
    }
    record->totals.dropped_links += finished->dropped_links;
    for (std::size_t i = 0; i < finished->events_size; ++i) {
      Attributes of_event;
      for (std::size_t j = 0; j < finished->events[i].attributes_size; ++j) {
        of_event.add(finished->events[i].attributes[j]);
      }
      const EventNode* const before = record->totals.last_event;
      record_event(*record, view(finished->events[i].name), finished->events[i].tick, of_event.view());
      if (record->totals.last_event != before) {
        record->totals.last_event->dropped_attributes += finished->events[i].dropped_attributes;
      }
    }
    record->totals.dropped_events += finished->dropped_events;
    span->set_status(static_cast<StatusCode>(finished->status), view(finished->status_description));
  } catch (...) {
    count(Counter::dropped_attributes);
  }
}

void discard(void* pointer) {
  std::unique_ptr<Span> span(static_cast<Span*>(pointer));
  if (span != nullptr) span->discard();
}

void activate(const midtrace_context* context, std::uint64_t token[3]) {
  const ActivationToken made = push_context(from_plain(*context), nullptr);
  token[0] = reinterpret_cast<std::uintptr_t>(made.place);
  token[1] = made.index;
  token[2] = made.generation;
}

void deactivate(const std::uint64_t token[3]) {
  pop_context({reinterpret_cast<void*>(static_cast<std::uintptr_t>(token[0])),
               static_cast<std::uint32_t>(token[1]), static_cast<std::uint32_t>(token[2])});
}

int flush(std::int64_t timeout_milliseconds) {
  return NativeBackend::instance().flush(std::chrono::milliseconds(timeout_milliseconds)) ? 1 : 0;
}

std::size_t counters_of(std::uint64_t* values, std::size_t capacity) {
  const Counters all = midtrace::counters();
  for (std::size_t i = 0; i < all.values.size() && i < capacity; ++i)
    values[i] = all.values[i];
  return all.values.size();
}

std::uint64_t tick() { return NativeBackend::instance().tick(); }
std::int64_t unix_nanos(std::uint64_t tick) { return NativeBackend::instance().unix_nanos(tick); }

constinit const midtrace_anchor_table table = {
    sizeof(midtrace_anchor_table),
    ambient,
    start,
    finish,
    discard,
    activate,
    deactivate,
    flush,
    counters_of,
    tick,
    unix_nanos,
};

}  // namespace

}  // namespace anchor

}  // namespace v1
}  // namespace midtrace

// The rendezvous of all copies. Default visibility: other copies look it up by name.
extern "C" {
[[gnu::visibility("default")]] constinit midtrace_anchor midtrace_anchor_v1{nullptr, nullptr};
}

namespace midtrace {
inline namespace v1 {

namespace anchor {

midtrace_anchor& shared() noexcept {
  // Looked up once: objects that export the symbol are loaded before their code runs.
  static midtrace_anchor* const found = [] {
    void* symbol = dlsym(RTLD_DEFAULT, "midtrace_anchor_v1");
    return symbol != nullptr ? static_cast<midtrace_anchor*>(symbol) : &midtrace_anchor_v1;
  }();
  return *found;
}

const midtrace_anchor_table* foreign_table() noexcept {
  const midtrace_anchor_table* published = shared().table.load(std::memory_order_acquire);
  return published == &table || published == nullptr || published->size < sizeof(midtrace_anchor_table)
             ? nullptr
             : published;
}

}  // namespace anchor

bool publish_anchor() noexcept {
  const midtrace_anchor_table* none = nullptr;
  return anchor::shared().table.compare_exchange_strong(none, &anchor::table, std::memory_order_acq_rel) ||
         none == &anchor::table;
}

void withdraw_anchor() noexcept {
  const midtrace_anchor_table* own = &anchor::table;
  anchor::shared().table.compare_exchange_strong(own, nullptr, std::memory_order_acq_rel);
}

}  // namespace v1
}  // namespace midtrace
