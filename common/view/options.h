// The command line of midtrace-view, and what the terminal and the environment add to it.
//
// Contract: parse() reads arguments only, finish() fills what they leave open from `Surroundings`, so both
// can be tested without a terminal. An argument that makes no sense yields a sentence in `error` and nothing
// else. Precedence for colour: --color/--no-color, then NO_COLOR, then TERM=dumb, then whether standard
// output is a terminal. For width:
// --width, the terminal's, COLUMNS, 100. Unicode: --ascii/--unicode, then the character set LC_ALL, LC_CTYPE
// or LANG name; when none of them is set (as in most containers), Unicode. Threads: values; surroundings()
// reads the environment and must not race with setenv().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "waterfall/waterfall.h"

namespace midtrace::view {

struct Options {
  std::string error;  // not empty: say it and stop
  bool help = false;
  bool version = false;
  std::vector<std::string> files;
  waterfall::Selection selection;
  bool attributes = false;
  bool fold = true;
  std::optional<int> width;
  std::optional<bool> colour;
  std::optional<bool> unicode;
};

struct Surroundings {
  bool output_is_terminal = false;
  int terminal_width = 0;  // 0: unknown
  std::string columns;     // environment variables, empty when unset
  std::string no_color;
  std::string term;
  std::string locale;  // the first that is set of LC_ALL, LC_CTYPE, LANG
};

Options parse(const std::vector<std::string>& arguments);
Surroundings surroundings();
waterfall::Drawing finish(const Options& options, const Surroundings& around);

extern const char* const kHelp;

}  // namespace midtrace::view
