// The attaching side of the anchor: a Backend whose spans live in another copy of the library.
#include "anchor.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <new>

#include <midtrace/export/span_view.h>

#include "anchor_values.h"
#include "native_backend.h"
#include "record.h"
#include "record_pool.h"

namespace midtrace {
inline namespace v1 {

namespace {

// Whether a span takes the link at all; record_link() has the same rule.
bool says_something(const Link& link) noexcept {
  return link.context.valid() || !link.attributes.empty() || !link.context.trace_state.empty();
}

// The other copy's clock, so that the ticks of this one's events and starts mean the same there.
class AttachedClock final : public Clock {
 public:
  explicit AttachedClock(const midtrace_anchor_table* table) noexcept : table_(table) {}
  std::uint64_t now() noexcept override { return table_->tick(); }
  std::int64_t to_unix_nanos(std::uint64_t tick) noexcept override { return table_->unix_nanos(tick); }

 private:
  const midtrace_anchor_table* table_;
};

class AttachedBackend final : public Backend {
 public:
  explicit AttachedBackend(const midtrace_anchor_table* table) noexcept : table_(table) {}

  Context ambient() noexcept override {
    Context result;
    table_->ambient(&result, [](void* state, const midtrace_context* context) {
      *static_cast<Context*>(state) = anchor::from_plain(*context);
    });
    return result;
  }

  Started start(const StartArguments& arguments) noexcept override {
    Started started;
    try {
      std::vector<midtrace_baggage_member> members;
      midtrace_context parent;
      if (arguments.parent != nullptr) parent = anchor::to_plain(*arguments.parent, members);
      anchor::PlainAttributes attributes;
      for (const Attribute& attribute : arguments.attributes)
        attributes.add(attribute.key.name(), attribute.value);
      std::vector<midtrace_link> links;
      std::deque<anchor::PlainAttributes> of_links;
      for (const Link& link : arguments.links) {
        anchor::PlainAttributes& part = of_links.emplace_back();
        for (const Attribute& attribute : link.attributes)
          part.add(attribute.key.name(), attribute.value);
        links.push_back({anchor::to_plain(link.context), part.data(), part.size(), 0});
      }
      auto remote = std::make_unique<RemoteSpan>();
      remote->links_at_start = static_cast<std::size_t>(
          std::count_if(arguments.links.begin(), arguments.links.end(), says_something));
      const midtrace_start_arguments plain{anchor::to_plain(arguments.name),
                                           anchor::to_plain(arguments.scope->name),
                                           anchor::to_plain(arguments.scope->version),
                                           anchor::to_plain(arguments.scope->schema_url),
                                           static_cast<std::uint8_t>(arguments.kind),
                                           static_cast<std::uint8_t>(arguments.module_link_limit ? 1 : 0),
                                           arguments.parent != nullptr ? &parent : nullptr,
                                           links.data(),
                                           links.size(),
                                           attributes.data(),
                                           attributes.size(),
                                           arguments.start_tick};
      remote->span = table_->start(&plain, &started, [](void* state, const midtrace_span_context* context) {
        static_cast<Started*>(state)->context = anchor::from_plain(*context);
      });
      started.recording = remote->span != nullptr;
      if (!started.recording) return started;
      started.start_tick = arguments.start_tick != 0 ? arguments.start_tick : table_->tick();
      started.word = reinterpret_cast<std::uintptr_t>(remote.release());
    } catch (...) {  // no memory: the parent's context goes on
      started.context = arguments.parent != nullptr ? arguments.parent->span : ambient().span;
    }
    return started;
  }

  ActivationToken activate(const Context& context, std::uint64_t, SpanRecord*) noexcept override {
    try {
      std::vector<midtrace_baggage_member> members;
      const midtrace_context plain = anchor::to_plain(context, members);
      std::uint64_t token[3] = {};
      table_->activate(&plain, token);
      return {reinterpret_cast<void*>(static_cast<std::uintptr_t>(token[0])),
              static_cast<std::uint32_t>(token[1]), static_cast<std::uint32_t>(token[2])};
    } catch (...) {
      return {};
    }
  }

  void deactivate(const ActivationToken& token) noexcept override {
    const std::uint64_t plain[3] = {reinterpret_cast<std::uintptr_t>(token.place), token.index,
                                    token.generation};
    table_->deactivate(plain);
  }

  void finish(SpanRecord* record, std::uint64_t word) noexcept override {
    const std::unique_ptr<RemoteSpan> remote(from_word(word));
    try {
      replay(*record, *remote);
    } catch (...) {  // no memory
      table_->discard(remote->span);
      count(Counter::dropped_no_record);
    }
    give_back_unsent(record);
  }

  void discard(SpanRecord* record, std::uint64_t word) noexcept override {
    const std::unique_ptr<RemoteSpan> remote(from_word(word));
    table_->discard(remote->span);
    if (record != nullptr) give_back_unsent(record);
  }

  bool flush(std::chrono::milliseconds timeout) noexcept override {
    return table_->flush(timeout.count()) != 0;
  }

  Counters counters() noexcept override {
    Counters result;
    table_->counters(result.values.data(), result.values.size());
    return result;
  }

 private:
  struct RemoteSpan {
    void* span = nullptr;
    std::size_t links_at_start = 0;  // the other copy has them already
  };
  static RemoteSpan* from_word(std::uint64_t word) noexcept {
    return reinterpret_cast<RemoteSpan*>(static_cast<std::uintptr_t>(word));
  }

  // The record's contents, given to the other copy's span.
  void replay(const SpanRecord& record, const RemoteSpan& remote) {
    const SpanView source(record, 0, 0);
    anchor::PlainAttributes attributes;
    source.attributes().for_each(
        [&](std::string_view key, const AttributeValue& value) { attributes.add(key, value); });
    std::deque<anchor::PlainAttributes> parts;
    const auto copy = [&parts](const AttributesView& from) -> const anchor::PlainAttributes& {
      anchor::PlainAttributes& part = parts.emplace_back();
      from.for_each([&part](std::string_view key, const AttributeValue& value) { part.add(key, value); });
      return part;
    };
    std::vector<midtrace_link> links;
    std::size_t seen = 0;
    source.for_each_link([&](const LinkView& link) {
      if (seen++ < remote.links_at_start) return;
      const anchor::PlainAttributes& part = copy(link.attributes);
      links.push_back({anchor::to_plain(link.context), part.data(), part.size(), link.attributes.dropped()});
    });
    // Too many links at start were too many for the other copy as well.
    const auto dropped_at_start = static_cast<std::uint32_t>(
        remote.links_at_start - std::min<std::size_t>(remote.links_at_start, record.totals.link_count));
    std::vector<midtrace_event> events;
    for (const EventNode* event = record.totals.first_event; event != nullptr; event = event->next) {
      const anchor::PlainAttributes& part =
          copy(AttributesView(&event->attributes, event->attributes.size, event->dropped_attributes));
      events.push_back({{event->name, event->name_size},
                        event->tick,
                        part.data(),
                        part.size(),
                        event->dropped_attributes});
    }
    const midtrace_finished_span finished{anchor::to_plain(source.name()),
                                          anchor::to_plain(source.status_description()),
                                          static_cast<std::uint8_t>(source.kind()),
                                          static_cast<std::uint8_t>(source.status()),
                                          attributes.data(),
                                          attributes.size(),
                                          links.data(),
                                          links.size(),
                                          events.data(),
                                          events.size(),
                                          source.attributes().dropped(),
                                          source.dropped_links() - dropped_at_start,
                                          source.dropped_events()};
    table_->finish(remote.span, &finished);
  }

  const midtrace_anchor_table* table_;
};

}  // namespace

Backend* attach_to_anchor() noexcept {
  const midtrace_anchor_table* table = anchor::foreign_table();
  if (table == nullptr) return nullptr;
  static Backend* const attached = new (std::nothrow) AttachedBackend(table);
  static Clock* const clock = new (std::nothrow) AttachedClock(table);
  NativeBackend::instance().use_clock(clock);
  return attached;
}

}  // namespace v1
}  // namespace midtrace
