// Span: one operation while it runs.
//
// Concrete, move-only, owned by one thread at a time (hand it over by std::move), ends in its destructor.
// When it does not record (unsampled, no memory, no backend) every setter is one inline branch, and context()
// still holds the ids that go on the wire. Setters never throw, never block, and copy what they are given;
// what exceeds a limit (SpanLimits, types.h) is dropped and counted. Setting an attribute again replaces its
// value. After end() setters do nothing.
//
// PendingSpan: a span of an asynchronous operation, in at most 96 bytes; it becomes a Span when the operation
// completes (Tracer::resume), so that a hundred thousand open operations hold no records (only where a
// sampler adds attributes to the span it holds one, for them). Source: OpenTelemetry Trace API, Span;
// conventions 6.
#pragma once

#include <cstdint>
#include <exception>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include <midtrace/context/context.h>
#include <midtrace/trace/attribute.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

class Backend;
struct SpanRecord;

class [[nodiscard]] Span {
 public:
  // A span that records nothing and has no context.
  Span() noexcept = default;
  Span(Span&& other) noexcept
      : context_(std::move(other.context_)),
        record_(std::exchange(other.record_, nullptr)),
        backend_(std::exchange(other.backend_, nullptr)),
        word_(std::exchange(other.word_, 0)) {}
  Span& operator=(Span&& other) noexcept;
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;
  ~Span() { end(); }

  bool recording() const noexcept { return record_ != nullptr; }
  const SpanContext& context() const noexcept { return context_; }

  template <class Value>
  void set(const AttributeKey<Value>& key, std::type_identity_t<Value> value) noexcept {
    if (record_ != nullptr) put(key, value);
  }
  // A literal is referenced instead of copied.
  void set(const AttributeKey<std::string_view>& key, StaticString value) noexcept {
    if (record_ != nullptr) put_static_string(key, value.text());
  }
  void set(std::string_view key, const AttributeValue& value) noexcept {
    if (record_ != nullptr) put(AnyKey(key), value);
  }
  void set(std::span<const Attribute> attributes) noexcept;
  // `make_value` runs only when the span records.
  template <class Value, class Function>
  void set_lazy(const AttributeKey<Value>& key, Function&& make_value) {
    if (record_ != nullptr) {
      const auto& value = make_value();
      put(key, static_cast<Value>(value));
    }
  }

  // Bounded by SpanLimits::span_bytes only; the earlier name stays when there is no room for this one.
  void set_name(std::string_view name) noexcept {
    if (record_ != nullptr) replace_name(name);
  }
  // The description is kept only with StatusCode::error.
  void set_status(StatusCode code, std::string_view description = {}) noexcept {
    if (record_ != nullptr) replace_status(code, description);
  }
  // Status error and the attribute `error.type`. A description only where it adds something that is not
  // sensitive.
  void set_error(std::string_view error_type, std::string_view description = {}) noexcept {
    if (record_ != nullptr) record_error(error_type, description);
  }
  // The exception made the operation fail: its event, status error with its message, `error.type` its type.
  void set_error(const std::exception& exception) noexcept {
    if (record_ != nullptr) record_failure(exception);
  }
  void add_event(std::string_view name, std::span<const Attribute> attributes = {}) noexcept {
    if (record_ != nullptr) append_event(name, attributes);
  }
  void add_event(std::string_view name, std::initializer_list<Attribute> attributes) noexcept {
    add_event(name, std::span<const Attribute>(attributes.begin(), attributes.size()));
  }
  void add_link(const Link& link) noexcept {
    if (record_ != nullptr) append_link(link);
  }
  // An event `exception` with the exception's type and message; does not change the status.
  void record_exception(const std::exception& exception) noexcept {
    if (record_ != nullptr) append_exception(exception);
  }

  // Makes this span the current one of this thread until the scope ends. The scope does not end the span;
  // baggage and suppression stay those of the current context.
  Scope activate() const noexcept;
  // The same with this context around the span: its baggage and suppression.
  Scope activate(const Context& around) const noexcept;

  void end() noexcept {
    if (record_ != nullptr) finish();
  }
  // Gives the span up: it will not be exported.
  void discard() noexcept;

 private:
  friend class Tracer;
  friend struct SpanAccess;  // the library's own way to the record

  void put(const AnyKey& key, const AttributeValue& value) noexcept;
  void put(const AnyKey& key, std::string_view value) noexcept;
  void put(const AnyKey& key, std::int64_t value) noexcept;
  void put(const AnyKey& key, double value) noexcept;
  void put(const AnyKey& key, bool value) noexcept;
  template <class Element>
  void put(const AnyKey& key, std::span<const Element> value) noexcept {
    put(key, AttributeValue(value));
  }
  void put_static_string(const AnyKey& key, std::string_view value) noexcept;
  void replace_name(std::string_view name) noexcept;
  void replace_status(StatusCode code, std::string_view description) noexcept;
  void record_error(std::string_view error_type, std::string_view description) noexcept;
  void append_event(std::string_view name, std::span<const Attribute> attributes) noexcept;
  void append_link(const Link& link) noexcept;
  void append_exception(const std::exception& exception) noexcept;
  void record_failure(const std::exception& exception) noexcept;
  void finish() noexcept;

  SpanContext context_;
  SpanRecord* record_ = nullptr;
  Backend* backend_ = nullptr;
  std::uint64_t word_ = 0;
};

// Move-only. One that is destroyed without being resumed is discarded and counted as a lost operation.
class [[nodiscard]] PendingSpan {
 public:
  PendingSpan() noexcept = default;
  PendingSpan(PendingSpan&& other) noexcept
      : context_(std::move(other.context_)),
        parent_span_id_(other.parent_span_id_),
        start_tick_(other.start_tick_),
        word_(other.word_),
        backend_(std::exchange(other.backend_, nullptr)),
        sampler_attributes_(std::exchange(other.sampler_attributes_, nullptr)),
        fork_generation_(other.fork_generation_),
        parent_remote_(other.parent_remote_) {}
  PendingSpan& operator=(PendingSpan&& other) noexcept;
  PendingSpan(const PendingSpan&) = delete;
  PendingSpan& operator=(const PendingSpan&) = delete;
  ~PendingSpan() {
    if (backend_ != nullptr) abandon();
  }

  bool recording() const noexcept { return backend_ != nullptr; }
  const SpanContext& context() const noexcept { return context_; }
  // Drops it without counting a loss.
  void discard() noexcept;

 private:
  friend class Tracer;
  void abandon() noexcept;

  SpanContext context_;
  SpanId parent_span_id_;
  std::uint64_t start_tick_ = 0;
  std::uint64_t word_ = 0;
  Backend* backend_ = nullptr;                // null: nothing to resume
  SpanRecord* sampler_attributes_ = nullptr;  // a record of only these; null when there are none
  std::uint32_t fork_generation_ = 0;
  bool parent_remote_ = false;
};

static_assert(sizeof(PendingSpan) <= 96);

}  // namespace v1
}  // namespace midtrace
