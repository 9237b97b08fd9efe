// Carried: a context that goes along with the void* of a C callback.
//
//   c_library_read(handle, [](void* opaque) {
//     const auto request = midtrace::Carried<Request>::take(opaque);
//     const midtrace::Scope scope(request->context);
//     finish(request->value);
//   }, midtrace::carry(Request{id}).release());
//
// It holds a copy of the current context and a value of the application's. release() gives the pointer up to
// the C library; take() owns it again, once for each release(); peek() only looks, for callbacks that come
// repeatedly. It may be taken on any thread. carry() throws std::bad_alloc, and what moving the value throws.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {

template <class Value>
struct Carried {
  Context context;
  Value value;

  static std::unique_ptr<Carried> take(void* opaque) noexcept {
    return std::unique_ptr<Carried>(static_cast<Carried*>(opaque));
  }
  static Carried& peek(void* opaque) noexcept { return *static_cast<Carried*>(opaque); }
};

template <class Value>
std::unique_ptr<Carried<std::decay_t<Value>>> carry(Value&& value, Context context = Context::current()) {
  return std::make_unique<Carried<std::decay_t<Value>>>(
      Carried<std::decay_t<Value>>{std::move(context), std::forward<Value>(value)});
}

}  // namespace v1
}  // namespace midtrace
