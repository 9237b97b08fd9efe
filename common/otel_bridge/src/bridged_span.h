// BridgedSpan: what the bridge keeps of a span that records, from its start to its end.
//
// It owns the application's span. finish() replays midtrace's record into it and ends it; discard() ends it
// empty, because the API cannot take a span back. One thread at a time; nothing throws.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <midtrace/trace/backend.h>

#include <opentelemetry/common/timestamp.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/span_startoptions.h>

namespace midtrace {
inline namespace v1 {
namespace otel_bridge {

// A moment by midtrace's clock, in the two forms that the API takes.
struct Moment {
  std::uint64_t tick = 0;
  std::int64_t unix_nanos = 0;
  std::int64_t steady_nanos = 0;

  // 0: now.
  static Moment at(std::uint64_t tick) noexcept;
};

class BridgedSpan {
 public:
  using Pointer = opentelemetry::nostd::shared_ptr<opentelemetry::trace::Span>;

  // Throws std::bad_alloc.
  BridgedSpan(Pointer span, const Moment& start, const StartArguments& arguments);

  const Pointer& span() const noexcept { return span_; }
  void finish(const SpanRecord& record) noexcept;
  void discard() noexcept;

  std::uint64_t word() const noexcept {
    return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this));
  }
  // Null for a word of another backend: a span may outlive the backend that started it.
  static BridgedSpan* of(std::uint64_t word) noexcept;

 private:
  // `start_unix_nanos`: what the start's tick means now.
  void replay(const SpanRecord& record, std::int64_t start_unix_nanos);
  void replay_links(const SpanRecord& record) noexcept;
  void end_at(std::int64_t nanos_after_start) noexcept;

  const void* mark_;
  Pointer span_;
  Moment start_;
  std::uint64_t name_;  // a hash of the name at the start
  std::size_t links_at_start_;
  std::vector<std::uint64_t> attributes_at_start_;  // fingerprints
};

}  // namespace otel_bridge
}  // namespace v1
}  // namespace midtrace
