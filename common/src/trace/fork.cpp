#include "fork.h"

#include <pthread.h>

#include "client_set.h"
#include "collector.h"
#include "record_pool.h"
#include "thread_block.h"
#include "ticks.h"

namespace midtrace {
inline namespace v1 {

constinit std::atomic<std::uint32_t> fork_generation_counter{0};

namespace {

void before() noexcept {
  Collector::before_fork();
  clients_before_fork();
  calibration_before_fork();
  blocks_before_fork();
  pool_before_fork();
}

void after_fork(bool child) noexcept {
  calibration_after_fork();
  clients_after_fork();
  Collector::after_fork(child);
}

void in_parent() noexcept {
  pool_after_fork_parent();
  blocks_after_fork(false);
  after_fork(false);
}

void in_child() noexcept {
  fork_generation_counter.fetch_add(1, std::memory_order_relaxed);
  pool_after_fork_child();
  blocks_after_fork(true);
  after_fork(true);
}

}  // namespace

void install_fork_handlers() noexcept {
  // Nobody goes on before they are installed: the next thing a thread does may be to fork.
  static const int installed = pthread_atfork(before, in_parent, in_child);
  static_cast<void>(installed);
}

}  // namespace v1
}  // namespace midtrace
