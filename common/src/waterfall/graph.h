// Spans connected: who hangs under whom, and which spans belong in one drawing.
//
// Contract: connect() never fails. The graph borrows the spans; they must outlive it. Exact repetitions of a
// span (same ids, name and times, as at-least-once delivery produces them) become one node; different spans
// that share an id stay apart, and references to that id mean the first of them. Edges lead to spans of the
// input only; what is missing is counted. Edges may form cycles (hostile or broken input): whoever walks the
// graph has to expect that. Threads: pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "waterfall/waterfall.h"

namespace midtrace::waterfall {

inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

struct Edge {
  std::size_t node = kNone;
  bool by_link = false;
};

struct Node {
  const Span* span = nullptr;
  std::size_t parent = kNone;
  bool parent_missing = false;       // has a parent id, but no span in the input bears it
  std::size_t links_missing = 0;     // links that lead out of the input
  std::vector<std::size_t> senders;  // spans it links to, without itself and its parent, each once
  std::vector<Edge> below;           // children and linking spans, by start time
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<std::vector<std::size_t>> groups;  // oldest group first; nodes of a group by start time
};

Graph connect(const std::vector<Span>& spans);

// Clamped so that hostile times cannot overflow: a span without a start has no extent, one without an end
// ends at once.
inline bool has_start(const Span& span) { return span.start_unix_nanos > 0; }
inline std::int64_t end_of(const Span& span) {
  return span.end_unix_nanos > span.start_unix_nanos ? span.end_unix_nanos : span.start_unix_nanos;
}
inline std::int64_t duration_of(const Span& span) {
  return has_start(span) ? end_of(span) - span.start_unix_nanos : 0;
}

// Value of the attribute `error.type`, empty when there is none.
std::string_view error_type(const Span& span);

}  // namespace midtrace::waterfall
