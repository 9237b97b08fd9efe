// The processes of process_test.cpp: what an application may do to the OTLP exporter at its end, and when
// memory is short.
//
//   midtrace_otlp_process <scenario> <endpoint> [<file of authorities>]
//
// Spans go to the endpoint. What a scenario has to tell it prints as lines of `name value`. Exit code 0 when
// it went as it should, 1 when not, 2 when set-up failed.
#include <curl/curl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include <midtrace/export/exporters.h>
#include <midtrace/otlp/exporter.h>
#include <midtrace/setup.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/tracer.h>

// Handles are left behind on purpose.
extern "C" const char* __asan_default_options();
extern "C" [[gnu::visibility("default")]] const char* __asan_default_options() { return "detect_leaks=0"; }

namespace {

using namespace midtrace;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Never destroyed: destructors of statics and handlers at exit use them.
const std::string& endpoint(const char* set = nullptr) {
  static const auto* kept = new std::string(set);
  return *kept;
}
const std::string& authorities(const char* set = nullptr) {
  static const auto* kept = new std::string(set);
  return *kept;
}
Telemetry* telemetry = nullptr;

Telemetry start_tracing(std::shared_ptr<Exporter> exporter) {
  SetupOptions options;
  options.service_name = "process";
  options.exporters.push_back(std::move(exporter));
  options.sampler = always_on_sampler();
  options.batch = BatchOptions{.schedule_delay = seconds(60)};
  options.exit_timeout = seconds(10);
  options.read_environment = false;
  Telemetry started = setup(std::move(options));
  if (!started.ok()) {
    std::printf("error %s\n", started.error().c_str());
    std::fflush(stdout);
    _exit(2);
  }
  return started;
}
Telemetry start_otlp() {
  return start_tracing(otlp::exporter({.endpoint = endpoint(),
                                       .certificate = authorities(),
                                       .retry = {.attempts = 2, .first_pause = milliseconds(10)},
                                       .read_environment = false}));
}

void trace(const char* name, int spans = 1) {
  for (int i = 0; i < spans; ++i)
    Tracer::get("otlp_process").start(name).end();
}
void must(bool good, const char* what) {
  if (good) return;
  std::printf("failed %s\n", what);
  std::fflush(stdout);
  _exit(1);
}
void tell(const char* name, std::uint64_t value) {
  std::printf("%s %llu\n", name, static_cast<unsigned long long>(value));
  std::fflush(stdout);
}

// --- the end of a process

void flush_in_time() {
  trace("last");
  must(telemetry->flush(seconds(10)), "flush");
}
void shut_down_in_time() {
  trace("last");
  must(telemetry->shutdown(seconds(10)), "shutdown");
}
// Behind the last flush, and behind the end of TLS.
void use_too_late() {
  trace("too late");
  telemetry->flush(seconds(10));
  telemetry->shutdown(seconds(10));
  trace("even later");
  telemetry->flush(seconds(10));
}

struct AtItsEnd {
  void (*action)();
  ~AtItsEnd() { action(); }
};

template <void (*action)()>
int handler_after_setup() {
  telemetry = new Telemetry(start_otlp());
  std::atexit(action);
  trace("main");
  return 0;
}
template <void (*action)()>
int static_after_setup() {
  telemetry = new Telemetry(start_otlp());
  static const AtItsEnd after{action};
  trace("main");
  return 0;
}
int handler_before_setup() {
  std::atexit(use_too_late);
  telemetry = new Telemetry(start_otlp());
  trace("main");
  return 0;
}
int static_before_setup() {
  static const AtItsEnd before{use_too_late};
  telemetry = new Telemetry(start_otlp());
  trace("main");
  return 0;
}

// Tracing is set up without TLS first, so that TLS prepares its own end after that.
int second_setup() {
  for (int i = 0; i < 40; ++i) {
    Telemetry first = start_tracing(otlp_file_exporter("/dev/null"));
    trace("first");
    must(first.shutdown(seconds(10)), "shutdown");
  }
  telemetry = new Telemetry(start_otlp());
  trace("second");
  trace("second again");
  return 0;
}

// --- no memory

std::atomic<bool> curl_has_memory{true};

int start_curl() {
  return curl_global_init_mem(
      CURL_GLOBAL_DEFAULT, [](size_t size) { return curl_has_memory ? std::malloc(size) : nullptr; },
      [](void* memory) { std::free(memory); },
      [](void* memory, size_t size) { return curl_has_memory ? std::realloc(memory, size) : nullptr; },
      [](const char* text) { return curl_has_memory ? strdup(text) : nullptr; },
      [](size_t count, size_t size) { return curl_has_memory ? std::calloc(count, size) : nullptr; });
}

int without_memory(bool connected) {
  must(start_curl() == 0, "curl_global_init_mem");
  telemetry = new Telemetry(start_otlp());
  if (connected) {
    trace("before");
    must(telemetry->flush(seconds(10)), "flush");
  }
  curl_has_memory = false;
  trace("lost", 3);
  must(!telemetry->flush(seconds(10)), "a flush that fails");
  curl_has_memory = true;
  tell("lost", counters()[Counter::dropped_export_failed]);
  tell("export_lost_internal", counters()[Counter::export_lost_internal]);
  tell("export_lost_connection", counters()[Counter::export_lost_connection]);
  trace("after");
  must(telemetry->flush(seconds(10)), "flush");
  return 0;
}
int no_memory_for_a_client() { return without_memory(false); }
int no_memory_for_a_request() { return without_memory(true); }

// --- files

int only_setup() {
  static_cast<void>(start_otlp());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::map<std::string_view, int (*)()> scenarios{
      {"flush_in_a_handler", handler_after_setup<flush_in_time>},
      {"shutdown_in_a_handler", handler_after_setup<shut_down_in_time>},
      {"flush_in_a_destructor", static_after_setup<flush_in_time>},
      {"shutdown_in_a_destructor", static_after_setup<shut_down_in_time>},
      {"handler_before_setup", handler_before_setup},
      {"static_before_setup", static_before_setup},
      {"second_setup", second_setup},
      {"no_memory_for_a_client", no_memory_for_a_client},
      {"no_memory_for_a_request", no_memory_for_a_request},
      {"only_setup", only_setup},
  };
  if (count < 3 || count > 4) return 64;
  for (const char* variable : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
    unsetenv(variable);
  endpoint(arguments[2]);
  authorities(count == 4 ? arguments[3] : "");
  const auto scenario = scenarios.find(arguments[1]);
  return scenario != scenarios.end() ? scenario->second() : 64;
}
