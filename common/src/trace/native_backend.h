// NativeBackend: midtrace's own tracer and collector behind the Backend seam.
//
// One object per copy of the library, never destroyed. Before configure() and after shutdown() it forwards
// ambient contexts and records nothing. It is `final` and recognised by address, so that its calls are
// direct.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include <midtrace/trace/backend.h>
#include <midtrace/trace/clock.h>
#include <midtrace/trace/sampler.h>
#include <midtrace/trace/tracer.h>

#include "collector.h"

namespace midtrace {
inline namespace v1 {

struct NativeOptions {
  CollectorOptions collector;
  std::shared_ptr<Sampler> sampler;
  std::shared_ptr<IdGenerator> ids;  // null: random
  SpanLimits limits;
};

// What start finds out about a span that records, besides its context.
struct Lineage {
  SpanId parent_span_id;
  std::uint64_t start_tick;  // 0: not known, the clock is read once there is a record
  std::span<const Attribute> sampler_attributes;
  bool parent_remote;
  // StartOptions::lazy_attributes, once they were made for the sampler.
  bool has_lazy_attributes = false;
  std::span<const Attribute> lazy_attributes = {};
};

// Calls StartOptions::lazy_attributes, which may throw and may be none.
std::span<const Attribute> make_lazy_attributes(const StartOptions& options) noexcept;

class NativeBackend final : public Backend {
 public:
  constexpr NativeBackend() noexcept = default;
  static NativeBackend& instance() noexcept;

  // start() without the seam's structures: fills `context`, and `lineage` when it returns true (the span
  // records).
  bool begin(std::string_view name, const StartOptions& options, SpanContext& context,
             Lineage& lineage) noexcept;

  // False when the collector thread cannot be started. Other threads may go on tracing.
  bool configure(NativeOptions options);
  bool shutdown(std::chrono::milliseconds timeout) noexcept;
  bool configured() const noexcept;

  Context ambient() noexcept override;
  Started start(const StartArguments& arguments) noexcept override;
  ActivationToken activate(const Context& context, std::uint64_t word, SpanRecord* record) noexcept override;
  void deactivate(const ActivationToken& token) noexcept override;
  void finish(SpanRecord* record, std::uint64_t word) noexcept override;
  void discard(SpanRecord* record, std::uint64_t word) noexcept override;
  bool flush(std::chrono::milliseconds timeout) noexcept override;
  Counters counters() noexcept override;
  SamplerNeeds needs() noexcept override;

  bool has_processors() const noexcept { return has_processors_.load(std::memory_order_relaxed); }
  void tell_processors(Span& span, const Context* parent) noexcept;

  // While this copy is attached to another one: that one's clock, which must live for ever.
  void use_clock(Clock* clock) noexcept;
  // The tracing clock of the current configuration.
  std::uint64_t tick() noexcept;
  std::int64_t unix_nanos(std::uint64_t tick) noexcept;

 private:
  std::atomic<bool> has_processors_{false};
};

// The one object, without a destructor that would run at exit: spans end in destructors of statics.
union NativeBackendStorage {
  constexpr NativeBackendStorage() noexcept : backend() {}
  ~NativeBackendStorage() {}  // NOLINT(modernize-use-equals-default): must not destroy the backend
  NativeBackend backend;
};
extern constinit NativeBackendStorage native_backend_storage;
inline NativeBackend& NativeBackend::instance() noexcept { return native_backend_storage.backend; }

}  // namespace v1
}  // namespace midtrace
