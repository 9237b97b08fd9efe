#include <midtrace/trace/processor.h>

#include "record.h"

namespace midtrace {
inline namespace v1 {

void FinishedSpan::set(const AnyKey& key, const AttributeValue& value) noexcept {
  record_attribute(*record_, key, value);
  record_->close_attributes();
}

void FinishedSpan::set_name(std::string_view name) noexcept { record_name(*record_, name); }

}  // namespace v1
}  // namespace midtrace
