#include "waterfall/rows.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace midtrace::waterfall {
namespace {

constexpr std::size_t kFoldFrom = 6;
constexpr std::size_t kKeptOfFold = 3;

std::uint64_t mix(std::uint64_t seed, std::uint64_t value) {
  std::uint64_t x = seed * 0x9E3779B97F4A7C15ULL + value;
  x ^= x >> 31U;
  x *= 0xD6E8FEB86659FD93ULL;
  return x ^ (x >> 29U);
}

class Walk {
 public:
  Walk(const Graph& graph, std::size_t group_size) : graph_(graph) { drawn_.reserve(group_size); }

  bool drawn(std::size_t node) const { return drawn_.count(node) != 0; }

  void from_root(std::size_t root, bool in_cycle) {
    pending_.push_back({root, kNone, false});
    while (!pending_.empty()) {
      const Pending next = pending_.back();
      pending_.pop_back();
      place(next, in_cycle && next.above == kNone);
    }
  }

  std::vector<Row> take() { return std::move(rows_); }

 private:
  struct Pending {
    std::size_t node;
    std::size_t above;
    bool by_link;
  };

  void place(const Pending& what, bool in_cycle) {
    const Node& node = graph_.nodes[what.node];
    Row row;
    row.node = what.node;
    row.above = what.above;
    row.depth = what.above == kNone ? 0 : rows_[what.above].depth + 1;
    row.by_link = what.by_link;
    row.in_cycle = in_cycle;
    // A span with a parent has its full row there, whichever row comes first.
    row.repeat = drawn(what.node) || (what.by_link && node.parent != kNone);
    const std::size_t index = rows_.size();
    rows_.push_back(std::move(row));
    if (rows_.back().repeat) {
      return;
    }
    drawn_.insert(what.node);
    for (auto edge = node.below.rbegin(); edge != node.below.rend(); ++edge) {
      pending_.push_back({edge->node, index, edge->by_link});
    }
  }

  const Graph& graph_;
  std::vector<Row> rows_;
  std::vector<Pending> pending_;
  std::unordered_set<std::size_t> drawn_;
};

std::size_t one_step_up(const Node& node) {
  if (node.parent != kNone) {
    return node.parent;
  }
  return node.senders.empty() ? kNone : node.senders.front();
}

// `node` was reached from no root, so the way up from it runs into a cycle: the first span met twice lies on
// it, and everything passed on the way will be drawn below that span.
std::size_t find_cycle(const Graph& graph, std::size_t node) {
  std::unordered_set<std::size_t> seen;
  while (seen.insert(node).second) {
    node = one_step_up(graph.nodes[node]);
  }
  return node;
}

std::uint64_t own_shape(const Graph& graph, const Row& row) {
  const Node& node = graph.nodes[row.node];
  const Span& span = *node.span;
  const std::hash<std::string_view> hash;
  std::uint64_t shape = mix(hash(span.name), hash(span.service));
  shape = mix(shape, static_cast<std::uint64_t>(span.kind));
  shape = mix(shape, span.status == Status::kError ? mix(1, hash(error_type(span))) : 0);
  shape = mix(shape, row.placements);
  const unsigned flags = (row.by_link ? 1U : 0U) | (row.repeat ? 2U : 0U) | (row.in_cycle ? 4U : 0U) |
                         (node.parent_missing ? 8U : 0U) | (node.links_missing > 0 ? 16U : 0U) |
                         (span.dropped_links > 0 ? 32U : 0U);
  return mix(shape, flags);
}

std::vector<Row> fold_siblings(const Graph& graph, std::vector<Row> rows) {
  std::vector<std::uint64_t> shapes(rows.size(), 0);
  std::vector<std::size_t> sizes(rows.size(), 1);
  std::unordered_map<std::uint64_t, std::size_t> alike;  // by shape and the row above
  const auto sibling_key = [&](std::size_t i) { return mix(shapes[i], rows[i].above + 1); };
  for (std::size_t i = rows.size(); i-- > 0;) {
    shapes[i] = mix(own_shape(graph, rows[i]), shapes[i]);
    if (rows[i].above != kNone) {
      shapes[rows[i].above] = mix(shapes[rows[i].above], shapes[i]);
      sizes[rows[i].above] += sizes[i];
    }
    ++alike[sibling_key(i)];
  }

  struct Fold {
    std::size_t seen = 0;
    std::size_t row = kNone;
  };
  std::unordered_map<std::uint64_t, Fold> folds;
  std::vector<std::size_t> new_index(rows.size(), kNone);
  std::vector<Row> kept;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t above = rows[i].above;
    // The row above is hidden, or stands for several spans: what hangs under it is hidden with it.
    if (above != kNone && (new_index[above] == kNone || !kept[new_index[above]].folded.empty())) {
      continue;
    }
    const std::uint64_t key = sibling_key(i);
    const bool folding = alike[key] >= kFoldFrom;
    Fold* fold = folding ? &folds[key] : nullptr;
    if (folding && ++fold->seen > kKeptOfFold + 1) {
      kept[fold->row].folded.push_back(rows[i].node);
      kept[fold->row].folded_spans += sizes[i];
      continue;
    }
    Row row = std::move(rows[i]);
    row.above = above == kNone ? kNone : new_index[above];
    new_index[i] = kept.size();
    if (folding && fold->seen == kKeptOfFold + 1) {
      fold->row = kept.size();
      row.folded.push_back(row.node);
      row.folded_spans = sizes[i];
    }
    kept.push_back(std::move(row));
  }
  return kept;
}

void number_shared(std::vector<Row>& rows) {
  std::unordered_map<std::size_t, std::size_t> full_rows;  // node -> row
  std::size_t references = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].placements > 1 && !rows[i].repeat && rows[i].folded.empty()) {
      rows[i].reference = ++references;
      full_rows.emplace(rows[i].node, i);
    }
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto full = rows[i].repeat ? full_rows.find(rows[i].node) : full_rows.end();
    if (full != full_rows.end()) {
      rows[i].reference = rows[full->second].reference;
      rows[i].full_row_above = full->second < i;
    }
  }
}

void find_last_siblings(std::vector<Row>& rows) {
  std::vector<bool> seen(rows.size(), false);
  bool root_seen = false;
  for (std::size_t i = rows.size(); i-- > 0;) {
    const std::size_t above = rows[i].above;
    rows[i].last = above == kNone ? !root_seen : !seen[above];
    if (above == kNone) {
      root_seen = true;
    } else {
      seen[above] = true;
    }
  }
}

}  // namespace

std::vector<Row> lay_out(const Graph& graph, const std::vector<std::size_t>& group, bool fold) {
  Walk walk(graph, group.size());
  for (const std::size_t node : group) {
    if (one_step_up(graph.nodes[node]) == kNone) {
      walk.from_root(node, false);
    }
  }
  for (const std::size_t node : group) {
    if (!walk.drawn(node)) {
      walk.from_root(find_cycle(graph, node), true);
    }
  }
  std::vector<Row> rows = walk.take();

  std::unordered_map<std::size_t, std::size_t> placements;
  for (const Row& row : rows) {
    ++placements[row.node];
  }
  for (Row& row : rows) {
    row.placements = placements[row.node];
  }
  if (fold) {
    rows = fold_siblings(graph, std::move(rows));
  }
  number_shared(rows);
  find_last_siblings(rows);
  return rows;
}

}  // namespace midtrace::waterfall
