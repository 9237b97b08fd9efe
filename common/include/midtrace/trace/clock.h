// The clock and id seams of the native backend.
//
// Defaults: processor ticks where the kernel itself uses them as its clock source, CLOCK_MONOTONIC otherwise;
// ids from a per-thread xoshiro256++ that is seeded by the kernel and seeded anew in a forked child. Tests
// inject a manual clock and sequential ids (midtrace/testing). Implementations are called from any thread and
// never throw or block.
#pragma once

#include <cstdint>

#include <midtrace/context/ids.h>

namespace midtrace {
inline namespace v1 {

class Clock {
 public:
  virtual ~Clock() = default;
  // Never 0.
  virtual std::uint64_t now() noexcept = 0;
  virtual std::int64_t to_unix_nanos(std::uint64_t tick) noexcept = 0;
};

class IdGenerator {
 public:
  virtual ~IdGenerator() = default;
  virtual TraceId trace_id() noexcept = 0;
  virtual SpanId span_id() noexcept = 0;
  // Whether the low 56 bits of its trace ids are random, which sets the random flag on new traces.
  virtual bool random() const noexcept = 0;
};

}  // namespace v1
}  // namespace midtrace
