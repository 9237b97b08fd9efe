#include "waterfall/graph.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <unordered_map>

namespace midtrace::waterfall {
namespace {

class Sets {
 public:
  explicit Sets(std::size_t size) : leader_(size) {
    std::iota(leader_.begin(), leader_.end(), std::size_t{0});
  }

  std::size_t find(std::size_t i) {
    while (leader_[i] != i) {
      leader_[i] = leader_[leader_[i]];
      i = leader_[i];
    }
    return i;
  }

  void unite(std::size_t a, std::size_t b) {
    a = find(a);
    b = find(b);
    leader_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> leader_;
};

std::string key_of(std::string_view trace_id, std::string_view span_id) {
  std::string key;
  key.reserve(trace_id.size() + 1 + span_id.size());
  key.append(trace_id).append(1, '/').append(span_id);
  return key;
}

using Index = std::unordered_map<std::string, std::size_t>;

std::size_t lookup(const Index& index, const std::string& key) {
  const auto found = index.find(key);
  return found == index.end() ? kNone : found->second;
}

bool same_delivery(const Span& a, const Span& b) {
  return a.name == b.name && a.service == b.service && a.kind == b.kind &&
         a.start_unix_nanos == b.start_unix_nanos && a.end_unix_nanos == b.end_unix_nanos;
}

// Spans without a time come last: there is no better place for them.
std::int64_t order_of(const Node& node) {
  return has_start(*node.span) ? node.span->start_unix_nanos : std::numeric_limits<std::int64_t>::max();
}

}  // namespace

std::string_view error_type(const Span& span) {
  for (const auto& [key, value] : span.attributes) {
    if (key == "error.type") {
      return value;
    }
  }
  return {};
}

Graph connect(const std::vector<Span>& spans) {
  Graph graph;
  graph.nodes.reserve(spans.size());
  Index by_id;
  Index by_trace;
  for (const Span& span : spans) {
    const auto [entry, fresh] = by_id.try_emplace(key_of(span.trace_id, span.span_id), graph.nodes.size());
    if (!fresh && same_delivery(*graph.nodes[entry->second].span, span)) {
      continue;
    }
    by_trace.try_emplace(span.trace_id, graph.nodes.size());
    graph.nodes.emplace_back().span = &span;
  }

  Sets sets(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    Node& node = graph.nodes[i];
    sets.unite(i, lookup(by_trace, node.span->trace_id));
    if (!node.span->parent_span_id.empty()) {
      node.parent = lookup(by_id, key_of(node.span->trace_id, node.span->parent_span_id));
      node.parent_missing = node.parent == kNone;
      if (node.parent != kNone) {
        graph.nodes[node.parent].below.push_back({i, false});
      }
    }
    for (const Link& link : node.span->links) {
      const std::size_t sender = lookup(by_id, key_of(link.trace_id, link.span_id));
      if (sender == kNone) {
        ++node.links_missing;
        if (const std::size_t trace = lookup(by_trace, link.trace_id); trace != kNone) {
          sets.unite(i, trace);
        }
        continue;
      }
      sets.unite(i, sender);
      if (sender != i && sender != node.parent) {
        node.senders.push_back(sender);
      }
    }
    std::sort(node.senders.begin(), node.senders.end());
    node.senders.erase(std::unique(node.senders.begin(), node.senders.end()), node.senders.end());
    for (const std::size_t sender : node.senders) {
      graph.nodes[sender].below.push_back({i, true});
    }
  }

  const auto earlier = [&graph](std::size_t a, std::size_t b) {
    const std::int64_t start_a = order_of(graph.nodes[a]);
    const std::int64_t start_b = order_of(graph.nodes[b]);
    return start_a != start_b ? start_a < start_b : a < b;
  };
  for (Node& node : graph.nodes) {
    std::sort(node.below.begin(), node.below.end(),
              [&earlier](const Edge& a, const Edge& b) { return earlier(a.node, b.node); });
  }
  std::vector<std::size_t> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), earlier);
  std::vector<std::size_t> group_of(graph.nodes.size(), kNone);
  for (const std::size_t i : order) {
    std::size_t& group = group_of[sets.find(i)];
    if (group == kNone) {
      group = graph.groups.size();
      graph.groups.emplace_back();
    }
    graph.groups[group].push_back(i);
  }
  return graph;
}

}  // namespace midtrace::waterfall
