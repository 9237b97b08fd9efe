// The processes of process_test.cpp: each scenario is what an application might do to us around fork, exit
// and signals.
//
//   midtrace_trace_process <scenario> <directory>
//
// Spans go to <directory>/<pid>.jsonl. What a scenario has to tell it prints as lines of `name value`. Exit
// code 0 when it went as it should.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <midtrace/export/exporters.h>
#include <midtrace/setup.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

#include "support/allocations.h"
#include "test_exporters.h"

// Forked children of threaded programs are what this is about.
extern "C" const char* __tsan_default_options();
extern "C" [[gnu::visibility("default")]] const char* __tsan_default_options() {
  return "die_after_fork=0:atexit_sleep_ms=0";
}

// And they end while spans, threads and handles are in use, so that what is left behind is no leak.
extern "C" const char* __asan_default_options();
extern "C" [[gnu::visibility("default")]] const char* __asan_default_options() { return "detect_leaks=0"; }

namespace {

using namespace midtrace;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string directory;

Tracer tracer() { return Tracer::get("process_test"); }

Telemetry start_tracing() {
  SetupOptions options;
  options.service_name = "process";
  options.exporters.push_back(otlp_file_exporter(directory + "/%p.jsonl"));
  options.sampler = always_on_sampler();
  options.batch = BatchOptions{.queue_size = 65536, .schedule_delay = milliseconds(20)};
  options.read_environment = false;
  Telemetry telemetry = setup(std::move(options));
  if (!telemetry.ok()) {
    std::printf("error %s\n", telemetry.error().c_str());
    std::exit(2);
  }
  return telemetry;
}

void tell(const char* name, std::uint64_t value) {
  std::printf("%s %llu\n", name, static_cast<unsigned long long>(value));
  std::fflush(stdout);
}

// Text that costs no allocation: ThreadSanitizer's heap may be locked for ever in a child whose parent's
// other threads were allocating at the moment of the fork.
constexpr auto long_text_characters = [] {
  std::array<char, 600> text{};
  text.fill('x');
  return text;
}();
constexpr std::string_view long_text(long_text_characters.data(), long_text_characters.size());

// Threads that make spans until they are told to stop.
class Load {
  // Spans after which a thread has all the memory it needs.
  static constexpr int warm = 20;

 public:
  explicit Load(int threads, const char* name = "background") {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, name] {
        for (int made = 0; !stop_.load(); ++made) {
          if (made == warm) ++busy_;
          if (paused_.load()) {
            ++resting_;
            while (paused_.load())
              std::this_thread::sleep_for(milliseconds(1));
            --resting_;
          }
          Span span = tracer().start(name);
          const Scope scope = span.activate();
          span.set("text", long_text);
          tracer().start(name).end();
          // Not faster than a file can be written.
          std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
      });
    }
    while (busy_.load() < threads)
      std::this_thread::sleep_for(milliseconds(1));
  }
  ~Load() {
    stop_.store(true);
    for (std::thread& thread : threads_)
      thread.join();
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void pause() {
    paused_.store(true);
    while (resting_.load() < static_cast<int>(threads_.size()))
      std::this_thread::sleep_for(milliseconds(1));
  }
  void resume() { paused_.store(false); }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<bool> paused_{false};
  std::atomic<int> resting_{0};
  std::atomic<int> busy_{0};
  std::vector<std::thread> threads_;
};

// A sanitizer's heap, unlike the C library's, may be locked for ever in a child whose parent's other threads
// were allocating. The threads of the load do not allocate, but the collector does, so it rests at the moment
// of the fork; with AddressSanitizer, which also locks where nothing is allocated, the load rests too.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool load_rests = true;
#elif defined(__has_feature)
constexpr bool load_rests = __has_feature(address_sanitizer);
#else
constexpr bool load_rests = false;
#endif
constexpr bool collector_rests = !test::allocations_are_counted;

pid_t fork_with(Telemetry& telemetry) {
  if (collector_rests) telemetry.flush(seconds(20));
  if (load_rests) std::this_thread::sleep_for(milliseconds(50));
  return fork();
}

