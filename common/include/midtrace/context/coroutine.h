// CoroutineScope: a current context that a C++20 coroutine takes along, also to another thread.
//
//   Task<void> settle(Order order) {
//     const midtrace::Span span = tracer.start("settle");
//     midtrace::CoroutineScope scope(span);
//     const Reply reply = co_await scope.await(client.charge(order));
//     confirm(reply);  // current here and before, and not meanwhile
//   }
//
// A Scope must not live across a suspension: the thread would keep the context while it does other work, and
// the coroutine would end it elsewhere. await() ends the activation before the coroutine suspends and begins
// one where it resumes, whichever thread that is, also when the awaited operation throws or was ready at
// once. Scopes of one coroutine may be nested by naming the outer one; awaiting through the inner one takes
// both along.
//
// It belongs to its coroutine: one thread at a time, neither copied nor moved. Nothing here throws but what
// the awaited operation throws. Source: OpenTelemetry Context API.
#pragma once

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include <midtrace/context/context.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {

namespace detail {

// What co_await makes of an operand, without the coroutine's own await_transform.
template <class Awaitable>
decltype(auto) awaiter_of(Awaitable&& awaitable) {
  if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
    return std::forward<Awaitable>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<Awaitable>(awaitable)); }) {
    return operator co_await(std::forward<Awaitable>(awaitable));
  } else {
    return std::forward<Awaitable>(awaitable);
  }
}

}  // namespace detail

class [[nodiscard]] CoroutineScope {
 public:
  explicit CoroutineScope(Context context, CoroutineScope* outer = nullptr) noexcept
      : context_(std::move(context)), outer_(outer) {
    scope_.emplace(context_);
  }
  // The span's own context, with the baggage and suppression that are current now. The span stays its
  // owner's.
  explicit CoroutineScope(const Span& span, CoroutineScope* outer = nullptr) noexcept
      : CoroutineScope(with(span), outer) {}
  CoroutineScope(const CoroutineScope&) = delete;
  CoroutineScope& operator=(const CoroutineScope&) = delete;

  const Context& context() const noexcept { return context_; }

  // By hand, where an awaitable cannot be wrapped: detach() before the coroutine suspends, attach() once it
  // runs again, also after an exception. Both may be called repeatedly.
  //
  //   scope.detach();
  //   co_await timer.async_wait(asio::use_awaitable);
  //   scope.attach();
  void detach() noexcept {
    scope_.reset();
    if (outer_ != nullptr) outer_->detach();
  }
  void attach() noexcept {
    if (outer_ != nullptr) outer_->attach();
    if (!scope_.has_value()) scope_.emplace(context_);
  }

  // An awaitable that gives what `awaitable` gives. It must be awaited at once. Where the promise has an
  // await_transform, that sees this awaitable and not the wrapped one; where it takes none but its own
  // library's (asio::awaitable), this does not compile: use detach() and attach().
  template <class Awaitable>
  auto await(Awaitable&& awaitable) {
    return Await<decltype(detail::awaiter_of(std::forward<Awaitable>(awaitable)))>(
        *this, std::forward<Awaitable>(awaitable));
  }

 private:
  static Context with(const Span& span) noexcept {
    Context context = Context::current();
    context.span = span.context();
    return context;
  }

  // An lvalue or a value, as the operand was.
  template <class Awaiter>
  class Await {
   public:
    // Made in place, since an awaiter need not be movable.
    template <class Awaitable>
    Await(CoroutineScope& scope, Awaitable&& awaitable)
        : scope_(scope), awaiter_(detail::awaiter_of(std::forward<Awaitable>(awaitable))) {}

    bool await_ready() { return awaiter_.await_ready(); }
    // Nothing of ours may be touched once the coroutine is suspended: it may already run elsewhere. Not
    // inlined: clang before 17 would keep the locals of the awaiter's await_suspend in the coroutine's frame,
    // which may be gone before they are.
    template <class Promise>
    [[gnu::noinline]] auto await_suspend(std::coroutine_handle<Promise> handle) {
      scope_.detach();
      try {
        return awaiter_.await_suspend(handle);
      } catch (...) {  // then the coroutine runs on
        scope_.attach();
        throw;
      }
    }
    decltype(auto) await_resume() {
      scope_.attach();
      return awaiter_.await_resume();
    }

   private:
    CoroutineScope& scope_;
    Awaiter awaiter_;
  };

  Context context_;
  CoroutineScope* outer_;
  std::optional<Scope> scope_;
};

}  // namespace v1
}  // namespace midtrace
