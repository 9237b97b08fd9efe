// traced(): a callable that runs in a span of its own.
//
//   auto settle = midtrace::traced("settle", settle_payment);
//   Receipt receipt = settle(order);
//
// The span is current while the callable runs. An exception that escapes is recorded (type and message),
// makes the span an error, and goes on. The return type and the value category stay. Arguments and results
// are left alone unless functions are given that describe them; those run only when the span records, and
// what they throw is swallowed and counted:
//
//   auto settle = midtrace::traced("settle", settle_payment)
//       .arguments([](Span& span, const Order& order) { span.set("order.id", order.id()); })
//       .result([](Span& span, const Receipt& receipt) { span.set("receipt", receipt.number()); });
//
// For a callable that returns a coroutine the span covers the making of it, not its steps; use CoroutineScope
// in it. A Traced is a value; it may be called from several threads when its callables may. Making one copies
// the name. Source: OpenTelemetry Trace API; conventions 6.
#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <midtrace/context/context.h>
#include <midtrace/trace/span.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {

namespace detail {

// Describes nothing.
struct Nothing {
  template <class... Values>
  void operator()(Span&, Values&&...) const noexcept {}
};

// Counts and reports what a function that describes a span has thrown.
void description_failed() noexcept;

template <class Describe, class... Values>
void describe_safely(const Describe& describe, Span& span, const Values&... values) noexcept {
  if (!span.recording()) return;
  try {
    describe(span, values...);
  } catch (...) {
    description_failed();
  }
}

}  // namespace detail

struct TracedOptions {
  SpanKind kind = SpanKind::internal;
  Tracer tracer = Tracer::get("midtrace.traced");
};

template <class Callable, class DescribeArguments = detail::Nothing, class DescribeResult = detail::Nothing>
class Traced {
 public:
  Traced(std::string name, TracedOptions options, Callable callable,
         DescribeArguments describe_arguments = {}, DescribeResult describe_result = {})
      : name_(std::move(name)),
        options_(options),
        callable_(std::move(callable)),
        describe_arguments_(std::move(describe_arguments)),
        describe_result_(std::move(describe_result)) {}

  // describe(span, const arguments&...), before the call.
  template <class Describe>
  Traced<Callable, Describe, DescribeResult> arguments(Describe describe) && {
    return {std::move(name_), options_, std::move(callable_), std::move(describe),
            std::move(describe_result_)};
  }
  // describe(span, const result&), after a call that returned something.
  template <class Describe>
  Traced<Callable, DescribeArguments, Describe> result(Describe describe) && {
    return {std::move(name_), options_, std::move(callable_), std::move(describe_arguments_),
            std::move(describe)};
  }

  template <class... Arguments>
  requires std::invocable<Callable&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) {
    return call(callable_, std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  requires std::invocable<const Callable&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) const {
    return call(callable_, std::forward<Arguments>(arguments)...);
  }

 private:
  template <class Invoked, class... Arguments>
  decltype(auto) call(Invoked& callable, Arguments&&... arguments) const {
    using Result = std::invoke_result_t<Invoked&, Arguments...>;
    Span span = options_.tracer.start(name_, {.kind = options_.kind});
    const Scope scope = span.activate();
    detail::describe_safely(describe_arguments_, span, arguments...);
    try {
      if constexpr (std::is_void_v<Result>) {
        std::invoke(callable, std::forward<Arguments>(arguments)...);
      } else if constexpr (std::is_same_v<DescribeResult, detail::Nothing>) {
        return std::invoke(callable, std::forward<Arguments>(arguments)...);
      } else {
        Result result = std::invoke(callable, std::forward<Arguments>(arguments)...);
        detail::describe_safely(describe_result_, span, result);
        if constexpr (std::is_reference_v<Result>) {
          return static_cast<Result>(result);
        } else {
          return result;
        }
      }
    } catch (const std::exception& exception) {
      span.set_error(exception);
      throw;
    } catch (...) {
      span.set_error("_OTHER");
      throw;
    }
  }

  std::string name_;
  TracedOptions options_;
  Callable callable_;
  DescribeArguments describe_arguments_;
  DescribeResult describe_result_;
};

template <class Callable>
Traced<std::decay_t<Callable>> traced(std::string_view name, Callable&& callable,
                                      TracedOptions options = {}) {
  return {std::string(name), options, std::forward<Callable>(callable)};
}

}  // namespace v1
}  // namespace midtrace
