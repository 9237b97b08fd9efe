#include "waterfall/group_painter.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_set>

#include "waterfall/times.h"

namespace midtrace::waterfall {
namespace {

constexpr std::string_view kBold = "1";
constexpr std::string_view kDim = "2";
constexpr std::string_view kRed = "31";
constexpr std::string_view kBoldRed = "1;31";

// Mid-tones that read on dark and on light backgrounds; red is kept for errors.
constexpr std::array kServiceColours{32, 35, 172, 133, 37, 99, 64, 169};

constexpr std::size_t kKindWidth = 4;
constexpr std::size_t kDurationWidth = 8;
constexpr std::size_t kNarrow = 60;  // below this the service column gives way to the bars
constexpr std::size_t kLinksListed = 8;

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kInternal:
      return "int";
    case Kind::kServer:
      return "srv";
    case Kind::kClient:
      return "cli";
    case Kind::kProducer:
      return "prod";
    case Kind::kConsumer:
      return "cons";
    case Kind::kUnspecified:
      break;
  }
  return "";
}

std::size_t guide_width(std::size_t depth) { return depth == 0 ? 0 : 2 * depth + 1; }

std::int64_t longest_of(const Graph& graph, const std::vector<std::size_t>& nodes) {
  std::int64_t longest = 0;
  for (const std::size_t node : nodes) {
    longest = std::max(longest, duration_of(*graph.nodes[node].span));
  }
  return longest;
}

}  // namespace

std::string counted(std::size_t count, std::string_view what) {
  std::string text = std::to_string(count);
  text.append(" ").append(what);
  if (count != 1) {
    text.push_back('s');
  }
  return text;
}

GroupPainter::GroupPainter(const Graph& graph, const Drawing& drawing)
    : graph_(graph),
      drawing_(drawing),
      width_(static_cast<std::size_t>(std::clamp(drawing.width, 40, 400))) {}

std::string GroupPainter::paint(const std::vector<std::size_t>& nodes) {
  std::int64_t origin = std::numeric_limits<std::int64_t>::max();
  std::int64_t end = 0;
  Group group;
  for (const std::size_t i : nodes) {
    const Span& span = *graph_.nodes[i].span;
    group.several_traces |= span.trace_id != graph_.nodes[nodes.front()].span->trace_id;
    if (has_start(span)) {
      origin = std::min(origin, span.start_unix_nanos);
      end = std::max(end, end_of(span));
    }
  }
  group.rows = lay_out(graph_, nodes, drawing_.fold);
  group.columns = measure(group);
  const Axis axis(origin, end, group.columns.bar);
  std::string text = header(nodes, origin, end);
  text += titles(group.columns, axis);
  for (std::size_t i = 0; i < group.rows.size(); ++i) {
    text += row_lines(group, i, axis);
  }
  return text;
}

GroupPainter::Columns GroupPainter::measure(const Group& group) const {
  constexpr std::size_t kService = 7;  // the column's title
  const std::size_t service_limit = std::clamp<std::size_t>(width_ / 6, 8, 20);
  std::size_t service = 0;
  std::size_t label = 12;
  for (const Row& row : group.rows) {
    const Span& span = *graph_.nodes[row.node].span;
    if (!span.service.empty()) {
      service = std::max({service, kService, cleaned(span.service, service_limit).width});
    }
    const std::size_t more = row.folded.empty() ? 0 : std::to_string(row.folded.size()).size() + 8;
    label = std::max(label, guide_width(row.depth) + more + cleaned(span.name, width_).width);
  }
  Columns columns;
  columns.service = width_ < kNarrow ? 0 : service;
  columns.label_at = columns.service == 0 ? 0 : columns.service + 2;
  const std::size_t rest = width_ - columns.label_at - (2 + kKindWidth + 1 + 1 + kDurationWidth + 2);
  columns.label = std::min(label, rest * 11 / 20);
  // Where not everything fits, deep trees must still leave room for the names.
  columns.levels = columns.label == label ? kNone : std::max<std::size_t>(2, (columns.label - 10) / 2);
  columns.kind_at = columns.label_at + columns.label + 2;
  columns.bar_at = columns.kind_at + kKindWidth + 1;
  columns.bar = rest - columns.label;
  columns.duration_at = columns.bar_at + columns.bar + 1;
  columns.mark_at = columns.duration_at + kDurationWidth + 1;
  return columns;
}

