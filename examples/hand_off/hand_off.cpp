// One order that is settled on three threads, by a callable, a coroutine and a C library, and stays one
// trace; each log line says which.
//
//   OTEL_TRACES_EXPORTER=console ./hand_off
#include <chrono>
#include <coroutine>
#include <cstdio>
#include <exception>
#include <string_view>
#include <thread>

#include <midtrace/context/bind.h>
#include <midtrace/context/carried.h>
#include <midtrace/context/coroutine.h>
#include <midtrace/context/log_ids.h>
#include <midtrace/setup.h>
#include <midtrace/trace/current_span.h>
#include <midtrace/trace/traced.h>
#include <midtrace/trace/tracer.h>

namespace {

void log(std::string_view what) {
  const midtrace::LogIds ids = midtrace::current_log_ids();
  std::printf("trace_id=%.*s span_id=%.*s %.*s\n", static_cast<int>(ids.trace_id().size()),
              ids.trace_id().data(), static_cast<int>(ids.span_id().size()), ids.span_id().data(),
              static_cast<int>(what.size()), what.data());
}

void work() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

int charge(int cents) {
  midtrace::current_span().set("payment.cents", cents);
  log("charged");
  work();
  return cents;
}

// A C library that calls back on a thread of its own.
void call_back_later(void (*callback)(void*), void* opaque) {
  std::thread([=] { callback(opaque); }).join();
}

struct Coroutine {
  struct promise_type {
    Coroutine get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

// Awaited, it goes on on another thread.
struct AnotherThread {
  std::thread& thread;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    std::thread& slot = thread;  // this object may be gone once the coroutine runs elsewhere
    slot = std::thread([handle] { handle.resume(); });
  }
  void await_resume() const noexcept {}
};

Coroutine pack(std::thread& thread) {
  const midtrace::Span span = midtrace::Tracer::get("shop").start("pack");
  midtrace::CoroutineScope scope(span);
  log("packing");
  co_await scope.await(AnotherThread{thread});
  log("packed, on another thread");
  work();
}

}  // namespace

int main() {
  const auto telemetry = midtrace::setup({.service_name = "hand_off"});
  const midtrace::Span order =
      midtrace::Tracer::get("shop").start("order", {.kind = midtrace::SpanKind::server});
  const midtrace::Scope scope = order.activate();

  midtrace::start_thread(midtrace::traced("charge", charge), 1250).join();

  std::thread packing;
  pack(packing);
  packing.join();

  call_back_later(
      [](void* opaque) {
        const auto carried = midtrace::Carried<int>::take(opaque);
        const midtrace::Scope inside(carried->context);
        const midtrace::Span span = midtrace::Tracer::get("shop").start("notify");
        const midtrace::Scope current = span.activate();
        log("notified");
        work();
      },
      midtrace::carry(4711).release());
}
