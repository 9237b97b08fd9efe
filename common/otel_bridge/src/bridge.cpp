#include <pthread.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>

#include <midtrace/otel_bridge.h>
#include <midtrace/trace/backend.h>
#include <midtrace/trace/instrumentation.h>

#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/span_startoptions.h>
#include <opentelemetry/trace/tracer.h>

#include "activation.h"
#include "bridged_span.h"
#include "convert.h"
#include "flush.h"
#include "trace/native_backend.h"
#include "trace/record.h"
#include "trace/record_pool.h"
#include "trace/spin_lock.h"
#include "trace/thread_block.h"

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

namespace {

using TracerPointer = api::nostd::shared_ptr<api::trace::Tracer>;

// Set when statics begin to be destroyed, opentelemetry-cpp's among them. Nothing of it is touched any more.
constinit std::atomic<bool> exiting{false};
bool is_exiting() noexcept { return exiting.load(std::memory_order_acquire); }

// The provider and the tracers it gave.
class Target {
 public:
  explicit Target(TracerProviderPointer provider) noexcept : provider_(std::move(provider)) {}

  api::trace::TracerProvider& provider() const noexcept { return *provider_; }
  void hold() noexcept { lock_.lock(); }
  void let_go() noexcept { lock_.unlock(); }

  // The scope is interned, so its address identifies it.
  TracerPointer tracer(const InstrumentationScope& scope) noexcept {
    {
      std::lock_guard guard(lock_);
      for (std::size_t i = 0; i < size_; ++i) {
        if (kept_[i].scope == &scope) return kept_[i].tracer;
      }
    }
    TracerPointer made =
        provider_->GetTracer(to_api(scope.name), to_api(scope.version), to_api(scope.schema_url));
    std::lock_guard guard(lock_);
    // One that does not fit is asked for again; two that are the same do no harm.
    if (size_ < kept_.size()) kept_[size_++] = {&scope, made};
    return made;
  }

 private:
  struct Kept {
    const InstrumentationScope* scope = nullptr;
    TracerPointer tracer;
  };
  TracerProviderPointer provider_;
  SpinLock lock_;
  std::array<Kept, 64> kept_;
  std::size_t size_ = 0;
};

void bump(std::atomic<std::uint64_t> HotCounters::*counter) noexcept {
  if (ThreadBlock* block = this_thread_block(); block != nullptr) {
    HotCounters::bump(block->counters.*counter);
  } else {
    (shared_hot_counters().*counter).fetch_add(1, std::memory_order_relaxed);
  }
}

// Somebody denied the trace, and gave no ids that would make a parent: `b3: 0`.
bool is_lone_denial(const SpanContext& parent) noexcept {
  return parent.decision_only() && !parent.sampled() && !parent.flags.deferred();
}

// As midtrace's own backend makes one. Invalid on a thread that is past its thread-local state.
SpanContext unsampled_root() noexcept {
  SpanContext context;
  if (ThreadBlock* block = this_thread_block(); block != nullptr) {
    context.trace_id = {block->random.next(), block->random.next_nonzero()};
    context.span_id = {block->random.next_nonzero()};
    context.flags.bits = TraceFlags::random_bit;
  }
  return context;
}

class BridgeBackend final : public Backend {
 public:
  constexpr BridgeBackend() noexcept = default;

  // False when there is a target already.
  bool take(std::shared_ptr<Target> target) noexcept {
    std::lock_guard guard(lock_);
    if (target_ != nullptr) return false;
    target_ = std::move(target);
    return true;
  }
  void release() noexcept {
    std::shared_ptr<Target> gone;  // the provider's destructor may take its time
    std::lock_guard guard(lock_);
    gone.swap(target_);
  }

  // Around a fork, so that the child finds everything whole.
  void before_fork() noexcept {
    lock_.lock();
    if (target_ != nullptr) target_->hold();
    hold_activations();
  }
  void after_fork() noexcept {
    release_activations();
    if (target_ != nullptr) target_->let_go();
    lock_.unlock();
  }

  Context ambient() noexcept override { return is_exiting() ? Context{} : read_current(); }

  Started start(const StartArguments& arguments) noexcept override {
    Started started;
    const std::shared_ptr<Target> target = current_target();
    const SpanContext parent = arguments.parent != nullptr ? arguments.parent->span
                               : is_exiting()              ? SpanContext{}
                                                           : read_current_span();
    if (parent.valid()) {
      started.parent_span_id = parent.span_id;
      started.parent_remote = parent.remote;
    }
    started.context = parent;  // goes on where no span can be made
    if (target == nullptr) return started;
    bump(&HotCounters::started);
    if (is_lone_denial(parent)) [[unlikely]] {  // the API cannot say it, and its root sampler would decide
      if (SpanContext denied = unsampled_root(); denied.valid()) started.context = denied;
      return started;
    }
    try {
      start_there(*target, arguments, parent, started);
    } catch (...) {  // no memory
      count(Counter::dropped_no_record);
    }
    return started;
  }

  ActivationToken activate(const Context& context, std::uint64_t word, SpanRecord* record) noexcept override {
    if (is_exiting()) return {};
    // Without a record the span has ended, or never recorded.
    const BridgedSpan* span = record != nullptr ? BridgedSpan::of(word) : nullptr;
    return attach(context, span != nullptr ? span->span() : BridgedSpan::Pointer(), record);
  }
  void deactivate(const ActivationToken& token) noexcept override {
    if (!is_exiting()) detach(token);
  }
  CurrentRecord current_record() noexcept override {
    return is_exiting() ? CurrentRecord{} : read_current_record();
  }