std::string GroupPainter::header(const std::vector<std::size_t>& group, std::int64_t origin,
                                 std::int64_t end) const {
  std::unordered_set<std::string_view> traces;
  std::unordered_set<std::string_view> services;
  std::size_t errors = 0;
  for (const std::size_t i : group) {
    const Span& span = *graph_.nodes[i].span;
    traces.insert(span.trace_id);
    if (!span.service.empty()) {
      services.insert(span.service);
    }
    errors += span.status == Status::kError ? 1 : 0;
  }
  const Text dot = cleaned(glyph(" \xC2\xB7 ", ", "));
  const bool timed = end > 0;
  std::vector<Text> facts;  // most wanted last: the first ones go when the line is too short for all
  facts.push_back(cleaned(counted(group.size(), "span")));
  if (!services.empty()) {
    facts.push_back(cleaned(counted(services.size(), "service")));
  }
  if (timed) {
    facts.push_back(cleaned(format_duration(end - origin, drawing_.unicode)));
  }
  if (errors > 0) {
    facts.push_back(cleaned(counted(errors, "error")));
  }
  const std::string others = traces.size() > 1 ? " and " + std::to_string(traces.size() - 1) + " linked" : "";
  const std::string& trace_id = graph_.nodes[group.front()].span->trace_id;
  std::size_t id_limit = std::min<std::size_t>(trace_id.size(), 32);
  const auto needed = [&] {
    std::size_t width = 6 + id_limit + others.size();
    for (const Text& fact : facts) {
      width += dot.width + fact.width;
    }
    return width;
  };
  for (const std::size_t shorter : {std::size_t{17}, std::size_t{9}}) {
    id_limit = needed() > width_ ? std::min(shorter, id_limit) : id_limit;
  }
  while (needed() > width_ && facts.size() > 1) {
    facts.erase(facts.begin());
  }

  Line line(drawing_.colour);
  line.put("trace ", 6);
  line.put(cleaned(trace_id, id_limit), kBold);
  line.put(others, others.size());
  for (std::size_t i = 0; i < facts.size(); ++i) {
    line.put(dot);
    line.put(facts[i], errors > 0 && i + 1 == facts.size() ? kBoldRed : std::string_view{});
  }
  if (timed) {
    const std::string instant = format_instant(origin);
    if (line.width() + 3 + instant.size() <= width_) {
      line.pad_to(width_ - instant.size());
      line.put(instant, instant.size(), kDim);
    }
  }
  return std::move(line).take();
}

std::string GroupPainter::titles(const Columns& columns, const Axis& axis) const {
  Line line(drawing_.colour);
  if (columns.service > 0) {
    line.put("service", 7, kDim);
  }
  line.pad_to(columns.label_at);
  line.put("span", 4, kDim);
  line.pad_to(columns.kind_at);
  line.put("kind", 4, kDim);
  line.pad_to(columns.bar_at);
  line.put(axis.rule(drawing_.unicode), columns.bar, kDim);
  line.pad_to(columns.duration_at);
  line.put("duration", kDurationWidth, kDim);
  return std::move(line).take();
}

