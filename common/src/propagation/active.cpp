#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

#include <midtrace/propagation/propagator.h>

#include "../context/ascii.h"

namespace midtrace {
inline namespace v1 {

namespace {

// `tracecontext,baggage` without an allocation or a virtual call between the parts.
class DefaultPropagator final : public Propagator {
 public:
  void inject(const Context& context, CarrierWriter& carrier) const noexcept override {
    trace_context_.inject(context, carrier);
    baggage_.inject(context, carrier);
  }
  void extract(const CarrierReader& carrier, Context& into) const noexcept override {
    trace_context_.extract(carrier, into);
    baggage_.extract(carrier, into);
  }
  std::span<const std::string_view> fields() const noexcept override {
    static constexpr std::array<std::string_view, 3> names{"traceparent", "tracestate", "baggage"};
    return names;
  }

 private:
  TraceContextPropagator trace_context_;
  BaggagePropagator baggage_;
};

// Never destroyed, so that destructors of statics may still inject.
const Propagator& default_propagator() noexcept {
  alignas(DefaultPropagator) static std::byte place[sizeof(DefaultPropagator)];
  static const Propagator* const made = ::new (place) DefaultPropagator;
  return *made;
}

// Every propagator that was ever set, because a thread may be using it. Only grows.
struct Kept {
  std::shared_ptr<const Propagator> propagator;
  Kept* next;
};
constinit std::atomic<Kept*> kept{nullptr};
constinit std::atomic<const Propagator*> active{nullptr};  // null: the default

bool is_kept(const Propagator* propagator) noexcept {
  for (const Kept* node = kept.load(std::memory_order_acquire); node != nullptr; node = node->next)
    if (node->propagator.get() == propagator) return true;
  return false;
}

bool equals_in_any_case(std::string_view text, std::string_view lower_case) noexcept {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower_case[i]) return false;
  }
  return true;
}

}  // namespace

const Propagator& propagator() noexcept {
  const Propagator* const current = active.load(std::memory_order_acquire);
  return current != nullptr ? *current : default_propagator();
}

void set_propagator(std::shared_ptr<const Propagator> replacement) noexcept {
  const Propagator* const chosen = replacement.get();
  if (chosen != nullptr && !is_kept(chosen)) {
    auto* const node = new (std::nothrow) Kept{std::move(replacement), kept.load(std::memory_order_relaxed)};
    if (node == nullptr) return;
    while (
        !kept.compare_exchange_weak(node->next, node, std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
  }
  active.store(chosen, std::memory_order_release);
}

std::shared_ptr<const Propagator> make_propagator(std::string_view names,
                                                  FunctionRef<void(std::string_view name)> unknown) {
  bool wants_trace_context = false;
  bool wants_baggage = false;
  bool wants_none = false;
  while (!names.empty()) {
    const std::string_view name = trim(take_until(names, ','));
    if (name.empty()) continue;
    if (equals_in_any_case(name, "tracecontext")) {
      wants_trace_context = true;
    } else if (equals_in_any_case(name, "baggage")) {
      wants_baggage = true;
    } else if (equals_in_any_case(name, "none")) {
      wants_none = true;
    } else {
      unknown(name);
    }
  }
  if (wants_none && (wants_trace_context || wants_baggage)) unknown("none");
  if (!wants_none && !wants_trace_context && !wants_baggage) wants_trace_context = wants_baggage = true;

  if (wants_trace_context && wants_baggage) return std::make_shared<DefaultPropagator>();
  std::vector<std::shared_ptr<const Propagator>> parts;
  if (wants_trace_context) parts.push_back(std::make_shared<TraceContextPropagator>());
  if (wants_baggage) parts.push_back(std::make_shared<BaggagePropagator>());
  return std::make_shared<CompositePropagator>(std::move(parts));
}

}  // namespace v1
}  // namespace midtrace
