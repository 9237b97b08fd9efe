#include <midtrace/trace/current_span.h>

#include <midtrace/trace/backend.h>

#include "native_backend.h"
#include "record.h"
#include "thread_block.h"

namespace midtrace {
inline namespace v1 {

CurrentSpan current_span() noexcept {
  if (Backend& backend = active_backend(); &backend != &NativeBackend::instance()) {
    const CurrentRecord current = backend.current_record();
    return {current.record, current.serial};
  }
  ThreadBlock* block = this_thread_block_if_any();
  if (block == nullptr) return {nullptr, 0};
  const ContextSlot* slot = block->top();
  return slot != nullptr ? CurrentSpan(slot->record, slot->record_serial) : CurrentSpan(nullptr, 0);
}

// A record's serial changes when its span ends.
bool CurrentSpan::recording() const noexcept {
  return record_ != nullptr && record_->serial.load(std::memory_order_relaxed) == serial_;
}

SpanContext CurrentSpan::context() const noexcept { return Context::current().span; }

void CurrentSpan::put(const AnyKey& key, const AttributeValue& value) const noexcept {
  if (recording()) record_attribute(*record_, key, value);
}

void CurrentSpan::set(std::span<const Attribute> attributes) const noexcept {
  for (const Attribute& attribute : attributes)
    put(attribute.key, attribute.value);
}

void CurrentSpan::set_name(std::string_view name) const noexcept {
  if (recording()) record_name(*record_, name);
}

void CurrentSpan::set_status(StatusCode code, std::string_view description) const noexcept {
  if (recording()) record_status(*record_, code, description);
}

void CurrentSpan::set_error(std::string_view error_type, std::string_view description) const noexcept {
  if (recording()) record_error(*record_, error_type, description);
}

void CurrentSpan::add_event(std::string_view name, std::span<const Attribute> attributes) const noexcept {
  if (recording()) record_event(*record_, name, NativeBackend::instance().tick(), attributes);
}

void CurrentSpan::add_link(const Link& link) const noexcept {
  if (recording()) record_link(*record_, link);
}

void CurrentSpan::record_exception(const std::exception& exception) const noexcept {
  if (recording()) midtrace::record_exception(*record_, exception);
}

}  // namespace v1
}  // namespace midtrace
