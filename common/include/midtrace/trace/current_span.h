// current_span(): annotates the span of the innermost scope from anywhere below it.
//
//   void price(const Order& order) { midtrace::current_span().set("order.lines", order.lines()); }
//
// A CurrentSpan refers to a span of this copy of midtrace that a Scope made current on the calling thread; it
// does not own it and cannot end it. It records only where that scope was made: on another thread, under a
// bare context (bind() and coroutines carry contexts, not records), for a span that does not record, and once
// the span has ended, its setters do nothing. Use it at once and do not keep it. A span that is handed to
// another thread must not be current on this one any more. Nothing throws. Source: OpenTelemetry Trace API,
// get the active span.
#pragma once

#include <cstdint>
#include <exception>
#include <initializer_list>
#include <span>
#include <string_view>
#include <type_traits>

#include <midtrace/context/context.h>
#include <midtrace/trace/attribute.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

class CurrentSpan {
 public:
  bool recording() const noexcept;
  // Of the current context, whether or not it records here.
  SpanContext context() const noexcept;

  template <class Value>
  void set(const AttributeKey<Value>& key, std::type_identity_t<Value> value) const noexcept {
    put(key, value);
  }
  void set(std::string_view key, const AttributeValue& value) const noexcept { put(AnyKey(key), value); }
  void set(std::span<const Attribute> attributes) const noexcept;
  void set_name(std::string_view name) const noexcept;
  void set_status(StatusCode code, std::string_view description = {}) const noexcept;
  void set_error(std::string_view error_type, std::string_view description = {}) const noexcept;
  void add_event(std::string_view name, std::span<const Attribute> attributes = {}) const noexcept;
  void add_event(std::string_view name, std::initializer_list<Attribute> attributes) const noexcept {
    add_event(name, std::span<const Attribute>(attributes.begin(), attributes.size()));
  }
  void add_link(const Link& link) const noexcept;
  void record_exception(const std::exception& exception) const noexcept;

 private:
  friend CurrentSpan current_span() noexcept;
  CurrentSpan(SpanRecord* record, std::uint32_t serial) noexcept : record_(record), serial_(serial) {}
  void put(const AnyKey& key, const AttributeValue& value) const noexcept;

  SpanRecord* record_;
  std::uint32_t serial_;
};

CurrentSpan current_span() noexcept;

}  // namespace v1
}  // namespace midtrace
