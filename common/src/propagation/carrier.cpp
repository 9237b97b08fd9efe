#include <midtrace/propagation/carrier.h>

namespace midtrace {
inline namespace v1 {

void MapCarrier::get_all(std::string_view name, FunctionRef<bool(std::string_view)> visit) const noexcept {
  const auto field = map_->find(name);
  if (field != map_->end()) visit(field->second);
}

void MapCarrier::for_each(FunctionRef<bool(std::string_view, std::string_view)> visit) const noexcept {
  for (const auto& [name, value] : *map_)
    if (!visit(name, value)) return;
}

void MapCarrier::set(std::string_view name, std::string_view value) noexcept {
  try {
    const auto field = map_->find(name);
    if (field != map_->end()) {
      field->second.assign(value);
    } else {
      map_->emplace(name, value);
    }
  } catch (...) {
    // No memory: the field is missing, which is what the receiver of a lost header sees too.
  }
}

}  // namespace v1
}  // namespace midtrace