// The tree to the left of a row, or of the lines under it. When the tree is deeper than the column is wide,
// the outer levels give way to an ellipsis.
Text GroupPainter::guides(const Group& group, std::size_t index, bool below) const {
  const std::vector<Row>& rows = group.rows;
  std::vector<std::size_t> path;  // from the row upwards, without the root
  std::size_t at = index;
  while (rows[at].above != kNone && path.size() < group.columns.levels) {
    path.push_back(at);
    at = rows[at].above;
  }
  const bool elided = rows[at].above != kNone;
  Text text;
  const auto add = [&text](const char* bytes, std::size_t width) {
    text.bytes += bytes;
    text.width += width;
  };
  for (std::size_t i = path.size(); i-- > (below ? 0U : 1U);) {
    if (elided && i + 1 == path.size()) {
      add(glyph("\xE2\x80\xA6 ", "~ "), 2);
    } else {
      add(rows[path[i]].last ? "  " : glyph("\xE2\x94\x82 ", "| "), 2);
    }
  }
  const Row& row = rows[index];
  if (below) {
    const bool parent_of_next = index + 1 < rows.size() && rows[index + 1].above == index;
    add(parent_of_next ? glyph("\xE2\x94\x82 ", "| ") : "  ", 2);
    return text;
  }
  if (!path.empty()) {
    add(row.last ? glyph("\xE2\x94\x94", "`") : glyph("\xE2\x94\x9C", "|"), 1);
    const char* arm = row.by_link ? glyph("\xE2\x87\xA2 ", "> ") : glyph("\xE2\x94\x80 ", "- ");
    add(row.folded.empty() ? arm : glyph("\xE2\x8B\xAE ", ": "), 2);
  } else if (!row.folded.empty()) {
    add(glyph("\xE2\x8B\xAE ", ": "), 2);
  }
  return text;
}

void GroupPainter::put_label(Line& line, const Group& group, std::size_t index) const {
  const Row& row = group.rows[index];
  const Text tree = guides(group, index, false);
  line.put(tree, kDim);
  std::size_t room = group.columns.label - std::min(group.columns.label, tree.width);
  if (!row.folded.empty()) {
    const Text more = cleaned(std::to_string(row.folded.size()) + " more ", room);
    line.put(more, kBold);
    room -= more.width;
  }
  line.put(cleaned(graph_.nodes[row.node].span->name, room), row.repeat ? kDim : std::string_view{});
}

Strip GroupPainter::strip(const Group& group, std::size_t index, const Axis& axis) const {
  const Row& row = group.rows[index];
  const Span& span = *graph_.nodes[row.node].span;
  Strip strip(axis, drawing_.unicode, drawing_.colour);
  if (!row.folded.empty()) {
    for (const std::size_t node : row.folded) {
      const Span& folded = *graph_.nodes[node].span;
      if (has_start(folded)) {
        strip.shade(folded.start_unix_nanos, end_of(folded));
      }
    }
  } else if (has_start(span)) {
    if (row.above != kNone) {
      const Span& above = *graph_.nodes[group.rows[row.above].node].span;
      if (has_start(above) && end_of(above) < span.start_unix_nanos) {
        strip.wait(end_of(above), span.start_unix_nanos);
      }
    }
    if (row.repeat) {
      strip.shade(span.start_unix_nanos, end_of(span));
    } else {
      strip.bar(span.start_unix_nanos, end_of(span));
    }
  }
  return strip;
}

Text GroupPainter::wait_label(const Group& group, std::size_t index) const {
  const Row& row = group.rows[index];
  if (row.above == kNone || !row.folded.empty()) {
    return {};
  }
  const Span& above = *graph_.nodes[group.rows[row.above].node].span;
  const Span& span = *graph_.nodes[row.node].span;
  if (!has_start(above) || !has_start(span) || span.start_unix_nanos <= end_of(above)) {
    return {};
  }
  return cleaned(" " + format_duration(span.start_unix_nanos - end_of(above), drawing_.unicode) + " ");
}

