// A group of connected spans, flattened into the rows of its drawing.
//
// Contract: lay_out() yields rows in drawing order (a row stands below the row it hangs under). Every span of
// the group has exactly one full row, which alone carries its subtree; further placements by link are rows
// with `repeat`. With `fold`, from six siblings of the same shape on (service, name, kind, status and
// everything below them) the first three stay and one row stands for the rest, so that a batch of a thousand
// messages stays readable; a sibling that differs anywhere, by an error for example, is never folded away.
// Cycles are entered once, at a span marked `in_cycle`. No recursion: depth costs memory, not stack. Threads:
// pure.
#pragma once

#include <cstddef>
#include <vector>

#include "waterfall/graph.h"

namespace midtrace::waterfall {

struct Row {
  std::size_t node = kNone;
  std::size_t above = kNone;    // index of the row it hangs under, kNone for a root
  std::size_t depth = 0;        // number of rows above it
  bool by_link = false;         // placed here by a link, not by its parent id
  bool last = false;            // last of its siblings
  bool repeat = false;          // drawn in full elsewhere
  bool in_cycle = false;        // became a root only because everything above it leads back to it
  std::size_t placements = 1;   // rows this span has in the unfolded drawing
  std::size_t reference = 0;    // number that ties repeats to the full row, 0 for none
  bool full_row_above = false;  // for repeats with a reference: where to look

  std::vector<std::size_t> folded;  // not empty: the row stands for these nodes, `node` is the first of them
  std::size_t folded_spans = 0;     // spans in the subtrees folded away
};

std::vector<Row> lay_out(const Graph& graph, const std::vector<std::size_t>& group, bool fold);

}  // namespace midtrace::waterfall
