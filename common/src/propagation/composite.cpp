#include <algorithm>
#include <utility>

#include <midtrace/propagation/propagator.h>

namespace midtrace {
inline namespace v1 {

CompositePropagator::CompositePropagator(std::vector<std::shared_ptr<const Propagator>> parts)
    : parts_(std::move(parts)) {
  std::erase(parts_, nullptr);
  for (const auto& part : parts_)
    for (const std::string_view field : part->fields())
      if (std::find(fields_.begin(), fields_.end(), field) == fields_.end()) fields_.push_back(field);
}

void CompositePropagator::inject(const Context& context, CarrierWriter& carrier) const noexcept {
  for (const auto& part : parts_)
    part->inject(context, carrier);
}

void CompositePropagator::extract(const CarrierReader& carrier, Context& into) const noexcept {
  for (const auto& part : parts_)
    part->extract(carrier, into);
}

std::span<const std::string_view> CompositePropagator::fields() const noexcept { return fields_; }

}  // namespace v1
}  // namespace midtrace
