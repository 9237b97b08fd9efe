#include "collector.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

#include "../config/detectors.h"
#include "diagnostics.h"
#include "fork.h"
#include "processors.h"
#include "record_pool.h"
#include "thread_block.h"
#include "ticks.h"

namespace midtrace {
inline namespace v1 {

namespace {

using SteadyClock = std::chrono::steady_clock;

// A thread that waits in flush(), on its own stack.
struct FlushCall {
  SteadyClock::time_point deadline;
  FlushCall* next = nullptr;
  bool begun = false;  // what it waits for was in the queues when the collector began to drain them
  bool done = false;
  bool complete = false;
};

// Whether threads find no memory for their spans. Asked: one did since the collector last looked. Watched:
// it looked, and looks again soon.
enum class Shortage : std::uint8_t { none, asked, watched };

// One life of the collector: from configure, or from the first span after a fork, to shutdown.
struct Run {
  explicit Run(CollectorOptions chosen) : options(std::move(chosen)), generation(fork_generation()) {
    sem_init(&wake, 0, 0);
    pending.reserve(options.batch.export_batch_size);
    views.reserve(options.batch.export_batch_size);
  }

  CollectorOptions options;
  const std::uint32_t generation;
  sem_t wake;
  std::atomic<bool> wake_pending{false};
  std::atomic<Shortage> shortage{Shortage::none};  // the collector alone leaves `asked`
  std::atomic<bool> stop{false};

  std::mutex mutex;
  std::condition_variable changed;
  FlushCall* flush_calls = nullptr;  // the next four are guarded by `mutex`
  SteadyClock::time_point stop_deadline{};
  bool stopped = false;
  bool complete = false;  // once stopped: everything was exported
  pthread_t thread{};

  bool abandoned =
      false;  // guarded by `Runs::consumer`: shut down without it, so the queues are not its any more

  // The collector thread's own.
  std::vector<SpanRecord*> pending;
  std::vector<SpanView> views;
  bool all_exported = true;  // since the last flush
  SteadyClock::time_point last_export = SteadyClock::now();
};

// Runs that ended are kept, because another thread may still be looking at one; they hold no exporters.
struct Runs {
  SpinLock control;
  SpinLock starting;  // in a forked child
  SpinLock consumer;  // whoever takes from the queues
  std::atomic<Run*> current{nullptr};
  std::vector<std::shared_ptr<Run>>* kept = nullptr;
};
constinit Runs runs;

constexpr std::chrono::milliseconds longest_farewell{100};
constexpr std::chrono::milliseconds look_under_shortage{10};

SteadyClock::time_point deadline_after(std::chrono::milliseconds timeout) noexcept {
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);
  return SteadyClock::now() + std::clamp(timeout, std::chrono::milliseconds(0), longest);
}

void wake_up(Run& run) noexcept {
  if (!run.wake_pending.exchange(true, std::memory_order_acq_rel)) sem_post(&run.wake);
}

// Whether the span is to be exported.
bool process(Run& run, SpanRecord& record, std::int64_t start, std::int64_t end) noexcept {
  FinishedSpan span(record, start, end);
  for (const auto& processor : run.options.processors) {
    guard_processor([&] { processor->on_end(span); });
  }
  if (span.dropped() && span.sampled()) count(Counter::dropped_by_processor);
  return span.sampled() && !span.dropped();
}

void export_pending(Run& run) noexcept {
  if (run.pending.empty()) return;
  refresh_anchor();
  Clock* clock = run.options.clock.get();
  run.views.clear();
  for (SpanRecord* record : run.pending) {
    const std::int64_t start =
        clock != nullptr ? clock->to_unix_nanos(record->start_tick) : ticks_to_unix_nanos(record->start_tick);
    const std::int64_t end =
        clock != nullptr ? clock->to_unix_nanos(record->end_tick) : ticks_to_unix_nanos(record->end_tick);
    if (run.options.processors.empty() || process(run, *record, start, std::max(start, end)))
      run.views.emplace_back(*record, start, std::max(start, end));
  }
  if (!run.views.empty()) {
    const ExportBatch batch{run.options.resource, run.views,
                            deadline_after(run.options.batch.export_timeout)};
    bool exported = true;
    for (const auto& exporter : run.options.exporters) {
      if (exporter->export_batch(batch) != ExportResult::success) exported = false;
    }
    count(exported ? Counter::spans_exported : Counter::dropped_export_failed, run.views.size());
    if (!exported) run.all_exported = false;
  }
  for (SpanRecord* record : run.pending)
    give_back_record(record);
  run.pending.clear();
  run.last_export = SteadyClock::now();
}

// At most as many records as a batch still takes; returns how many left the queue. None when the run was
// abandoned.
std::size_t take_from(Ring& ring, Run& run, std::size_t most) noexcept {
  std::lock_guard guard(runs.consumer);
  if (run.abandoned) return 0;
  std::size_t taken = 0;
  while (taken < most && run.pending.size() < run.options.batch.export_batch_size) {
    SpanRecord* record = ring.pop();
    if (record == nullptr) break;
    ++taken;
    if (record->context.sampled() || !run.options.processors.empty()) {
      run.pending.push_back(record);
    } else {
      give_back_record(record);
    }
  }
  return taken;
}

// Everything that was pushed before now; returns how much it was. Full batches go out on the way.
std::size_t drain(Run& run) noexcept {
  std::size_t all_taken = 0;
  for (std::size_t i = 0; i < lease_count(); ++i) {
    Ring& ring = lease_at(i).ring;
    std::size_t left = ring.pushed() - ring.popped();
    while (left > 0) {
      const std::size_t taken = take_from(ring, run, left);
      if (taken == 0) break;
      left -= taken;
      all_taken += taken;
      if (run.pending.size() >= run.options.batch.export_batch_size) export_pending(run);
    }
  }
  return all_taken;
}

// A pass over the queues that also answers threads without memory. One that was in vain is repeated every few
// milliseconds while they go on asking, and they need not wake the collector for it: a dropped span makes no
// system call, and what ends too late for one pass is found by the next.
void drain_for_all(Run& run) noexcept {
  Shortage before = Shortage::asked;
  if (!run.shortage.compare_exchange_strong(before, Shortage::watched, std::memory_order_acq_rel) &&
      before == Shortage::watched) {
    // Nobody asked since the last pass; the next to do so wakes the collector.
    run.shortage.compare_exchange_strong(before, Shortage::none, std::memory_order_acq_rel);
  }
  if (drain(run) == 0) return;
  // Memory comes back, so there is no reason to be slow. Who asked during this pass may have missed it.
  if (run.shortage.exchange(Shortage::none, std::memory_order_acq_rel) == Shortage::asked) wake_up(run);
}

// What reached the queues when nobody collected any more.
void discard_queued() noexcept {
  std::lock_guard guard(runs.consumer);
  std::uint64_t discarded = 0;
  for (std::size_t i = 0; i < lease_count(); ++i) {
    while (SpanRecord* record = lease_at(i).ring.pop()) {
      discarded += record->context.sampled() ? 1 : 0;
      give_back_record(record);
    }
  }
  if (discarded != 0) count(Counter::dropped_after_shutdown, discarded);
}

// Of call_at_collection(). Never emptied.
constinit std::array<std::atomic<bool (*)() noexcept>, 8> chores{};

// Whether there is more to do.
bool do_chores() noexcept {
  bool more = false;
  for (const auto& chore : chores) {
    const auto function = chore.load(std::memory_order_acquire);
    if (function == nullptr) break;
    more = function() || more;
  }
  return more;
}

// Exports all there is, and tells those who wait for it whether everything since the last time went well.
bool export_everything(Run& run, SteadyClock::time_point deadline) noexcept {
  {
    std::lock_guard guard(run.mutex);
    for (FlushCall* call = run.flush_calls; call != nullptr; call = call->next) {
      call->begun = true;
      deadline = std::max(deadline, call->deadline);
    }
  }
  while (do_chores())
    drain(run);
  drain(run);
  export_pending(run);
  for (const auto& exporter : run.options.exporters) {
    if (!exporter->flush(deadline)) run.all_exported = false;
  }
  std::lock_guard guard(run.mutex);
  const bool complete = run.all_exported;
  for (FlushCall* call = run.flush_calls; call != nullptr; call = call->next) {
    if (!call->begun || call->done) continue;
    call->done = true;
    call->complete = complete;
    run.all_exported = true;  // a failure of which nobody was told, for want of patience, is told to the next
  }
  run.changed.notify_all();
  return complete;
}

bool is_flush_wanted(Run& run) noexcept {
  std::lock_guard guard(run.mutex);
  for (const FlushCall* call = run.flush_calls; call != nullptr; call = call->next) {
    if (!call->done) return true;
  }
  return false;
}

void wait(Run& run) noexcept {
  SteadyClock::time_point due = run.last_export + run.options.batch.schedule_delay;
  if (run.shortage.load(std::memory_order_relaxed) != Shortage::none)
    due = std::min(due, SteadyClock::now() + look_under_shortage);
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(due.time_since_epoch()).count();
  const timespec until{static_cast<time_t>(nanos / 1000000000), static_cast<long>(nanos % 1000000000)};
  sem_clockwait(&run.wake, CLOCK_MONOTONIC, &until);
  // Not a plain store: what was done before a wake-up that this one swallows must be seen afterwards.
  run.wake_pending.exchange(false, std::memory_order_acq_rel);
}

bool collect(Run& run) noexcept {
  const ActivationToken quiet = push_context(suppressed(Context{}), nullptr);
  while (!run.stop.load(std::memory_order_acquire)) {
    wait(run);
    if (run.stop.load(std::memory_order_acquire)) break;
    while (do_chores())
      drain_for_all(run);
    drain_for_all(run);
    if (SteadyClock::now() - run.last_export >= run.options.batch.schedule_delay) {
      export_pending(run);
      run.last_export = SteadyClock::now();
    }
    if (is_flush_wanted(run)) export_everything(run, SteadyClock::time_point());
    if (run.options.diagnostics) report_counters("collector.diagnostics", "counters:");
  }
  SteadyClock::time_point deadline;
  {
    std::lock_guard guard(run.mutex);
    deadline = run.stop_deadline;
  }
  const bool complete = export_everything(run, deadline);
  if (run.options.diagnostics) report_counters("collector.end", "counters at the end:");
  for (const auto& processor : run.options.processors)
    guard_processor([&] { processor->shutdown(deadline); });
  for (const auto& exporter : run.options.exporters)
    exporter->shutdown(deadline);
  run.options.processors.clear();
  run.options.exporters.clear();
  pop_context(quiet);
  return complete;
}

void* thread_main(void* argument) noexcept {
  pthread_setname_np(pthread_self(), "midtrace");
  std::unique_ptr<std::shared_ptr<Run>> held(static_cast<std::shared_ptr<Run>*>(argument));
  Run& run = **held;
  const bool complete = collect(run);
  std::lock_guard guard(run.mutex);
  run.stopped = true;
  run.complete = complete;
  run.changed.notify_all();
  return nullptr;
}

bool start_thread(const std::shared_ptr<Run>& run) noexcept {
  auto* argument = new (std::nothrow) std::shared_ptr<Run>(run);
  if (argument == nullptr) return false;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failure = pthread_create(&run->thread, nullptr, thread_main, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failure != 0) {
    delete argument;
    return false;
  }
  return true;
}

// Until the thread is gone, with what libraries keep per thread: at exit they clean up after themselves, and
// must not do so on two threads at once. It has nothing more to do but that; should it hang, it is left
// alone.
void await_end_of_thread(Run& run, bool stopped) noexcept {
  constexpr int patience = 200;
  for (int attempt = 0; stopped && attempt < patience; ++attempt) {
    if (pthread_tryjoin_np(run.thread, nullptr) == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt == 0 ? 0 : 1));
  }
  pthread_detach(run.thread);
}

// An exporter or a processor that asks for a flush or a shutdown would wait for itself.
bool is_its_thread(const Run& run) noexcept { return pthread_equal(pthread_self(), run.thread) != 0; }

// Keeps `run` for ever and makes it the current one.
bool begin(std::shared_ptr<Run> run) {
  {
    std::lock_guard guard(runs.control);
    if (runs.kept == nullptr) runs.kept = new std::vector<std::shared_ptr<Run>>;
    runs.kept->push_back(run);
  }
  if (!start_thread(run)) return false;
  runs.current.store(run.get(), std::memory_order_release);
  return true;
}

// The first finished span in a forked child: the same configuration, a thread of its own.
Run* begin_in_child(Run* inherited) noexcept {
  try {
    for (const auto& exporter : inherited->options.exporters)
      exporter->after_fork();
    auto run = std::make_shared<Run>(inherited->options);
    renew_resource_in_child(run->options.resource);
    if (begin(run)) return run.get();
  } catch (...) {  // no memory
  }
  runs.current.store(nullptr, std::memory_order_release);
  report(
      Severity::error, "collector.child",
      "Tracing is off in this forked process: its collector thread could not be started. Raise the limit on "
      "threads or memory.");
  return nullptr;
}

Run* current_run() noexcept {
  Run* run = runs.current.load(std::memory_order_acquire);
  if (run == nullptr || run->generation == fork_generation()) [[likely]]
    return run;
  std::lock_guard guard(runs.starting);
  run = runs.current.load(std::memory_order_acquire);
  if (run == nullptr || run->generation == fork_generation()) return run;
  return begin_in_child(run);
}

}  // namespace

