#include <algorithm>
#include <compare>
#include <cstddef>
#include <map>
#include <tuple>
#include <utility>

#include <midtrace/testing/testing.h>

#include "printed.h"

namespace midtrace {
inline namespace v1 {
namespace testing {

namespace {

using Place = std::pair<TraceId, SpanId>;

std::string_view kind_name(SpanKind kind) noexcept {
  switch (kind) {
    case SpanKind::internal:
      return "INTERNAL";
    case SpanKind::server:
      return "SERVER";
    case SpanKind::client:
      return "CLIENT";
    case SpanKind::producer:
      return "PRODUCER";
    case SpanKind::consumer:
      return "CONSUMER";
  }
  return "UNKNOWN";
}

// 1500000 as `1.5ms`: the largest unit that leaves a whole part, exact, without trailing zeros.
std::string duration_text(std::int64_t nanos) {
  struct Unit {
    std::int64_t nanos;
    const char* name;
  };
  constexpr Unit units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}};
  for (const Unit& unit : units) {
    if (nanos < unit.nanos) continue;
    std::string result = std::to_string(nanos / unit.nanos);
    if (const std::int64_t rest = nanos % unit.nanos; rest != 0) {
      // One digit in front keeps the zeros that follow the point.
      std::string digits = std::to_string(unit.nanos + rest).substr(1);
      digits.erase(digits.find_last_not_of('0') + 1);
      result.append(".").append(digits);
    }
    return result + unit.name;
  }
  return std::to_string(nanos) + "ns";
}

// Draws one set of spans. Nothing printed, and no order, depends on ids, so that runs with random ids and
// with several threads agree: siblings that begin at the same time under the same name are ordered by what is
// printed of them and of everything below them. Nothing recurses.
class Tree {
 public:
  Tree(const std::vector<OwnedSpan>& spans, const TreeOptions& options)
      : spans_(spans), options_(options), nodes_(spans.size()) {
    for (std::size_t i = 0; i < spans.size(); ++i)
      places_.emplace(place(spans[i].context), i);
    for (std::size_t i = 0; i < spans.size(); ++i)
      nodes_[i].lines = lines_of(i);
    hang();
    rank();
  }

  std::string text() const {
    std::string result = "\n";
    std::vector<std::size_t> waiting(roots_.rbegin(), roots_.rend());
    while (!waiting.empty()) {
      const Node& node = nodes_[waiting.back()];
      waiting.pop_back();
      bool first = true;
      for (const std::string& line : node.lines) {
        result.append(2 * node.depth + (first ? 0 : 2), ' ').append(line).append("\n");
        first = false;
      }
      waiting.insert(waiting.end(), node.children.rbegin(), node.children.rend());
    }
    return result;
  }

 private:
  // A subtree's place among all subtrees of its height. Equal ranks: the subtrees print the same.
  struct Rank {
    std::size_t height = 0;
    std::size_t index = 0;
    friend auto operator<=>(const Rank&, const Rank&) = default;
  };
  struct Node {
    std::vector<std::string> lines;  // the span's own, without indentation
    std::vector<std::size_t> children;
    std::size_t depth = 0;
    Rank rank;
  };

  static Place place(const SpanContext& context) { return {context.trace_id, context.span_id}; }

  // The index of the span's parent, or of the span itself when it is not here.
  std::size_t parent_of(std::size_t span) const {
    if (!spans_[span].parent_span_id.valid()) return span;
    const auto found = places_.find({spans_[span].context.trace_id, spans_[span].parent_span_id});
    return found == places_.end() ? span : found->second;
  }

  // Finds the roots, the children, the depths, and an order in which parents come before their children.
  void hang() {
    for (std::size_t i = 0; i < spans_.size(); ++i) {
      const std::size_t parent = parent_of(i);
      (parent == i ? roots_ : nodes_[parent].children).push_back(i);
    }
    std::vector<bool> reached(spans_.size());
    const auto descend = [&](std::size_t root) {
      reached[root] = true;
      std::size_t next = downward_.size();
      downward_.push_back(root);
      for (; next < downward_.size(); ++next) {
        Node& node = nodes_[downward_[next]];
        std::erase_if(node.children, [&](std::size_t child) { return reached[child]; });
        for (const std::size_t child : node.children) {
          reached[child] = true;
          nodes_[child].depth = node.depth + 1;
          downward_.push_back(child);
        }
      }
    };
    for (const std::size_t root : roots_)
      descend(root);
    // Spans that are their own ancestors would be lost: one of them stands in for the root.
    for (std::size_t i = 0; i < spans_.size(); ++i) {
      if (reached[i]) continue;
      roots_.push_back(i);
      descend(i);
    }
  }

  // Orders siblings from the leaves up: by the time the subtrees of one height are compared, those below have
  // ranks.
  void rank() {
    std::vector<std::vector<std::size_t>> levels;
    for (auto index = downward_.rbegin(); index != downward_.rend(); ++index) {
      Node& node = nodes_[*index];
      for (const std::size_t child : node.children) {
        node.rank.height = std::max(node.rank.height, nodes_[child].rank.height + 1);
      }
      if (levels.size() <= node.rank.height) levels.resize(node.rank.height + 1);
      levels[node.rank.height].push_back(*index);
    }
    for (std::vector<std::size_t>& level : levels) {
      for (const std::size_t index : level)
        sort_siblings(nodes_[index].children);
      std::sort(level.begin(), level.end(),
                [this](std::size_t a, std::size_t b) { return compare(a, b) < 0; });
      for (std::size_t i = 1; i < level.size(); ++i) {
        const std::size_t before = nodes_[level[i - 1]].rank.index;
        nodes_[level[i]].rank.index = compare(level[i - 1], level[i]) == 0 ? before : i;
      }
    }
    sort_siblings(roots_);
  }

  auto own_key(std::size_t index) const {
    return std::tie(spans_[index].start_unix_nanos, spans_[index].name, nodes_[index].lines);
  }

  void sort_siblings(std::vector<std::size_t>& siblings) const {
    std::sort(siblings.begin(), siblings.end(), [this](std::size_t a, std::size_t b) {
      return std::tuple_cat(own_key(a), std::tie(nodes_[a].rank)) <
             std::tuple_cat(own_key(b), std::tie(nodes_[b].rank));
    });
  }

  // Two subtrees of one height, whose children are ranked and in order.
  std::strong_ordering compare(std::size_t a, std::size_t b) const {
    if (const auto own = own_key(a) <=> own_key(b); own != 0) return own;
    const auto& left = nodes_[a].children;
    const auto& right = nodes_[b].children;
    return std::lexicographical_compare_three_way(
        left.begin(), left.end(), right.begin(), right.end(),
        [this](std::size_t x, std::size_t y) { return nodes_[x].rank <=> nodes_[y].rank; });
  }

  // `key = value` of every attribute that is to be shown, by key.
  std::vector<std::string> attribute_texts(const std::vector<OwnedAttribute>& attributes) const {
    std::vector<std::string> result;
    if (!options_.attributes) return result;
    for (const OwnedAttribute& attribute : attributes) {
      const bool left_out = std::find(options_.without.begin(), options_.without.end(), attribute.key) !=
                            options_.without.end();
      if (left_out) continue;
      const auto masked = options_.masked.find(attribute.key);
      result.push_back(printed(attribute.key) + " = " +
                       (masked == options_.masked.end() ? attribute.text() : masked->second));
    }
    std::sort(result.begin(), result.end());
    return result;
  }

  std::string in_braces(const std::vector<OwnedAttribute>& attributes) const {
    std::string result;
    for (const std::string& text : attribute_texts(attributes)) {
      result.append(result.empty() ? " {" : ", ").append(text);
    }
    return result.empty() ? result : result + "}";
  }

  std::vector<std::string> lines_of(std::size_t index) const {
    const OwnedSpan& span = spans_[index];
    std::vector<std::string> lines = {printed(span.name) + " " + std::string(kind_name(span.kind))};
    if (options_.durations) lines[0] += " " + duration_text(span.end_unix_nanos - span.start_unix_nanos);
    if (span.parent_span_id.valid() && parent_of(index) == index) lines.emplace_back("parent (not here)");
    if (options_.status && span.status == StatusCode::ok) lines.emplace_back("status OK");
    if (options_.status && span.status == StatusCode::error) {
      lines.push_back("status ERROR" +
                      (span.status_description.empty() ? "" : ": " + printed(span.status_description)));
    }
    for (std::string& text : attribute_texts(span.attributes))
      lines.push_back(std::move(text));
    if (options_.events) {
      for (const OwnedEvent& event : span.events) {
        lines.push_back("event " + printed(event.name) + in_braces(event.attributes));
      }
    }
    if (options_.links) {
      for (const OwnedLink& link : span.links) {
        const auto linked = places_.find(place(link.context));
        lines.push_back("link -> " +
                        (linked == places_.end() ? "(not here)" : printed(spans_[linked->second].name)) +
                        in_braces(link.attributes));
      }
    }
    return lines;
  }

  const std::vector<OwnedSpan>& spans_;
  const TreeOptions& options_;
  std::vector<Node> nodes_;
  std::map<Place, std::size_t> places_;
  std::vector<std::size_t> roots_;
  std::vector<std::size_t> downward_;
};

}  // namespace

std::string span_tree(const std::vector<OwnedSpan>& spans, const TreeOptions& options) {
  return Tree(spans, options).text();
}

}  // namespace testing
}  // namespace v1
}  // namespace midtrace
