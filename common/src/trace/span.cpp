#include <midtrace/trace/span.h>

#include <midtrace/trace/backend.h>

#include "fork.h"
#include "native_backend.h"
#include "record.h"

namespace midtrace {
inline namespace v1 {

Span& Span::operator=(Span&& other) noexcept {
  if (this != &other) {
    end();
    context_ = std::move(other.context_);
    record_ = std::exchange(other.record_, nullptr);
    backend_ = std::exchange(other.backend_, nullptr);
    word_ = std::exchange(other.word_, 0);
  }
  return *this;
}

void Span::set(std::span<const Attribute> attributes) noexcept {
  if (record_ == nullptr) return;
  for (const Attribute& attribute : attributes)
    record_attribute(*record_, attribute.key, attribute.value);
}

void Span::put(const AnyKey& key, const AttributeValue& value) noexcept {
  record_attribute(*record_, key, value);
}
void Span::put(const AnyKey& key, std::string_view value) noexcept { record_string(*record_, key, value); }
void Span::put(const AnyKey& key, std::int64_t value) noexcept { record_integer(*record_, key, value); }
void Span::put(const AnyKey& key, double value) noexcept { record_real(*record_, key, value); }
void Span::put(const AnyKey& key, bool value) noexcept { record_boolean(*record_, key, value); }
void Span::put_static_string(const AnyKey& key, std::string_view value) noexcept {
  record_static_string(*record_, key, value);
}

void Span::replace_name(std::string_view name) noexcept { record_name(*record_, name); }

void Span::replace_status(StatusCode code, std::string_view description) noexcept {
  record_status(*record_, code, description);
}

void Span::record_error(std::string_view error_type, std::string_view description) noexcept {
  midtrace::record_error(*record_, error_type, description);
}

void Span::append_event(std::string_view name, std::span<const Attribute> attributes) noexcept {
  record_event(*record_, name, NativeBackend::instance().tick(), attributes);
}

void Span::append_link(const Link& link) noexcept { record_link(*record_, link); }

void Span::append_exception(const std::exception& exception) noexcept {
  midtrace::record_exception(*record_, exception);
}

void Span::record_failure(const std::exception& exception) noexcept {
  midtrace::record_failure(*record_, exception);
}

void Span::finish() noexcept {
  SpanRecord* record = std::exchange(record_, nullptr);
  NativeBackend& native = NativeBackend::instance();
  record->end_serial();
  record->close_attributes();
  record->end_tick = native.tick();
  if (backend_ == &native) [[likely]] {
    native.NativeBackend::finish(record, word_);
  } else {
    backend_->finish(record, word_);
  }
}

void Span::discard() noexcept {
  if (record_ == nullptr) return;
  record_->end_serial();
  backend_->discard(std::exchange(record_, nullptr), word_);
}

Scope Span::activate() const noexcept {
  Context context = Context::current();
  context.span = context_;
  return Scope(context, word_, record_);
}

Scope Span::activate(const Context& around) const noexcept {
  Context context = around;
  context.span = context_;
  return Scope(context, word_, record_);
}

PendingSpan& PendingSpan::operator=(PendingSpan&& other) noexcept {
  if (this != &other) {
    if (backend_ != nullptr) abandon();
    context_ = std::move(other.context_);
    parent_span_id_ = other.parent_span_id_;
    start_tick_ = other.start_tick_;
    word_ = other.word_;
    backend_ = std::exchange(other.backend_, nullptr);
    sampler_attributes_ = std::exchange(other.sampler_attributes_, nullptr);
    fork_generation_ = other.fork_generation_;
    parent_remote_ = other.parent_remote_;
  }
  return *this;
}

void PendingSpan::discard() noexcept {
  if (Backend* backend = std::exchange(backend_, nullptr); backend != nullptr)
    backend->discard(std::exchange(sampler_attributes_, nullptr), word_);
}

void PendingSpan::abandon() noexcept {
  count(Counter::operations_lost);
  discard();
}

}  // namespace v1
}  // namespace midtrace
