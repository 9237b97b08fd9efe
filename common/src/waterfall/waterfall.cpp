#include "waterfall/waterfall.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "waterfall/graph.h"
#include "waterfall/group_painter.h"
#include "waterfall/line.h"
#include "waterfall/times.h"

namespace midtrace::waterfall {

std::vector<Span> select(const std::vector<Span>& spans, const Selection& selection) {
  const Graph graph = connect(spans);
  std::vector<Span> kept;
  for (const std::vector<std::size_t>& group : graph.groups) {
    bool in_trace = false;
    bool failed = false;
    for (const std::size_t i : group) {
      const Span& span = *graph.nodes[i].span;
      in_trace |= span.trace_id.compare(0, selection.trace_prefix.size(), selection.trace_prefix) == 0;
      failed |= span.status == Status::kError;
    }
    if (in_trace && (failed || !selection.errors_only)) {
      for (const std::size_t i : group) {
        kept.push_back(*graph.nodes[i].span);
      }
    }
  }
  return kept;
}

std::string draw(const std::vector<Span>& spans, const Drawing& drawing) {
  const Graph graph = connect(spans);
  GroupPainter painter(graph, drawing);
  std::string text;
  for (const std::vector<std::size_t>& group : graph.groups) {
    if (!text.empty()) {
      text += '\n';
    }
    text += painter.paint(group);
  }
  return text;
}

std::string summary(const std::vector<Span>& spans, const Drawing& drawing) {
  const Graph graph = connect(spans);
  std::unordered_set<std::string_view> traces;
  std::size_t errors = 0;
  const Span* slowest = nullptr;
  for (const Node& node : graph.nodes) {
    traces.insert(node.span->trace_id);
    errors += node.span->status == Status::kError ? 1 : 0;
    if (slowest == nullptr || duration_of(*node.span) > duration_of(*slowest)) {
      slowest = node.span;
    }
  }
  const std::size_t width = static_cast<std::size_t>(std::clamp(drawing.width, 40, 400));
  const std::string dot = drawing.unicode ? " \xC2\xB7 " : ", ";
  Line line(drawing.colour);
  const auto put = [&](std::string_view text, std::string_view style = {}) {
    line.put(clean(text, drawing.unicode, width - line.width()), style);
  };
  put(counted(traces.size(), "trace") + dot + counted(graph.nodes.size(), "span") + dot);
  put(counted(errors, "error"), errors > 0 ? "1;31" : "");
  if (slowest != nullptr) {
    const std::string tail = " " + format_duration(duration_of(*slowest), drawing.unicode);
    const Text measured = clean(tail, drawing.unicode);
    const std::string whole = slowest->service + (slowest->service.empty() ? "" : " ") + slowest->name;
    put(dot + "slowest ");
    const std::size_t taken = line.width() + measured.width;
    put(clean(whole, drawing.unicode, width > taken ? width - taken : 0).bytes);
    put(tail);
  }
  return std::move(line).take();
}

}  // namespace midtrace::waterfall