// In the middle of everything.
pid_t fork_under(Load& load, Telemetry& telemetry) {
  if (load_rests) load.pause();
  const pid_t child = fork_with(telemetry);
  if (load_rests && child != 0) load.resume();
  return child;
}

bool succeeded(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) std::printf("child_status %d\n", status);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A child that hangs must not hang the test.
void die_when_stuck() { alarm(60); }

int fork_in_span() {
  Telemetry telemetry = start_tracing();
  bool well = false;
  {
    Load load(2);
    Span parent = tracer().start("parent");
    const Scope scope = parent.activate();
    tracer().start("before the fork").end();
    const Counters before = counters();
    const pid_t child = fork_under(load, telemetry);
    if (child == 0) {
      die_when_stuck();
      {
        Span span = tracer().start("child");
        const Scope inner = span.activate();
        std::thread([context = Context::current()] {
          const Scope here(context);
          tracer().start("thread of the child").end();
        }).join();
      }
      parent.end();
      const bool flushed = telemetry.flush(seconds(20));
      const std::uint64_t dropped = counters()[Counter::dropped_by_fork] - before[Counter::dropped_by_fork];
      tell("child_dropped_by_fork", dropped);
      _exit(flushed && dropped == 1 ? 0 : 1);
    }
    well = succeeded(child);
    tell("child", static_cast<std::uint64_t>(child));
    parent.end();
  }
  telemetry.shutdown();
  tell("parent", static_cast<std::uint64_t>(getpid()));
  return well ? 0 : 1;
}

int fork_under_load() {
  Telemetry telemetry = start_tracing();
  bool well = true;
  {
    Load load(4);
    for (int i = 0; i < 50; ++i) {
      const pid_t child = fork_under(load, telemetry);
      if (child == 0) {
        die_when_stuck();
        // A scope and a client that nobody knew before: locks that other threads may have held.
        const Tracer fresh = Tracer::get("child" + std::to_string(getpid()));
        for (int span = 0; span < 10; ++span)
          fresh.start("child").end();
        bool right = claim_client(&fresh) && telemetry.flush(seconds(30));
        right = right && tick_to_unix_nanos(current_tick()) > 0;
        _exit(right ? 0 : 1);
      }
      well = succeeded(child) && well;
    }
  }
  telemetry.shutdown();
  tell("parent", static_cast<std::uint64_t>(getpid()));
  return well ? 0 : 1;
}

// A processor goes on in the child, and both processes say who they are.
struct MarksProcess final : SpanProcessor {
  void on_end(FinishedSpan& span) override { span.set_name(std::string(span.view().name()) + " seen"); }
};

