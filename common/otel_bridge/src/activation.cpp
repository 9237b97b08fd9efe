#include "activation.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

#include <opentelemetry/baggage/baggage_context.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/default_span.h>

#include "convert.h"
#include "trace/record.h"
#include "trace/spin_lock.h"

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

namespace {

using api::context::RuntimeContext;
using SpanPointer = api::nostd::shared_ptr<api::trace::Span>;
using BaggagePointer = api::nostd::shared_ptr<api::baggage::Baggage>;

// The marker. A context holds no objects of other types than the API's, so it is a span that does nothing.
class Marker final : public api::trace::DefaultSpan {
 public:
  Marker(const Context& of, const api::trace::Span* its_span, const api::baggage::Baggage* its_baggage,
         SpanRecord* its_record) noexcept
      : DefaultSpan(api::trace::SpanContext::GetInvalid()),
        context(of),
        span(its_span),
        baggage(its_baggage),
        record(its_record),
        record_serial(its_record != nullptr ? its_record->serial.load(std::memory_order_relaxed) : 0) {}

  const Context context;
  // What the same API context holds; only compared.
  const api::trace::Span* const span;
  const api::baggage::Baggage* const baggage;
  SpanRecord* const record;
  const std::uint32_t record_serial;
  const std::thread::id thread = std::this_thread::get_id();
};

// The marker's key: the bytes of an address, so that no two copies of the library share one.
constinit const char key_place = 0;
constinit const char* const key_address = &key_place;
api::nostd::string_view marker_key() noexcept {
  return {reinterpret_cast<const char*>(&key_address), sizeof key_address};
}

// What an API context holds of interest here.
class Entries {
 public:
  explicit Entries(const api::context::Context& context) noexcept
      : span_(context.GetValue(api::trace::kSpanKey)),
        baggage_(context.GetValue(api::baggage::kBaggageHeader)),
        marker_(context.GetValue(marker_key())) {}

  const SpanPointer* span() const noexcept { return existing<SpanPointer>(span_); }
  const BaggagePointer* baggage() const noexcept { return existing<BaggagePointer>(baggage_); }
  const Marker* marker() const noexcept {
    const SpanPointer* held = existing<SpanPointer>(marker_);
    return held != nullptr ? static_cast<const Marker*>(held->get()) : nullptr;
  }
  // The marker, when the application has put no other span on top of it.
  const Marker* marker_of_span() const noexcept {
    const Marker* found = marker();
    const SpanPointer* held = span();
    return found != nullptr && found->span == (held != nullptr ? held->get() : nullptr) ? found : nullptr;
  }

  SpanContext span_context() const noexcept {
    if (const Marker* found = marker_of_span(); found != nullptr) return found->context.span;
    const SpanPointer* held = span();
    return held != nullptr ? from_api((*held)->GetContext()) : SpanContext{};
  }
  Baggage current_baggage() const noexcept {
    const BaggagePointer* held = baggage();
    const Marker* found = marker();
    if (found != nullptr && found->baggage == (held != nullptr ? held->get() : nullptr))
      return found->context.baggage;
    if (held == nullptr) return {};
    return from_api(**held, found != nullptr ? found->context.baggage : Baggage{});
  }
  bool suppressed() const noexcept {
    const Marker* found = marker();
    return found != nullptr && found->context.suppressed;
  }

 private:
  template <class Pointer>
  static const Pointer* existing(const api::context::ContextValue& value) noexcept {
    const Pointer* held = api::nostd::get_if<Pointer>(&value);
    return held != nullptr && *held ? held : nullptr;
  }

  api::context::ContextValue span_;
  api::context::ContextValue baggage_;
  api::context::ContextValue marker_;
};

struct Activation {
  api::context::Context attached;
  api::nostd::unique_ptr<api::context::Token> token;  // its destructor detaches
  std::thread::id thread = std::this_thread::get_id();
  Activation* next = nullptr;
};

// Activations that ended while they could not be detached. Older ones give way to newer ones: a context that
// the application has popped already is never seen on top.
class EndedElsewhere {
 public:
  static constexpr std::size_t most = 1024;

  void add(Activation* activation) noexcept {
    Activation* given_up = nullptr;
    {
      std::lock_guard guard(lock_);
      (last_ != nullptr ? last_->next : first_) = activation;
      last_ = activation;
      if (size_.fetch_add(1, std::memory_order_relaxed) >= most) {
        given_up = first_;
        unlink(nullptr, first_);
      }
    }
    delete given_up;
  }

  void hold() noexcept { lock_.lock(); }
  void release() noexcept { lock_.unlock(); }

