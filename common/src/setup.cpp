#include <midtrace/setup.h>

#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>

#include <midtrace/trace/backend.h>
#include <midtrace/trace/instrumentation.h>

#include "config/description.h"
#include "config/ready_options.h"
#include "exit_order.h"
#include "setup_from.h"
#include "trace/anchor.h"
#include "trace/native_backend.h"
#include "trace/report.h"

namespace midtrace {
inline namespace v1 {

namespace {

// Trivially destructible apart from the mutex, which is: setup may be called from a destructor of a static.
struct SetupState {
  std::mutex mutex;
  bool active = false;  // guarded by `mutex`
  std::atomic<bool> exit_registered{false};
  std::vector<Setting>* description = nullptr;  // never destroyed; the first is `tracing`
  std::atomic<std::int64_t> exit_timeout_milliseconds{2000};
};
constinit SetupState state;

void flush_at_exit() {
  NativeBackend& native = NativeBackend::instance();
  if (native.configured()) {
    native.shutdown(
        std::chrono::milliseconds(state.exit_timeout_milliseconds.load(std::memory_order_relaxed)));
  }
}

// The parent may have held it; whoever waited in it there is not here.
void renew_mutex_in_child() { new (&state.mutex) std::mutex; }

void describe_off(std::string why) noexcept {
  if (state.description == nullptr || state.description->empty()) return;
  try {
    state.description->front() = {"tracing", "off", std::move(why)};
  } catch (...) {
    state.description->clear();  // rather nothing than what is wrong
  }
}

std::string turn_on(ReadyOptions&& ready) {
  NativeOptions native;
  native.collector.resource = std::move(ready.resource);
  native.collector.exporters = std::move(ready.exporters);
  native.collector.processors = std::move(ready.processors);
  native.collector.batch = ready.batch;
  native.collector.clock = std::move(ready.clock);
  native.collector.diagnostics = ready.debug;
  native.sampler = std::move(ready.sampler);
  native.ids = std::move(ready.ids);
  native.limits = ready.limits;
  if (!publish_anchor()) {
    report(Severity::warning, "setup.other_copy",
           "Another copy of midtrace in this process set tracing up first; its configuration is used, and "
           "this call "
           "to setup() changes nothing.");
    return {};
  }
  if (!NativeBackend::instance().configure(std::move(native))) {
    withdraw_anchor();
    return "Tracing is off: the collector thread could not be started. Raise the limit on threads (ulimit "
           "-u) or "
           "memory.";
  }
  return {};
}

}  // namespace

void last_flush_comes_first() noexcept { state.exit_registered.store(false, std::memory_order_relaxed); }

Telemetry setup(SetupOptions options) noexcept {
  const bool read = options.read_environment;
  return setup_from(std::move(options), read ? process_environment() : empty_environment());
}

Telemetry setup_from(SetupOptions options, const Environment& environment) noexcept {
  Telemetry telemetry;
  try {
    static const int fork_handler = pthread_atfork(nullptr, nullptr, renew_mutex_in_child);
    static_cast<void>(fork_handler);
    std::lock_guard guard(state.mutex);
    telemetry.exit_timeout_ = options.exit_timeout;
    if (state.active) {
      report(
          Severity::warning, "setup.twice",
          "midtrace::setup() was called again; the handle refers to the first set-up and the new options are "
          "ignored. Call it once, or shut the first one down before.");
      return telemetry;
    }
    forget_reports();
    if (state.description == nullptr) state.description = new std::vector<Setting>;
    *state.description = {{"tracing", "off", "setup() failed"}};
    set_logger(choose_logger(options, environment));  // it hears of what is wrong with the rest
    ReadyOptions ready = make_ready(std::move(options), environment);
    telemetry.exit_timeout_ = ready.exit_timeout;
    set_logger(ready.logger);
    set_propagator(ready.propagator);
    telemetry.error_ = ready.error;
    *state.description = std::move(ready.description);
    const bool debug = ready.debug;
    const bool wanted = !ready.disabled && ready.error.empty() && !ready.exporters.empty();
    if (wanted) telemetry.error_ = turn_on(std::move(ready));
    if (!telemetry.error_.empty()) {
      report(Severity::error, "setup.failed", telemetry.error_);
      describe_off("setup() failed: " + telemetry.error_);
    }
    if (debug)
      report(Severity::debug, "setup.configuration", "configuration: " + to_text(*state.description, "; "));
    if (!wanted || !telemetry.error_.empty()) return telemetry;
    state.active = true;
    telemetry.owner_ = true;
    state.exit_timeout_milliseconds.store(telemetry.exit_timeout_.count(), std::memory_order_relaxed);
    // Later ones find nothing to do.
    if (!state.exit_registered.load(std::memory_order_relaxed))
      state.exit_registered.store(std::atexit(flush_at_exit) == 0, std::memory_order_relaxed);
  } catch (const std::exception& failure) {
    try {
      telemetry.error_ = std::string("Tracing is off: setup() failed with \"") + failure.what() + "\".";
      report(Severity::error, "setup.failed", telemetry.error_);
    } catch (...) {  // not even memory for the sentence
      telemetry.error_.assign("no memory");
    }
  } catch (...) {  // of an exporter, a sampler or a logger of the application's
    telemetry.error_.assign("setup() failed");
    report(Severity::error, "setup.failed",
           "Tracing is off: setup() failed with an exception that is not a std::exception.");
  }
  return telemetry;
}

Telemetry::Telemetry(Telemetry&& other) noexcept
    : error_(std::move(other.error_)),
      exit_timeout_(other.exit_timeout_),
      owner_(std::exchange(other.owner_, false)) {}

Telemetry& Telemetry::operator=(Telemetry&& other) noexcept {
  if (this != &other) {
    if (owner_) shutdown(exit_timeout_);
    error_ = std::move(other.error_);
    exit_timeout_ = other.exit_timeout_;
    owner_ = std::exchange(other.owner_, false);
  }
  return *this;
}

Telemetry::~Telemetry() {
  if (owner_) shutdown(exit_timeout_);
}

bool Telemetry::flush(std::chrono::milliseconds timeout) noexcept { return active_backend().flush(timeout); }

bool Telemetry::shutdown(std::chrono::milliseconds timeout) noexcept {
  if (!std::exchange(owner_, false)) return true;
  std::lock_guard guard(state.mutex);
  if (!state.active) return true;
  state.active = false;
  describe_off("shut down");
  const bool complete = NativeBackend::instance().shutdown(timeout);
  withdraw_anchor();
  return complete;
}

std::string describe() {
  std::lock_guard guard(state.mutex);
  if (&active_backend() != &NativeBackend::instance())
    return "tracing = on  (another copy of midtrace, or the bridge to another SDK, was set up first)\n";
  if (state.description == nullptr || state.description->empty())
    return "tracing = off  (midtrace::setup() was not called)\n";
  return to_text(*state.description, "\n") + "\n";
}

}  // namespace v1
}  // namespace midtrace