int fork_with_a_processor() {
  SetupOptions options;
  options.exporters.push_back(otlp_file_exporter(directory + "/%p.jsonl"));
  options.processors.push_back(std::make_shared<MarksProcess>());
  options.sampler = always_on_sampler();
  options.read_environment = false;
  Telemetry telemetry = setup(std::move(options));
  tracer().start("parent").end();
  const pid_t child = fork();
  if (child == 0) {
    tracer().start("child").end();
    _exit(telemetry.flush(seconds(20)) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0 && telemetry.flush(seconds(20)) ? 0 : 1;
}

int fork_of_a_fork() {
  Telemetry telemetry = start_tracing();
  tracer().start("first").end();
  const pid_t child = fork_with(telemetry);
  if (child == 0) {
    die_when_stuck();
    tracer().start("second").end();
    const pid_t grandchild = fork_with(telemetry);
    if (grandchild == 0) {
      tracer().start("third").end();
      std::exit(0);  // flushes by itself
    }
    const bool well = succeeded(grandchild);
    tracer().start("second again").end();
    std::exit(well ? 0 : 1);
  }
  const bool well = succeeded(child);
  tracer().start("first again").end();
  std::exit(well ? 0 : 1);
}

int fork_without_tracing_in_the_child() {
  Telemetry telemetry = start_tracing();
  Load load(2);
  tracer().start("parent").end();
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork_under(load, telemetry);
    if (child == 0) {
      die_when_stuck();
      telemetry.flush();
      std::exit(0);
    }
    if (!succeeded(child)) return 1;
  }
  return 0;
}

int fork_while_another_thread_shuts_down() {
  const auto gate = std::make_shared<midtrace_test::GatedExporter>();
  SetupOptions options;
  options.exporters.push_back(gate);
  options.sampler = always_on_sampler();
  options.read_environment = false;
  Telemetry telemetry = setup(std::move(options));
  tracer().start("stuck").end();
  std::thread stopping([&telemetry] { telemetry.shutdown(seconds(3)); });
  std::this_thread::sleep_for(milliseconds(200));
  const pid_t child = fork();
  if (child == 0) {
    die_when_stuck();
    Telemetry own = start_tracing();
    tracer().start("child").end();
    const bool flushed = own.flush();
    _exit(flushed ? 0 : 1);
  }
  const bool well = succeeded(child);
  gate->open_gate();
  stopping.join();
  return well ? 0 : 1;
}

// Ends a span in its destructor.
struct EndsASpan {
  explicit EndsASpan(const char* own_name) : name(own_name) {}
  ~EndsASpan() {
    if (span == nullptr) return;
    Span own = tracer().start(name);
    own.set("in.destructor", true);
    const Scope scope = own.activate();
    own.end();
    span->end();
  }
  const char* name;
  std::unique_ptr<Span> span;
};
// Destroyed after the flush at exit, because it was made before setup().
EndsASpan before_setup("never seen");

void at_exit_early() { tracer().start("never seen either").end(); }
void at_exit_late() { tracer().start("at exit").end(); }

int spans_at_exit() {
  std::atexit(at_exit_early);
  static Telemetry telemetry = start_tracing();
  std::atexit(at_exit_late);
  static EndsASpan after_setup("in a destructor");
  before_setup.span = std::make_unique<Span>(tracer().start("ended too late"));
  after_setup.span = std::make_unique<Span>(tracer().start("ended in time"));
  std::exit(0);
}

// Flushes as the process ends: from handlers of atexit and destructors of statics, of which the first two of
// four run when tracing is on, and the others when it was shut down.
Telemetry* handle_at_exit = nullptr;

struct FlushesAtExit {
  explicit FlushesAtExit(const char* own_name) : name(own_name) {}
  ~FlushesAtExit() {
    if (handle_at_exit != nullptr) flush_at_end(name);
  }
  static void flush_at_end(const char* name) {
    tracer().start(name).end();
    tell(name, handle_at_exit->flush(seconds(20)) ? 1 : 0);
  }
  const char* name;
};
FlushesAtExit static_before_setup("late_destructor");

int flush_while_exiting() {
  std::atexit([] { FlushesAtExit::flush_at_end("late_handler"); });
  handle_at_exit = new Telemetry(start_tracing());
  std::atexit([] { FlushesAtExit::flush_at_end("handler"); });
  static const FlushesAtExit static_after_setup("destructor");
  // While the others run, and the process goes down below it.
  std::thread([] {
    for (;;) {
      tracer().start("background").end();
      handle_at_exit->flush(milliseconds(20));
    }
  }).detach();
  return 0;
}

int forgotten_handle_at_exit() {
  [[maybe_unused]] static Telemetry* leaked = new Telemetry(start_tracing());
  std::atexit(at_exit_late);
  tracer().start("main").end();
  return 0;
}

int exit_from_a_thread() {
  static Telemetry telemetry = start_tracing();
  [[maybe_unused]] static Load* endless = new Load(3);
  tracer().start("main").end();
  std::thread([] {
    tracer().start("thread").end();
    std::exit(0);
  }).detach();
  for (;;)
    pause();
}

std::atomic<int> terminated{0};  // lock-free, so a signal handler may write it

int terminate() {
  Telemetry telemetry = start_tracing();
  struct sigaction action {};
  action.sa_handler = [](int) { terminated = 1; };
  sigaction(SIGTERM, &action, nullptr);
  std::atomic<std::uint64_t> ended{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&ended] {
      while (terminated == 0) {
        tracer().start("work").end();
        ended.fetch_add(1);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
      for (;;)
        pause();  // never joined: nothing of theirs is needed
    });
  }
  tell("ready", 1);
  while (terminated == 0)
    usleep(1000);
  std::this_thread::sleep_for(milliseconds(20));
  const std::uint64_t before_flush = ended.load();
  const bool flushed = telemetry.flush(seconds(20));
  tell("flushed", flushed ? 1 : 0);
  tell("ended", before_flush);
  raise(SIGKILL);
  return 1;
}