bool call_at_collection(bool (*function)() noexcept) noexcept {
  for (auto& chore : chores) {
    bool (*known)() noexcept = nullptr;
    if (chore.compare_exchange_strong(known, function, std::memory_order_acq_rel) || known == function)
      return true;
  }
  return false;
}

bool Collector::configure(CollectorOptions options) {
  detect_tick_source();
  discard_queued();
  return begin(std::make_shared<Run>(std::move(options)));
}

void Collector::ask_for_memory() noexcept {
  Run* run = runs.current.load(std::memory_order_acquire);
  if (run == nullptr || run->generation != fork_generation()) return;
  if (run->shortage.load(std::memory_order_relaxed) == Shortage::asked) return;
  if (run->shortage.exchange(Shortage::asked, std::memory_order_acq_rel) == Shortage::none) wake_up(*run);
}

void Collector::submit(SpanRecord* record) noexcept {
  if (record->fork_generation != fork_generation()) [[unlikely]] {
    count(Counter::dropped_by_fork);
    give_back_record(record);
    return;
  }
  Run* run = current_run();
  if (run == nullptr) [[unlikely]] {
    count(Counter::dropped_after_shutdown);
    give_back_record(record);
    return;
  }
  ThreadBlock* block = this_thread_block();
  bool filled = false;
  const bool pushed = push_finished(record, filled);
  // For a batch a cheap look will do: when it misses that the collector just went to sleep, the next span
  // tells.
  if (run->options.batch.each_at_once || (filled && !run->wake_pending.load(std::memory_order_relaxed)))
    wake_up(*run);
  if (block != nullptr) [[likely]] {
    HotCounters::bump(pushed ? block->counters.finished : block->counters.dropped_queue_full);
  } else {
    HotCounters& shared = shared_hot_counters();
    (pushed ? shared.finished : shared.dropped_queue_full).fetch_add(1, std::memory_order_relaxed);
  }
  if (!pushed) [[unlikely]]
    give_back_unsent(record);
}

