// with_context(): an Asio executor whose handlers run under a context.
//
//   asio::post(midtrace::with_context(io.get_executor()), [] { settle(); });
//   socket.async_read_some(buffer, asio::bind_executor(midtrace::with_context(strand), on_read));
//   asio::co_spawn(midtrace::with_context(io.get_executor()), session(), asio::detached);
//
// The context is the one that is current when with_context() is called, or the given one; it is copied. Every
// piece that runs on the executor runs under it, on whichever thread: the handlers of a chain of operations,
// or each step of a coroutine between two suspensions. The inner executor decides all else, its properties
// can be asked and required as before, and two of these are equal when their executors and contexts are.
//
// Optional: it needs Asio (1.18 or newer, standalone), which midtrace itself does not. With Boost.Asio
// (1.74 or newer) define MIDTRACE_BOOST_ASIO in every file of the program that includes this. May be used
// from any thread, as the inner executor may. Nothing throws but what the inner executor and the handlers
// throw.
#pragma once

#ifdef MIDTRACE_BOOST_ASIO
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#else
#include <asio/any_io_executor.hpp>
#include <asio/execution.hpp>
#include <asio/prefer.hpp>
#include <asio/query.hpp>
#include <asio/require.hpp>
#endif

#include <type_traits>
#include <utility>

#include <midtrace/context/bind.h>
#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {

namespace detail {
#ifdef MIDTRACE_BOOST_ASIO
namespace asio_library = ::boost::asio;
#else
namespace asio_library = ::asio;
#endif

// Older versions hide their executors' own execute().
template <class Executor, class Function>
void execute_on(const Executor& executor, Function&& function) {
  if constexpr (requires { executor.execute(std::forward<Function>(function)); }) {
    executor.execute(std::forward<Function>(function));
  } else {
    asio_library::execution::execute(executor, std::forward<Function>(function));
  }
}
}  // namespace detail

template <class Executor>
class ContextExecutor {
 public:
  ContextExecutor(Executor executor, Context context) noexcept
      : executor_(std::move(executor)), context_(std::move(context)) {}

  const Context& traced_context() const noexcept { return context_; }
  const Executor& inner_executor() const noexcept { return executor_; }

  template <class Function>
  void execute(Function&& function) const {
    detail::execute_on(executor_, midtrace::bind(std::forward<Function>(function), context_));
  }

  template <class Property>
  requires detail::asio_library::can_query<const Executor&, Property>::value decltype(auto) query(
      const Property& property) const {
    return detail::asio_library::query(executor_, property);
  }
  template <class Property>
  requires detail::asio_library::can_require<const Executor&, Property>::value auto require(
      const Property& property) const {
    auto required = detail::asio_library::require(executor_, property);
    return ContextExecutor<decltype(required)>(std::move(required), context_);
  }
  template <class Property>
  requires detail::asio_library::can_prefer<const Executor&, Property>::value auto prefer(
      const Property& property) const {
    auto preferred = detail::asio_library::prefer(executor_, property);
    return ContextExecutor<decltype(preferred)>(std::move(preferred), context_);
  }

  friend bool operator==(const ContextExecutor& a, const ContextExecutor& b) noexcept {
    return a.executor_ == b.executor_ && a.context_ == b.context_;
  }
  friend bool operator!=(const ContextExecutor& a, const ContextExecutor& b) noexcept { return !(a == b); }

 private:
  Executor executor_;
  Context context_;
};

template <class Executor>
ContextExecutor<Executor> with_context(Executor executor, Context context = Context::current()) noexcept {
  return {std::move(executor), std::move(context)};
}

}  // namespace v1
}  // namespace midtrace
