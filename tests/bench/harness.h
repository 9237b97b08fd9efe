// The benchmark harness: blocks interleaved in one process, thread-CPU time, and verdicts by intervals.
//
// A case measures several contestants against each other. Each runs in blocks of many operations; the blocks
// alternate A B B A, and the order is rotated from round to round, so that a machine that gets slower or
// faster meanwhile does so for all. A figure is the median over the rounds of what one contestant costs more
// than another, per operation, in CPU time of the thread that does it (CLOCK_THREAD_CPUTIME_ID), with a
// bootstrap 95 % interval. A budget is judged by the interval's upper end. A row whose run lost something (a
// dropped span, a failed call) is void: it has no value and does not hold.
//
// One thread drives the harness; contestants may use threads of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/allocations.h"

namespace midtrace::bench {

// Nanoseconds, or whatever unit the row has.
struct Estimate {
  double median = 0;
  double low = 0;
  double high = 0;
};

// The median with its bootstrap 95 % interval; a single sample is its own interval.
Estimate estimate(std::vector<double> samples);
inline Estimate exactly(double value) { return {value, value, value}; }

// CPU time of the calling thread, in nanoseconds.
std::int64_t thread_cpu_nanos() noexcept;
std::int64_t wall_nanos() noexcept;

// Keeps the compiler from dropping the computation of `value`.
template <class Value>
inline void keep(const Value& value) noexcept {
  asm volatile("" : : "r,m"(value) : "memory");
}

// What one operation cost on average in one block.
struct Cost {
  double nanos = 0;
  double allocations = 0;
};

// Runs `operation(index)` for 0, 1, ... and measures the calling thread.
template <class Operation>
Cost timed(std::size_t operations, Operation&& operation) {
  const std::uint64_t allocations = test::allocations_of_this_thread();
  const std::int64_t begin = thread_cpu_nanos();
  for (std::size_t index = 0; index < operations; ++index)
    operation(index);
  const std::int64_t end = thread_cpu_nanos();
  const auto count = static_cast<double>(operations);
  return {static_cast<double>(end - begin) / count,
          static_cast<double>(test::allocations_of_this_thread() - allocations) / count};
}

// `block` runs one block, including what must happen before and after it outside the measured time.
struct Contestant {
  std::string name;
  std::function<Cost()> block;
};

// The measurements of all contestants, by their position.
class Rounds {
 public:
  explicit Rounds(std::size_t contestants) : nanos_(contestants), allocations_(contestants) {}
  void add(std::size_t contestant, Cost first, Cost second);

  Estimate cost(std::size_t contestant) const;
  // What `contestant` costs more than `base`, paired by round.
  Estimate added(std::size_t contestant, std::size_t base) const;
  // (contestant - base) / (other - base), paired by round. Without a base, contestant / other.
  Estimate ratio(std::size_t contestant, std::size_t other, std::optional<std::size_t> base = {}) const;
  // (later - later_base) / (earlier - earlier_base), paired by round.
  Estimate growth(std::size_t later, std::size_t later_base, std::size_t earlier,
                  std::size_t earlier_base) const;
  // The most of any round: in a steady state there is no excuse for one.
  double allocations(std::size_t contestant) const;

 private:
  std::vector<std::vector<double>> nanos_;
  std::vector<std::vector<double>> allocations_;
};

// Some rounds to warm up, then `rounds` that count.
Rounds interleave(std::span<const Contestant> contestants, std::size_t rounds);

struct Reference {
  std::string name;
  Estimate value;
  Estimate ratio;
};

// One line of the result.
struct Row {
  std::string name;
  std::string unit;
  Estimate value;
  std::optional<Reference> reference = {};
  // Upper bounds: in `unit`, and as a multiple of the reference. With both, the one on the reference counts
  // where there is a reference.
  std::optional<double> at_most = {};
  std::optional<double> at_most_of_reference = {};
  std::string void_reason = {};

  // The bound in `unit`, or nothing.
  std::optional<double> budget() const;
  // Nothing when there is no budget.
  std::optional<bool> holds() const;
};

struct Options {
  std::string filter;
  std::string json_path;
  bool quick = false;
  bool long_run = false;
};

// What a case runs with.
class Session {
 public:
  explicit Session(const Options& options) : options_(options) {}
  void add(Row row);
  // Fewer when it must be quick.
  std::size_t rounds(std::size_t wanted) const { return options_.quick ? wanted / 8 + 3 : wanted; }
  bool quick() const { return options_.quick; }
  // Ten times as many messages, where growth is looked for.
  bool long_run() const { return options_.long_run; }
  const std::vector<Row>& rows() const { return rows_; }

 private:
  const Options& options_;
  std::vector<Row> rows_;
};

struct Case {
  std::string_view name;
  void (*run)(Session& session);
};

std::string table(std::span<const Row> rows);
std::string json(std::span<const Row> rows);
// Processor, cores, load, compiler.
std::string machine();

// Measurements that need a process of their own, such as memory: runs this program again with `--child
// <name>`. Empty when it failed.
struct ChildCase {
  std::string_view name;
  std::vector<double> (*run)();
};
std::vector<double> run_child(std::string_view name);

}  // namespace midtrace::bench