int key_destructors() {
  Telemetry telemetry = start_tracing();
  static pthread_key_t key;
  static pthread_key_t repeating_key;
  static std::atomic<int> rounds{0};
  // Made before tracing has a key of its own on this thread, and after: both orders happen.
  pthread_key_create(&key, [](void* span) {
    Span after = tracer().start("in a key's destructor");
    const Scope scope = after.activate();
    tracer().start("below it").end();
    delete static_cast<Span*>(span);
  });
  pthread_key_create(&repeating_key, [](void* left) {
    tracer().start("in a late round").end();
    rounds.fetch_add(1);
    auto* count = static_cast<int*>(left);
    if (--*count > 0) {
      pthread_setspecific(repeating_key, count);
    } else {
      delete count;
    }
  });
  for (int i = 0; i < 20; ++i) {
    std::thread([] {
      pthread_setspecific(key, new Span(tracer().start("ended by a key's destructor")));
      // The C library makes four rounds; a sanitizer's own state does not outlive the last one.
      pthread_setspecific(repeating_key, new int(MIDTRACE_TEST_OWN_HEAP ? 4 : 2));
      thread_local std::unique_ptr<Span> local;
      local = std::make_unique<Span>(tracer().start("ended by a thread_local"));
    }).join();
  }
  tell("rounds", static_cast<std::uint64_t>(rounds.load()));
  const bool flushed = telemetry.flush(seconds(20));
  return flushed ? 0 : 1;
}

// Between two system calls that nothing else makes, each thread makes spans; what it calls in between is seen
// by strace.
int quiet_threads() {
  const auto gate = std::make_shared<midtrace_test::GatedExporter>();
  SetupOptions options;
  options.exporters.push_back(gate);
  options.sampler = always_on_sampler();
  options.batch = BatchOptions{.queue_size = 256};
  options.read_environment = false;
  Telemetry telemetry = setup(std::move(options));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      tracer().start("first").end();
      syscall(SYS_getpgid, 0);
      for (int span = 0; span < 50000; ++span) {
        Span work = tracer().start("work");
        const Scope scope = work.activate();
        work.set("number", span);
        if (span % 50 == 0) work.set("text", std::string_view("long text"));
      }
      syscall(SYS_getsid, 0);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  const bool nothing_exported = gate->spans.load() == 0;
  tell("dropped", counters().dropped_spans());
  gate->open_gate();
  telemetry.shutdown(seconds(20));
  return nothing_exported ? 0 : 1;
}

