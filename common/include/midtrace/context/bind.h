// bind(), start_thread(), start_async(), post(): the current context goes along with work that runs
// elsewhere.
//
//   pool.submit(midtrace::bind([=] { settle(order); }));       // settle() sees the context of this line
//   std::thread worker = midtrace::start_thread(settle, order);
//
// What is bound is a copy of a context: ids, baggage and suppression, never a span's record, so the span may
// end before the work runs, and may be ended by its owner meanwhile. The context is current while the
// callable runs and the thread's own afterwards, also when it throws. A bound callable may be called from any
// thread, also repeatedly and concurrently where the callable itself may. Nothing here throws but what the
// callable, its copy, or the executor throws. Source: OpenTelemetry Context API.
#pragma once

#include <concepts>
#include <functional>
#include <future>
#include <thread>
#include <type_traits>
#include <utility>

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {

template <class Callable>
class Bound {
 public:
  Bound(Callable callable, Context context) noexcept(std::is_nothrow_move_constructible_v<Callable>)
      : callable_(std::move(callable)), context_(std::move(context)) {}

  template <class... Arguments>
  requires std::invocable<Callable&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) & {
    const Scope scope(context_);
    return std::invoke(callable_, std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  requires std::invocable<const Callable&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) const& {
    const Scope scope(context_);
    return std::invoke(callable_, std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  requires std::invocable<Callable, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) && {
    const Scope scope(context_);
    return std::invoke(std::move(callable_), std::forward<Arguments>(arguments)...);
  }

  const Context& context() const noexcept { return context_; }

 private:
  Callable callable_;
  Context context_;
};

// Of the current context, or of the given one.
template <class Callable>
Bound<std::decay_t<Callable>> bind(Callable&& callable, Context context = Context::current()) {
  return {std::forward<Callable>(callable), std::move(context)};
}

// A std::thread that begins with the current context.
template <class Callable, class... Arguments>
std::thread start_thread(Callable&& callable, Arguments&&... arguments) {
  return std::thread(midtrace::bind(std::forward<Callable>(callable)), std::forward<Arguments>(arguments)...);
}

// std::async with the current context.
template <class Callable, class... Arguments>
auto start_async(std::launch policy, Callable&& callable, Arguments&&... arguments) {
  return std::async(policy, midtrace::bind(std::forward<Callable>(callable)),
                    std::forward<Arguments>(arguments)...);
}

// Hands the work with the current context to anything that has post(callable), submit(callable) or
// execute(callable), in this order, and returns what that returns.
template <class Executor, class Callable>
decltype(auto) post(Executor&& executor, Callable&& callable) {
  using Work = Bound<std::decay_t<Callable>>;
  if constexpr (requires(Work work) { executor.post(std::move(work)); }) {
    return executor.post(midtrace::bind(std::forward<Callable>(callable)));
  } else if constexpr (requires(Work work) { executor.submit(std::move(work)); }) {
    return executor.submit(midtrace::bind(std::forward<Callable>(callable)));
  } else {
    return executor.execute(midtrace::bind(std::forward<Callable>(callable)));
  }
}

}  // namespace v1
}  // namespace midtrace
