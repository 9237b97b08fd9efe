#include "report.h"

#include <atomic>
#include <mutex>
#include <vector>

#include <midtrace/trace/attribute.h>
#include <midtrace/trace/instrumentation.h>

#include "../config/stderr_logger.h"
#include "spin_lock.h"
#include "ticks.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::uint64_t once_a_minute_nanos = 60ULL * 1000000000ULL;

// When each cause was last reported. A cause keeps the first free cell that its hash leads to; when all that
// it may have are taken it shares one, and the causes that share may silence each other for a minute.
struct Cell {
  std::atomic<std::uint32_t> cause{0};
  std::atomic<std::uint64_t> last{0};
};
constexpr std::uint32_t cell_count = 256;
constinit Cell cells[cell_count];
constinit std::atomic<Logger*> chosen{nullptr};

Cell& cell_of(std::uint32_t hash) noexcept {
  constexpr std::uint32_t most_probes = 16;
  const std::uint32_t first =
      (hash * 0x9E3779B1U) >> 24U;  // spreads causes that differ in their last letters only
  for (std::uint32_t probe = 0; probe < most_probes; ++probe) {
    Cell& cell = cells[(first + probe) % cell_count];
    std::uint32_t owner = cell.cause.load(std::memory_order_relaxed);
    if (owner == 0 && cell.cause.compare_exchange_strong(owner, hash, std::memory_order_relaxed)) return cell;
    if (owner == hash) return cell;
  }
  return cells[first % cell_count];
}

bool may_report(std::string_view cause) noexcept {
  Cell& cell = cell_of(attribute_name_hash(cause) | 1U);
  const std::uint64_t now = monotonic_nanos();
  std::uint64_t last = cell.last.load(std::memory_order_relaxed);
  if (last != 0 && now - last < once_a_minute_nanos) return false;
  return cell.last.compare_exchange_strong(last, now, std::memory_order_relaxed);
}

}  // namespace

void set_logger(std::shared_ptr<Logger> logger) noexcept {
  static constinit SpinLock lock;
  static constinit std::vector<std::shared_ptr<Logger>>* kept = nullptr;
  Logger* raw = logger.get();
  try {
    std::lock_guard guard(lock);
    if (kept == nullptr) kept = new std::vector<std::shared_ptr<Logger>>;
    if (logger != nullptr) kept->push_back(std::move(logger));
  } catch (...) {
    return;  // no memory: the previous logger stays
  }
  chosen.store(raw, std::memory_order_release);
}

void forget_reports() noexcept {
  for (Cell& cell : cells)
    cell.last.store(0, std::memory_order_relaxed);
}

void report(Severity severity, std::string_view cause, std::string_view message) noexcept {
  if (!may_report(cause)) return;
  if (Logger* logger = chosen.load(std::memory_order_acquire); logger != nullptr) {
    logger->log(severity, message);
  } else {
    StderrLogger(Severity::warning).log(severity, message);
  }
}

}  // namespace v1
}  // namespace midtrace