// Names that vary, asked for by several threads at once.
int too_many_scopes() {
  std::vector<std::thread> threads;
  std::atomic<int> differing{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&differing] {
      for (int number = 0; number < 3000; ++number) {
        const std::string name = "scope " + std::to_string(number);
        const Tracer first = Tracer::get(name);
        if (!first.scope().name.empty() &&
            (&first.scope() != &Tracer::get(name).scope() || first.scope().name != name))
          differing.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  std::uint64_t named = 0;
  for (int number = 0; number < 3000; ++number)
    named += Tracer::get("scope " + std::to_string(number)).scope().name.empty() ? 0 : 1;
  tell("named", named);
  tell("differing", static_cast<std::uint64_t>(differing.load()));
  return 0;
}

// Resident memory in KiB, without an allocation of our own.
std::uint64_t resident_kib() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  unsigned long long size = 0;
  unsigned long long resident = 0;
  const int read = std::fscanf(file, "%llu %llu", &size, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<unsigned long long>(sysconf(_SC_PAGESIZE)) / 1024 : 0;
}

int memory_of_many_spans() {
  const auto gate = std::make_shared<midtrace_test::GatedExporter>();
  SetupOptions options;
  options.exporters.push_back(gate);
  options.sampler = always_on_sampler();
  options.read_environment = false;
  Telemetry telemetry = setup(std::move(options));
  const auto make_spans = [](int count) {
    for (int i = 0; i < count; ++i) {
      Span span = tracer().start("span");
      span.set("number", i);
      span.set("text", "some text of an ordinary length");
      if (i % 100 == 0) span.set("long", std::string_view("x"));
    }
  };
  // Memory follows the peak of what waits in the queue: reach it first.
  make_spans(10000);
  gate->open_gate();
  telemetry.flush(seconds(20));
  for (int million = 1; million <= 5; ++million) {
    make_spans(1000000);
    telemetry.flush();
    if (million == 1) tell("after_one_million", resident_kib());
  }
  tell("after_five_million", resident_kib());
  const Counters all = counters();
  tell("finished", all[Counter::spans_finished]);
  tell("exported", all[Counter::spans_exported]);
  tell("dropped", all.dropped_spans());
  return 0;
}

void threads_with_a_span(int count, int spans_each) {
  constexpr int at_once = 4;
  for (int done = 0; done < count; done += at_once) {
    std::thread threads[at_once];
    for (std::thread& thread : threads) {
      thread = std::thread([spans_each] {
        for (int i = 0; i < spans_each; ++i) {
          Span span = tracer().start("span");
          const Scope scope = span.activate();
          span.set("text", "text");
        }
      });
    }
    for (std::thread& thread : threads)
      thread.join();
  }
}

int memory_of_many_threads() {
  const auto gate = std::make_shared<midtrace_test::GatedExporter>();
  SetupOptions options;
  options.exporters.push_back(gate);
  options.sampler = always_on_sampler();
  options.read_environment = false;
  constexpr int queue_size = 512;
  options.batch = BatchOptions{.queue_size = queue_size, .export_batch_size = 64};
  Telemetry telemetry = setup(std::move(options));
  // Memory follows the peak of what waits in the queues: reach it first.
  threads_with_a_span(40, 2 * queue_size);
  gate->open_gate();
  telemetry.flush(seconds(20));
  threads_with_a_span(10000, 1);
  telemetry.flush(seconds(20));
  tell("after_10000", resident_kib());
  threads_with_a_span(90000, 1);
  telemetry.flush(seconds(20));
  tell("after_100000", resident_kib());
  const Counters all = counters();
  tell("started", all[Counter::spans_started]);
  tell("exported", gate->spans.load());
  tell("dropped", all.dropped_spans());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string_view, int (*)()> scenarios{
      {"fork_in_span", fork_in_span},
      {"fork_under_load", fork_under_load},
      {"fork_of_a_fork", fork_of_a_fork},
      {"fork_with_a_processor", fork_with_a_processor},
      {"fork_without_tracing_in_the_child", fork_without_tracing_in_the_child},
      {"fork_while_another_thread_shuts_down", fork_while_another_thread_shuts_down},
      {"spans_at_exit", spans_at_exit},
      {"flush_while_exiting", flush_while_exiting},
      {"forgotten_handle_at_exit", forgotten_handle_at_exit},
      {"exit_from_a_thread", exit_from_a_thread},
      {"terminate", terminate},
      {"key_destructors", key_destructors},
      {"quiet_threads", quiet_threads},
      {"too_many_scopes", too_many_scopes},
      {"memory_of_many_spans", memory_of_many_spans},
      {"memory_of_many_threads", memory_of_many_threads},
  };
  if (argc != 3) return 64;
  directory = argv[2];
  const auto scenario = scenarios.find(argv[1]);
  return scenario != scenarios.end() ? scenario->second() : 64;
}