bool Collector::flush(std::chrono::milliseconds timeout) noexcept {
  Run* run = runs.current.load(std::memory_order_acquire);
  // Nothing was finished in this process yet.
  if (run == nullptr || run->generation != fork_generation()) return true;
  if (is_its_thread(*run)) return false;
  FlushCall call;
  call.deadline = deadline_after(timeout);
  std::unique_lock lock(run->mutex);
  call.next = run->flush_calls;
  run->flush_calls = &call;
  run->wake_pending.exchange(true, std::memory_order_acq_rel);  // passes on what other wakers published
  sem_post(&run->wake);
  run->changed.wait_until(lock, call.deadline, [&] { return call.done || run->stopped; });
  FlushCall** place = &run->flush_calls;
  while (*place != &call)
    place = &(*place)->next;
  *place = call.next;
  return call.complete;
}

bool Collector::shutdown(std::chrono::milliseconds timeout) noexcept {
  // From here on spans that end are counted drops, so that none is left in a queue.
  Run* run = runs.current.exchange(nullptr, std::memory_order_acq_rel);
  if (run == nullptr || run->generation != fork_generation()) return true;
  bool complete = false;
  bool stopped = false;
  {
    std::unique_lock lock(run->mutex);
    run->stop_deadline = deadline_after(timeout);
    // A little earlier, so that what they give up is counted and the thread has ended when the time is over.
    const SteadyClock::time_point give_up =
        run->stop_deadline - std::clamp(timeout / 10, std::chrono::milliseconds(0), longest_farewell);
    for (const auto& exporter : run->options.exporters)
      exporter->give_up_at(give_up);
    run->stop.store(true, std::memory_order_release);
    sem_post(&run->wake);
    if (!is_its_thread(*run)) run->changed.wait_until(lock, run->stop_deadline, [&] { return run->stopped; });
    stopped = run->stopped;
    complete = stopped && run->complete;
    if (!run->stopped) {
      std::lock_guard guard(runs.consumer);
      run->abandoned = true;
    }
  }
  await_end_of_thread(*run, stopped);
  discard_queued();
  if (!complete) {
    report(Severity::warning, "collector.incomplete",
           "Tracing was shut down before all spans were exported; those that remained are lost. Raise the "
           "shutdown "
           "timeout or repair the exporter's destination.");
  }
  return complete;
}

void Collector::before_fork() noexcept {
  runs.starting.lock();
  runs.control.lock();
}
void Collector::after_fork(bool child) noexcept {
  runs.control.unlock();
  runs.starting.unlock();
  // The parent's collector may have held it; in the child there is none.
  if (child) runs.consumer.unlock();
}

}  // namespace v1
}  // namespace midtrace