std::vector<GroupPainter::Note> GroupPainter::notes(const Row& row) const {
  const Node& node = graph_.nodes[row.node];
  const Span& span = *node.span;
  std::vector<Note> found;
  const auto add = [&](std::string_view text, bool error = false) {
    found.push_back({cleaned(text, width_), error});
  };
  if (span.status == Status::kError) {
    const std::string_view type = error_type(span);
    if (const std::string_view reason = type.empty() ? span.status_message : type; !reason.empty()) {
      add(reason, true);
    }
  }
  if (!row.folded.empty()) {
    if (row.folded_spans > row.folded.size()) {
      add(counted(row.folded_spans, "span"));
    }
    return found;
  }
  if (row.placements > 1) {
    std::string text = glyph("shared \xC3\x97", "shared x") + std::to_string(row.placements);
    if (row.reference > 0) {
      text += " [" + std::to_string(row.reference) + "]";
    }
    if (row.repeat) {
      const char* arrow = row.full_row_above ? glyph("\xE2\x86\x91", "^") : glyph("\xE2\x86\x93", "v");
      text += row.reference == 0 ? ", folded" : arrow;
    }
    add(text);
  }
  if (row.repeat) {
    return found;
  }
  if (row.in_cycle) {
    add("part of a cycle");
  }
  if (node.parent_missing) {
    add("parent not in these files");
  }
  if (node.links_missing > 0) {
    const bool single = node.links_missing == 1;
    add(single ? "linked span not in these files"
               : counted(node.links_missing, "linked span") + " not in these files");
  }
  if (span.dropped_links > 0) {
    add(counted(span.dropped_links, "link") + " dropped");
  }
  if (!has_start(span)) {
    add("no start time");
  } else if (span.end_unix_nanos <= 0) {
    add("not ended");
  } else if (span.end_unix_nanos < span.start_unix_nanos) {
    add("ends " + format_duration(span.start_unix_nanos - span.end_unix_nanos, drawing_.unicode) +
        " before its start");
  }
  return found;
}

void GroupPainter::put_notes(Line& line, const std::vector<Note>& notes, std::size_t limit) const {
  const Text dot = cleaned(glyph(" \xC2\xB7 ", ", "));
  const std::size_t stop = line.width() + limit;
  for (std::size_t i = 0; i < notes.size(); ++i) {
    if (i > 0) {
      if (line.width() + dot.width >= stop) {
        return;
      }
      line.put(dot, kDim);
    }
    line.put(cleaned(notes[i].text.bytes, stop - line.width()), notes[i].error ? kRed : kDim);
  }
}

// Draws the cells, and the notes in the blank cells beside the bar when they fit there; then `notes` is empty
// after it.
void GroupPainter::put_bar(Line& line, const Strip& strip, const Text& wait, std::vector<Note>& notes,
                           std::string_view style) const {
  std::vector<Cell> cells = strip.cells();
  std::size_t notes_width = notes.empty() ? 0 : (notes.size() - 1) * (drawing_.unicode ? 3 : 2);
  for (const Note& note : notes) {
    notes_width += note.text.width;
  }
  const std::size_t past = std::max(strip.past(Ink::kBar), strip.past(Ink::kShade));
  const std::size_t first = std::min(strip.first(Ink::kBar), strip.first(Ink::kShade));
  const std::size_t wait_first = std::min(first, strip.first(Ink::kWait));
  const std::size_t gap = past == 0 ? 0 : 1;
  std::size_t notes_at = kNone;
  if (!notes.empty() && past + gap + notes_width <= cells.size()) {
    notes_at = past + gap;
  } else if (!notes.empty() && notes_width + 1 <= wait_first) {
    notes_at = wait_first - notes_width - 1;
  } else if (!notes.empty() && notes_width + 1 <= first) {
    notes_at = first - notes_width - 1;  // over the dots: still shorter than a line of its own
    cells[first - 1] = Cell{};
    if (notes_at > 0) {
      cells[notes_at - 1] = Cell{};
    }
  }

  const std::size_t wait_past = strip.past(Ink::kWait);
  const bool dots_free = notes_at == kNone || notes_at >= wait_past || notes_at + notes_width <= wait_first;
  // The dots must stay visible on both sides of the label.
  const bool labelled = dots_free && wait.width > 0 && wait_past >= wait_first + wait.width + 4;
  const std::size_t wait_at = labelled ? wait_first + (wait_past - wait_first - wait.width) / 2 : kNone;
  const std::size_t origin = line.width();
  for (std::size_t i = 0; i < cells.size();) {
    if (i == notes_at) {
      line.pad_to(origin + i);
      put_notes(line, notes, notes_width);
      i += notes_width;
      line.pad_to(origin + i);
      continue;
    }
    if (i == wait_at) {
      line.put(wait, kDim);
      i += wait.width;
      continue;
    }
    // Cells alike are put together, which keeps coloured output small.
    std::string run;
    std::size_t next = i;
    while (next < cells.size() && cells[next].ink == cells[i].ink &&
           cells[next].inverse == cells[i].inverse && (next == i || (next != notes_at && next != wait_at))) {
      run += cells[next++].glyph;
    }
    if (cells[i].ink == Ink::kBlank) {
      line.pad_to(origin + next);
    } else if (cells[i].ink == Ink::kWait) {
      line.put(run, next - i, kDim);
    } else {
      line.put(run, next - i, cells[i].inverse ? "7;" + std::string(style) : style);
    }
    i = next;
  }
  if (notes_at != kNone) {
    notes.clear();
  }
}

