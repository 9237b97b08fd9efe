// SpanContext: the part of a span that others may refer to: ids, flags, tracestate.
//
// A value of 40 bytes. It is valid for unsampled spans too, because their ids are what goes on the wire.
// `remote` says that it was extracted from a carrier. Copying touches no shared memory unless there is a
// tracestate. Source: OpenTelemetry Trace API, SpanContext.
//
// Remote without ids is a sampling decision that came alone (B3's `b3: 0`): the next span is a root, and
// parent-based samplers decide for it as for the child of a remote span with these flags.
#pragma once

#include <midtrace/context/ids.h>
#include <midtrace/context/trace_state.h>

namespace midtrace {
inline namespace v1 {

struct SpanContext {
  TraceId trace_id;
  SpanId span_id;
  TraceFlags flags;
  bool remote = false;
  TraceState trace_state;

  bool valid() const noexcept { return trace_id.valid() && span_id.valid(); }
  bool sampled() const noexcept { return flags.sampled(); }
  bool decision_only() const noexcept { return remote && !valid(); }

  friend bool operator==(const SpanContext&, const SpanContext&) noexcept = default;
};

}  // namespace v1
}  // namespace midtrace
