#include "native_backend.h"

#include <bit>
#include <vector>

#include <midtrace/trace/instrumentation.h>

#include "compiled_sampler.h"
#include "fork.h"
#include "processors.h"
#include "record_pool.h"
#include "spin_lock.h"
#include "thread_block.h"
#include "ticks.h"

namespace midtrace {
inline namespace v1 {

namespace {

// What start() needs, immutable; earlier ones are kept because a thread may still be reading one.
struct Settings {
  CompiledSampler sampler;
  SpanLimits limits;
  std::shared_ptr<Clock> clock;
  std::shared_ptr<IdGenerator> ids;
  std::vector<std::shared_ptr<SpanProcessor>> processors;
};
constinit std::atomic<const Settings*> settings{nullptr};
constinit std::atomic<Clock*> chosen_clock{nullptr};
constinit std::vector<std::unique_ptr<const Settings>>* kept_settings = nullptr;

[[gnu::always_inline]] inline void bump(std::atomic<std::uint64_t> HotCounters::*counter,
                                        ThreadBlock* block) noexcept {
  if (block != nullptr) [[likely]] {
    HotCounters::bump(block->counters.*counter);
  } else {
    (shared_hot_counters().*counter).fetch_add(1, std::memory_order_relaxed);
  }
}

// Ids for a thread that is past its thread-local state.
std::uint64_t id_without_block() noexcept {
  static constinit SpinLock lock;
  static constinit Random random;
  static constinit std::uint32_t seeded_in =
      ~0U;  // a generation; a forked child must not repeat its parent's ids
  std::lock_guard guard(lock);
  if (seeded_in != fork_generation()) random.seed(fork_generation());
  seeded_in = fork_generation();
  return random.next_nonzero();
}

TraceId new_trace_id(const Settings& current, ThreadBlock* block) noexcept {
  if (current.ids != nullptr) return current.ids->trace_id();
  if (block == nullptr) return {id_without_block(), id_without_block()};
  return {block->random.next(), block->random.next_nonzero()};
}

SpanId new_span_id(const Settings& current, ThreadBlock* block) noexcept {
  if (current.ids != nullptr) return current.ids->span_id();
  return {block != nullptr ? block->random.next_nonzero() : id_without_block()};
}

// A sampler of the user's that throws: as its parent, and a root is dropped.
[[gnu::noinline, gnu::cold]] Decision decide_after_failure(const SpanContext* parent) noexcept {
  count(Counter::hook_failures);
  report(Severity::error, "sampler.threw",
         "A sampler threw an exception; the span is sampled if its parent is, and a root is dropped. Catch "
         "what Sampler::sample() of the application calls.");
  return parent != nullptr && parent->sampled() ? Decision::record_and_sample : Decision::drop;
}

// What one comparison does not decide: roots with links, children with a tracestate, samplers of the user's.
[[gnu::noinline]] Decision decide_slowly(const Settings& current, const SamplingRule& rule,
                                         std::string_view name, const StartOptions& options,
                                         const SpanContext* parent, SpanContext& context,
                                         Lineage& lineage) noexcept {
  const CompiledSampler& sampler = current.sampler;
  if (parent == nullptr && !options.links.empty() && sampler.parent_based && sampler.roots_follow_links) {
    const LinkVerdict verdict = judge_links(options.links);
    if (verdict == LinkVerdict::keep) return Decision::record_and_sample;
    if (verdict == LinkVerdict::drop) return Decision::drop;
  }
  Decision decision;
  if (rule.sampler == nullptr) {
    decision = rule.keeps(context.trace_id) ? Decision::record_and_sample : Decision::drop;
  } else {
    std::span<const Attribute> attributes = options.attributes;
    if (rule.needs.attributes && options.lazy_attributes) {
      attributes = lineage.lazy_attributes = make_lazy_attributes(options);
      lineage.has_lazy_attributes = true;
    }
    try {
      SamplingResult result =
          rule.sampler->sample({parent, context.trace_id, name, options.kind, options.links, attributes});
      lineage.sampler_attributes = result.attributes;
      if (result.trace_state) {
        context.trace_state = *std::move(result.trace_state);
        return result.decision;
      }
      decision = result.decision;
    } catch (...) {
      decision = decide_after_failure(parent);
    }
  }
  if (parent != nullptr) {
    // Always-on by itself does not continue the parent's decision.
    const bool continues = sampler.parent_based || rule.sampler != nullptr;
    context.trace_state = inherited_state(*parent, continues && decision == Decision::record_and_sample);
  }
  return decision;
}

}  // namespace

constinit NativeBackendStorage native_backend_storage;

[[gnu::noinline]] std::span<const Attribute> make_lazy_attributes(const StartOptions& options) noexcept {
  if (!options.lazy_attributes) return {};
  try {
    return options.lazy_attributes();
  } catch (...) {
    count(Counter::hook_failures);
    report(Severity::error, "tracer.lazy_attributes",
           "StartOptions::lazy_attributes threw an exception; the span goes without these attributes.");
    return {};
  }
}

bool NativeBackend::configure(NativeOptions options) {
  // Kept from the beginning: whatever fails later, nothing may point to what is gone.
  if (kept_settings == nullptr) kept_settings = new std::vector<std::unique_ptr<const Settings>>;
  auto owned = std::make_unique<Settings>();
  Settings* const made = owned.get();
  kept_settings->push_back(std::move(owned));
  made->sampler = compile(options.sampler);
  made->limits = options.limits;
  made->clock = options.collector.clock;
  made->ids = std::move(options.ids);
  made->processors = options.collector.processors;
  const BatchOptions& batch = options.collector.batch;
  install_fork_handlers();
  const std::uint32_t capacity = std::bit_ceil(std::max(batch.queue_size, 2U));
  configure_pool({capacity, std::min(batch.export_batch_size - 1, capacity / 2)}, batch.memory_bytes,
                 &made->limits);
  if (!Collector::configure(std::move(options.collector))) return false;
  chosen_clock.store(made->clock.get(), std::memory_order_release);
  set_backend(this);
  settings.store(made, std::memory_order_release);
  has_processors_.store(!made->processors.empty(), std::memory_order_relaxed);
  return true;
}

bool NativeBackend::shutdown(std::chrono::milliseconds timeout) noexcept {
  settings.store(nullptr, std::memory_order_release);
  set_backend(nullptr);  // another copy of the library may set tracing up later
  return Collector::shutdown(timeout);
}

bool NativeBackend::configured() const noexcept {
  return settings.load(std::memory_order_acquire) != nullptr;
}

Context NativeBackend::ambient() noexcept { return current_context(); }

bool NativeBackend::begin(std::string_view name, const StartOptions& options, SpanContext& context,
                          Lineage& lineage) noexcept {
  const Settings* current = settings.load(std::memory_order_acquire);
  ThreadBlock* block = this_thread_block();
  const Context* around = options.parent;
  if (around == nullptr && block != nullptr) {
    if (const ContextSlot* slot = block->top()) around = &slot->context;
  }
  const SpanContext* parent = around != nullptr && around->span.valid() ? &around->span : nullptr;
  // What parent-based sampling goes by: the parent, or a decision that came without ids.
  const SpanContext* decider = parent;
  if (parent == nullptr && around != nullptr && around->span.remote) [[unlikely]]
    decider = &around->span;
  if (current == nullptr) [[unlikely]] {
    if (decider != nullptr) context = *decider;
    return false;
  }
  bump(&HotCounters::started, block);
  std::uint8_t flags;
  if (parent != nullptr) {
    context.trace_id = parent->trace_id;
    flags = parent->flags.bits & (TraceFlags::random_bit | TraceFlags::debug_bit);
  } else {
    context.trace_id = new_trace_id(*current, block);
    flags = current->ids == nullptr || current->ids->random() ? TraceFlags::random_bit : 0;
    if (decider != nullptr) flags |= decider->flags.bits & TraceFlags::debug_bit;
  }
  const SamplingRule& rule = current->sampler.rule_for(decider);
  lineage.sampler_attributes = {};
  Decision decision;
  const bool plain = parent != nullptr
                         ? rule.plain_for_children && parent->trace_state.empty()
                         : rule.plain_for_roots && (decider != nullptr || options.links.empty());
  if (plain) [[likely]] {
    decision = rule.keeps(context.trace_id) ? Decision::record_and_sample : Decision::drop;
    if (rule.kept_root_states != nullptr && decision != Decision::drop) [[unlikely]]
      context.trace_state = rule.kept_root_states->for_thread(block);
  } else {
    decision = decide_slowly(*current, rule, name, options, decider, context, lineage);
  }
  context.span_id = new_span_id(*current, block);
  if (decision == Decision::record_and_sample) flags |= TraceFlags::sampled_bit;
  context.flags.bits = flags;
  if (decision == Decision::drop) return false;
  bump(&HotCounters::sampled, block);
  lineage.parent_span_id = parent != nullptr ? parent->span_id : SpanId{};
  lineage.parent_remote = parent != nullptr && parent->remote;
  lineage.start_tick = options.start_tick;
  return true;
}

Started NativeBackend::start(const StartArguments& arguments) noexcept {
  Started started;
  Lineage lineage{};
  started.recording = begin(arguments.name,
                            {arguments.kind,
                             arguments.parent,
                             arguments.links,
                             arguments.attributes,
                             arguments.start_tick,
                             false,
                             {}},
                            started.context, lineage);
  started.parent_span_id = lineage.parent_span_id;
  started.parent_remote = lineage.parent_remote;
  if (started.recording) started.start_tick = lineage.start_tick != 0 ? lineage.start_tick : tick();
  started.attributes = lineage.sampler_attributes;
  return started;
}

ActivationToken NativeBackend::activate(const Context& context, std::uint64_t /*word*/,
                                        SpanRecord* record) noexcept {
  return push_context(context, record);
}

void NativeBackend::deactivate(const ActivationToken& token) noexcept { pop_context(token); }

void NativeBackend::finish(SpanRecord* record, std::uint64_t /*word*/) noexcept { Collector::submit(record); }

void NativeBackend::discard(SpanRecord* record, std::uint64_t /*word*/) noexcept {
  if (record != nullptr) give_back_unsent(record);
}

bool NativeBackend::flush(std::chrono::milliseconds timeout) noexcept { return Collector::flush(timeout); }

Counters NativeBackend::counters() noexcept {
  Counters result;
  add_thread_counters(result);
  return result;
}

void NativeBackend::tell_processors(Span& span, const Context* parent) noexcept {
  const Settings* current = settings.load(std::memory_order_acquire);
  if (current == nullptr) return;
  const Context around = parent != nullptr ? *parent : current_context();
  for (const auto& processor : current->processors)
    guard_processor([&] { processor->on_start(span, around); });
}

SamplerNeeds NativeBackend::needs() noexcept {
  const Settings* current = settings.load(std::memory_order_acquire);
  return current != nullptr ? current->sampler.needs : SamplerNeeds();
}

void NativeBackend::use_clock(Clock* clock) noexcept { chosen_clock.store(clock, std::memory_order_release); }

std::uint64_t NativeBackend::tick() noexcept {
  Clock* clock = chosen_clock.load(std::memory_order_relaxed);
  return clock == nullptr ? read_ticks() : clock->now();
}

std::int64_t NativeBackend::unix_nanos(std::uint64_t tick) noexcept {
  if (Clock* clock = chosen_clock.load(std::memory_order_relaxed); clock != nullptr)
    return clock->to_unix_nanos(tick);
  read_ticks();
  refresh_anchor();
  return ticks_to_unix_nanos(tick);
}

}  // namespace v1
}  // namespace midtrace