std::string GroupPainter::service_style(std::string_view service) {
  const std::size_t index =
      service_colours_.try_emplace(service, service_colours_.size()).first->second % kServiceColours.size();
  return "38;5;" + std::to_string(kServiceColours[index]);
}

std::string GroupPainter::row_lines(const Group& group, std::size_t index, const Axis& axis) {
  const Row& row = group.rows[index];
  const Columns& columns = group.columns;
  const Span& span = *graph_.nodes[row.node].span;
  const bool failed = span.status == Status::kError;
  const std::string service = service_style(span.service);

  Line line(drawing_.colour);
  if (columns.service > 0) {
    line.put(cleaned(span.service, columns.service), service);
  }
  line.pad_to(columns.label_at);
  put_label(line, group, index);
  line.pad_to(columns.kind_at);
  const std::string_view kind = kind_name(span.kind);
  line.put(kind, kind.size(), kDim);
  line.pad_to(columns.bar_at);
  std::vector<Note> remarks = notes(row);
  put_bar(line, strip(group, index, axis), wait_label(group, index), remarks,
          failed ? std::string(kRed) : service);

  std::string duration;
  if (!row.folded.empty()) {
    duration =
        glyph("\xE2\x89\xA4", "<=") + format_duration(longest_of(graph_, row.folded), drawing_.unicode);
  } else if (has_start(span)) {
    duration = format_duration(duration_of(span), drawing_.unicode);
  }
  const Text shown = cleaned(duration);
  line.pad_to(columns.duration_at + kDurationWidth - std::min(kDurationWidth, shown.width));
  line.put(shown, row.repeat ? kDim : std::string_view{});
  if (failed) {
    line.pad_to(columns.mark_at);
    line.put(glyph("\xE2\x9C\x97", "!"), 1, kBoldRed);
  }
  std::string lines = std::move(line).take();
  if (!remarks.empty()) {
    Line below = line_below(group, index);
    put_notes(below, remarks, width_ - below.width());
    lines += std::move(below).take();
  }
  if (drawing_.attributes && !row.repeat && row.folded.empty()) {
    lines += detail_lines(group, index);
  }
  return lines;
}

Line GroupPainter::line_below(const Group& group, std::size_t index) const {
  Line line(drawing_.colour);
  line.pad_to(group.columns.label_at);
  line.put(guides(group, index, true), kDim);
  line.pad_to(line.width() + 2);
  return line;
}

std::string GroupPainter::detail_lines(const Group& group, std::size_t index) const {
  const Span& span = *graph_.nodes[group.rows[index].node].span;
  std::string lines;
  const auto add = [&](std::string_view key, std::string_view value) {
    Line line = line_below(group, index);
    const std::size_t room = width_ - line.width();
    line.put(cleaned(key, std::max(room / 2, room - std::min<std::size_t>(room, 18))), kDim);
    line.put(": ", 2, kDim);
    line.put(cleaned(value, width_ - line.width()));
    lines += std::move(line).take();
  };
  add("span id", span.span_id);
  if (group.several_traces) {
    add("trace id", span.trace_id);
  }
  if (!span.status_message.empty()) {
    add("status", span.status_message);
  }
  for (const auto& [key, value] : span.attributes) {
    add(key, value);
  }
  const std::size_t listed = drawing_.fold ? std::min(span.links.size(), kLinksListed) : span.links.size();
  for (std::size_t i = 0; i < listed; ++i) {
    add("link", span.links[i].trace_id + " " + span.links[i].span_id);
  }
  if (listed < span.links.size()) {
    add("link", "and " + std::to_string(span.links.size() - listed) + " more");
  }
  return lines;
}

}  // namespace midtrace::waterfall