  void finish(SpanRecord* record, std::uint64_t word) noexcept override {
    if (!is_exiting()) {
      const std::unique_ptr<BridgedSpan> span(BridgedSpan::of(word));
      span->finish(*record);
      bump(&HotCounters::finished);
    } else {
      count(Counter::dropped_after_shutdown);
    }
    give_back_unsent(record);
  }

  void discard(SpanRecord* record, std::uint64_t word) noexcept override {
    if (!is_exiting()) {
      const std::unique_ptr<BridgedSpan> span(BridgedSpan::of(word));
      span->discard();
    }
    if (record != nullptr) give_back_unsent(record);
  }

  bool flush(std::chrono::milliseconds timeout) noexcept override {
    const std::shared_ptr<Target> target = current_target();
    return target == nullptr || flush_provider(target->provider(), timeout);
  }

  Counters counters() noexcept override { return NativeBackend::instance().counters(); }

 private:
  std::shared_ptr<Target> current_target() noexcept {
    if (is_exiting()) return nullptr;
    std::lock_guard guard(lock_);
    return target_;
  }

  static void start_there(Target& target, const StartArguments& arguments, const SpanContext& parent,
                          Started& started) {
    const Moment start = Moment::at(arguments.start_tick);
    api::trace::StartSpanOptions options;
    options.kind = to_api(arguments.kind);
    options.start_system_time = api::common::SystemTimestamp(std::chrono::nanoseconds(start.unix_nanos));
    options.start_steady_time = api::common::SteadyTimestamp(std::chrono::nanoseconds(start.steady_nanos));
    if (arguments.parent != nullptr) {
      if (parent.valid()) {
        options.parent = to_api(parent);
      } else {
        options.parent = api::context::Context(api::trace::kIsRootSpanKey, true);
      }
    }
    const TracerPointer tracer = target.tracer(*arguments.scope);
    if (!tracer) return;
    const BridgedSpan::Pointer span = tracer->StartSpan(
        to_api(arguments.name), GivenAttributes(arguments.attributes), GivenLinks(arguments.links), options);
    if (!span) return;
    const SpanContext context = from_api(span->GetContext());
    if (!context.valid()) return;
    // A provider that makes no spans hands the parent on, without what only midtrace knows of it.
    if (context.trace_id == parent.trace_id && context.span_id == parent.span_id) return;
    started.context = context;
    started.context.flags.bits |= parent.flags.bits & TraceFlags::debug_bit;
    if (!span->IsRecording()) return;
    started.word = (new BridgedSpan(span, start, arguments))->word();
    started.start_tick = start.tick;
    started.recording = true;
    bump(&HotCounters::sampled);
  }

  SpinLock lock_;
  std::shared_ptr<Target> target_;
};

// Never destroyed: spans end in destructors of statics.
union BridgeStorage {
  constexpr BridgeStorage() noexcept : backend() {}
  ~BridgeStorage() {}  // NOLINT(modernize-use-equals-default): must not destroy the backend
  BridgeBackend backend;
};
constinit BridgeStorage storage;

void before_fork() { storage.backend.before_fork(); }
void after_fork() { storage.backend.after_fork(); }

// The provider goes as well: the application may count on its destructor to flush.
void note_exit() {
  exiting.store(true, std::memory_order_release);
  storage.backend.release();
}

}  // namespace

Bridge install(TracerProviderPointer provider) noexcept {
  Bridge bridge;
  try {
    // In this order, so that the exit is noted before opentelemetry-cpp's statics are destroyed.
    api::context::RuntimeContext::GetCurrent();
    TracerProviderPointer global = api::trace::Provider::GetTracerProvider();
    static const bool noted =
        std::atexit(note_exit) == 0 && pthread_atfork(before_fork, after_fork, after_fork) == 0;
    static_cast<void>(noted);
    if (!provider) provider = std::move(global);
    if (!storage.backend.take(std::make_shared<Target>(std::move(provider)))) {
      report(Severity::warning, "otel_bridge.twice",
             "midtrace::otel_bridge::install() was called while the bridge is installed; this call changes "
             "nothing. Keep the first handle, or uninstall it before.");
      return bridge;
    }
    if (NativeBackend::instance().configured()) {
      report(Severity::warning, "otel_bridge.setup",
             "midtrace::otel_bridge::install() was called after midtrace::setup(); spans go to "
             "opentelemetry-cpp from now on, and the exporters of setup() get none. Call one of the two.");
    }
    set_backend(&storage.backend);
    bridge.owner_ = true;
  } catch (...) {
    report(Severity::error, "otel_bridge.install",
           "There was no memory to bridge midtrace to opentelemetry-cpp; midtrace records nothing there.");
  }
  return bridge;
}

Bridge& Bridge::operator=(Bridge&& other) noexcept {
  if (this != &other) {
    uninstall();
    owner_ = std::exchange(other.owner_, false);
  }
  return *this;
}

void Bridge::uninstall() noexcept {
  if (!std::exchange(owner_, false)) return;
  if (&active_backend() == &storage.backend) set_backend(nullptr);
  storage.backend.release();
}

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
