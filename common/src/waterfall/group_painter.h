// Paints one group of connected spans: header, axis, and a row per span.
//
// Contract: paint() returns whole lines within Drawing::width. One painter serves all groups of a drawing, so
// that a service keeps its colour throughout. The columns are: service, tree and name, kind, bar, duration,
// error mark; what else there is to say about a span (error type, shared, missing parent) stands in the blank
// part of its bar column, or on a line of its own when it does not fit there. Threads: one thread per
// painter.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "waterfall/bars.h"
#include "waterfall/graph.h"
#include "waterfall/line.h"
#include "waterfall/rows.h"
#include "waterfall/text.h"
#include "waterfall/waterfall.h"

namespace midtrace::waterfall {

// "1 span", "2 spans".
std::string counted(std::size_t count, std::string_view what);

class GroupPainter {
 public:
  GroupPainter(const Graph& graph, const Drawing& drawing);

  std::string paint(const std::vector<std::size_t>& group);

 private:
  struct Columns {
    std::size_t service = 0;  // 0: no such column
    std::size_t label_at = 0;
    std::size_t label = 0;
    std::size_t levels = 0;  // of indentation; outer ones are elided beyond it
    std::size_t kind_at = 0;
    std::size_t bar_at = 0;
    std::size_t bar = 0;
    std::size_t duration_at = 0;
    std::size_t mark_at = 0;
  };

  struct Note {
    Text text;
    bool error = false;
  };

  // What holds for the group being painted.
  struct Group {
    std::vector<Row> rows;
    Columns columns;
    bool several_traces = false;
  };

  Columns measure(const Group& group) const;
  std::string header(const std::vector<std::size_t>& group, std::int64_t origin, std::int64_t end) const;
  std::string titles(const Columns& columns, const Axis& axis) const;
  std::string row_lines(const Group& group, std::size_t index, const Axis& axis);
  std::string detail_lines(const Group& group, std::size_t index) const;
  Line line_below(const Group& group, std::size_t index) const;

  Text guides(const Group& group, std::size_t index, bool below) const;
  Strip strip(const Group& group, std::size_t index, const Axis& axis) const;
  Text wait_label(const Group& group, std::size_t index) const;
  std::vector<Note> notes(const Row& row) const;
  void put_label(Line& line, const Group& group, std::size_t index) const;
  void put_bar(Line& line, const Strip& strip, const Text& wait, std::vector<Note>& notes,
               std::string_view style) const;
  void put_notes(Line& line, const std::vector<Note>& notes, std::size_t limit) const;
  std::string service_style(std::string_view service);
  Text cleaned(std::string_view raw, std::size_t limit = kNoLimit) const {
    return clean(raw, drawing_.unicode, limit);
  }
  const char* glyph(const char* unicode, const char* ascii) const {
    return drawing_.unicode ? unicode : ascii;
  }

  const Graph& graph_;
  Drawing drawing_;
  std::size_t width_;
  std::unordered_map<std::string_view, std::size_t> service_colours_;
};

}  // namespace midtrace::waterfall
