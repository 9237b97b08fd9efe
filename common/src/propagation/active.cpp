#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

#include <midtrace/propagation/b3.h>
#include <midtrace/propagation/jaeger.h>
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

struct Known {
  std::string_view name;
  std::shared_ptr<const Propagator> (*make)();
};

constexpr std::string_view trace_context_name = "tracecontext";
constexpr std::string_view baggage_name = "baggage";
constexpr std::string_view none_name = "none";

constexpr Known known[] = {
    {trace_context_name,
     []() -> std::shared_ptr<const Propagator> { return std::make_shared<TraceContextPropagator>(); }},
    {baggage_name,
     []() -> std::shared_ptr<const Propagator> { return std::make_shared<BaggagePropagator>(); }},
    {"b3",
     []() -> std::shared_ptr<const Propagator> { return std::make_shared<B3Propagator>(B3Format::single); }},
    {"b3multi",
     []() -> std::shared_ptr<const Propagator> { return std::make_shared<B3Propagator>(B3Format::multi); }},
    {"jaeger", []() -> std::shared_ptr<const Propagator> { return std::make_shared<JaegerPropagator>(); }},
};

const Known* find_known(std::string_view name) noexcept {
  for (const Known& candidate : known)
    if (equals_in_any_case(name, candidate.name)) return &candidate;
  return nullptr;
}

// The usual pair, in either order.
bool is_default(const std::vector<const Known*>& wanted) noexcept {
  return wanted.size() == 2 && std::all_of(wanted.begin(), wanted.end(), [](const Known* one) {
           return one->name == trace_context_name || one->name == baggage_name;
         });
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
  std::vector<const Known*> wanted;
  bool wants_none = false;
  while (!names.empty()) {
    const std::string_view name = trim(take_until(names, ','));
    if (name.empty()) continue;
    if (const Known* const one = find_known(name); one != nullptr) {
      if (std::find(wanted.begin(), wanted.end(), one) == wanted.end()) wanted.push_back(one);
    } else if (equals_in_any_case(name, none_name)) {
      wants_none = true;
    } else {
      unknown(name);
    }
  }
  if (wants_none && !wanted.empty()) unknown(none_name);
  if ((!wants_none && wanted.empty()) || is_default(wanted)) return std::make_shared<DefaultPropagator>();
  std::vector<std::shared_ptr<const Propagator>> parts;
  parts.reserve(wanted.size());
  for (const Known* const one : wanted)
    parts.push_back(one->make());
  return std::make_shared<CompositePropagator>(std::move(parts));
}

bool is_baggage_field(std::string_view name) noexcept {
  return name == baggage_name || name.starts_with(jaeger_baggage_prefix);
}

}  // namespace v1
}  // namespace midtrace