  // Detaches this thread's as long as one of them is on top.
  void repair() noexcept {
    if (size_.load(std::memory_order_relaxed) == 0) [[likely]]
      return;
    for (;;) {
      const api::context::Context top = RuntimeContext::GetCurrent();
      const bool none_is_left = top == api::context::Context();
      Activation* found = take(top, none_is_left);
      if (found == nullptr) return;
      delete found;
    }
  }

 private:
  Activation* take(const api::context::Context& top, bool any) noexcept {
    const std::thread::id here = std::this_thread::get_id();
    std::lock_guard guard(lock_);
    Activation* before = nullptr;
    for (Activation* each = first_; each != nullptr; before = each, each = each->next) {
      if (each->thread != here || !(any || each->attached == top)) continue;
      unlink(before, each);
      return each;
    }
    return nullptr;
  }
  void unlink(Activation* before, Activation* activation) noexcept {
    (before != nullptr ? before->next : first_) = activation->next;
    if (last_ == activation) last_ = before;
    size_.fetch_sub(1, std::memory_order_relaxed);
  }

  SpinLock lock_;
  Activation* first_ = nullptr;
  Activation* last_ = nullptr;
  std::atomic<std::size_t> size_{0};
};
constinit EndedElsewhere ended_elsewhere;

bool same_span(const SpanContext& a, const SpanContext& b) noexcept {
  return a.trace_id == b.trace_id && a.span_id == b.span_id;
}

Activation* make_activation(const Context& context, const SpanPointer& span, SpanRecord* record) {
  api::context::Context next = RuntimeContext::GetCurrent();
  const Entries current(next);

  SpanPointer shown = current.span() != nullptr ? *current.span() : SpanPointer();
  if (span || !same_span(current.span_context(), context.span)) {
    shown = span ? span : SpanPointer(new api::trace::DefaultSpan(to_api(context.span)));
    next = next.SetValue(api::trace::kSpanKey, shown);
  }
  BaggagePointer baggage = current.baggage() != nullptr ? *current.baggage() : BaggagePointer();
  if (!(current.current_baggage() == context.baggage)) {
    baggage = to_api(context.baggage);
    next = next.SetValue(api::baggage::kBaggageHeader, baggage);
  }
  const SpanPointer marker(new Marker(context, shown.get(), baggage.get(), record));
  next = next.SetValue(marker_key(), marker);

  auto activation = std::make_unique<Activation>();
  activation->attached = next;
  activation->token = RuntimeContext::Attach(next);
  return activation.release();
}

}  // namespace

Context read_current() noexcept {
  ended_elsewhere.repair();
  const Entries current(RuntimeContext::GetCurrent());
  return {current.span_context(), current.current_baggage(), current.suppressed()};
}

SpanContext read_current_span() noexcept {
  ended_elsewhere.repair();
  return Entries(RuntimeContext::GetCurrent()).span_context();
}

CurrentRecord read_current_record() noexcept {
  ended_elsewhere.repair();
  const Entries current(RuntimeContext::GetCurrent());
  const Marker* marker = current.marker_of_span();
  if (marker == nullptr || marker->thread != std::this_thread::get_id()) return {};
  return {marker->record, marker->record_serial};
}

ActivationToken attach(const Context& context, const SpanPointer& span, SpanRecord* record) noexcept {
  ended_elsewhere.repair();
  try {
    return {make_activation(context, span, record), 0, 0};
  } catch (...) {  // no memory: the current context stays
    count(Counter::scopes_too_deep);
    return {};
  }
}

void detach(const ActivationToken& token) noexcept {
  auto* activation = static_cast<Activation*>(token.place);
  if (activation == nullptr) return;
  if (activation->thread != std::this_thread::get_id()) {
    count(Counter::scopes_ended_elsewhere);
    report(Severity::warning, "scope.elsewhere",
           "A midtrace scope ended on another thread than the one it began on; the current context is "
           "repaired at that thread's next span. Keep a scope on its thread and hand the context over "
           "instead.");
    ended_elsewhere.add(activation);
    return;
  }
  ended_elsewhere.repair();
  if (RuntimeContext::GetCurrent() == activation->attached) [[likely]] {
    delete activation;
    ended_elsewhere.repair();
    return;
  }
  count(Counter::scopes_ended_out_of_order);
  report(Severity::warning, "scope.out_of_order",
         "A midtrace scope ended before one that began after it on the same thread, or after one of "
         "opentelemetry-cpp's that began before it; the current context is repaired at this thread's next "
         "span. End scopes in reverse order of their beginning.");
  ended_elsewhere.add(activation);
  ended_elsewhere.repair();
}

void hold_activations() noexcept { ended_elsewhere.hold(); }
void release_activations() noexcept { ended_elsewhere.release(); }

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
