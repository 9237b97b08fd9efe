#include "options.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace midtrace::view {
namespace {

constexpr int kDefaultWidth = 100;

std::optional<int> positive(std::string_view digits) {
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  return whole && value > 0 ? std::optional<int>(value) : std::nullopt;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// Applies one option. `value` is the text after '=' or the next argument.
void apply_valued(Options& options, std::string_view name, const std::string& value) {
  if (name == "--width") {
    options.width = positive(value);
    if (!options.width) {
      options.error = "--width needs a positive number, not \"" + value + "\"";
    }
  } else {
    options.selection.trace_prefix = lower(value);
    if (value.empty() || value.size() > 32 || !is_hex(options.selection.trace_prefix)) {
      options.error = "--trace needs the first hexadecimal digits of a trace id, not \"" + value + "\"";
    }
  }
}

bool apply_flag(Options& options, std::string_view name) {
  if (name == "--help" || name == "-h") {
    options.help = true;
  } else if (name == "--version") {
    options.version = true;
  } else if (name == "--color" || name == "--colour") {
    options.colour = true;
  } else if (name == "--no-color" || name == "--no-colour") {
    options.colour = false;
  } else if (name == "--ascii") {
    options.unicode = false;
  } else if (name == "--unicode") {
    options.unicode = true;
  } else if (name == "--attributes" || name == "-a") {
    options.attributes = true;
  } else if (name == "--errors") {
    options.selection.errors_only = true;
  } else if (name == "--all") {
    options.fold = false;
  } else {
    return false;
  }
  return true;
}

}  // namespace

const char* const kHelp =
    R"(midtrace-view: draws the traces of OTLP/JSON files as waterfalls in the terminal

usage: midtrace-view [options] FILE...        "-" reads standard input

  -a, --attributes    ids, status message, attributes and links under each span
      --trace ID      only the trace whose id begins with ID, and the traces linked to it
      --errors        only traces with an error
      --all           every span, also where many are alike and would be folded
      --width N       columns to use (default: the terminal's width, COLUMNS, or 100)
      --color         colours even when the output is not a terminal
      --no-color      no colours (so does the environment variable NO_COLOR)
      --ascii         nothing but ASCII characters
      --unicode       Unicode characters whatever the locale says
      --version       print the version
  -h, --help          this text

FILE holds JSON Lines or any JSON documents in the OTLP encoding, from any SDK or collector.

How to read a drawing
  srv cli prod cons int   kind: server, client, producer, consumer, internal
  bar                     when the span ran, on the time axis of its traces
  dots before a bar       time between the end of the span above it and its start
  arrow                   the span stands here because it links to the span above
  shared xN [1]           one span below N others; drawn in full once, [1] and an arrow lead there
  N more                  siblings alike, folded into one row (--all shows them)

exit code: 0 all read, 1 something in a file could not be read, 2 wrong usage or unreadable file
)";

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  bool only_files = false;
  for (std::size_t i = 0; i < arguments.size() && options.error.empty(); ++i) {
    const std::string& argument = arguments[i];
    if (only_files || argument.size() < 2 || argument.front() != '-') {
      options.files.push_back(argument);
      continue;
    }
    if (argument == "--") {
      only_files = true;
      continue;
    }
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    if (name == "--width" || name == "--trace") {
      if (equals != std::string::npos) {
        apply_valued(options, name, argument.substr(equals + 1));
      } else if (i + 1 < arguments.size()) {
        apply_valued(options, name, arguments[++i]);
      } else {
        options.error = name + " needs a value";
      }
    } else if (!apply_flag(options, argument)) {
      options.error = "unknown option " + argument;
    }
  }
  return options;
}

Surroundings surroundings() {
  Surroundings around;
  around.output_is_terminal = isatty(STDOUT_FILENO) == 1;
  winsize size{};
  if (around.output_is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    around.terminal_width = size.ws_col;
  }
  around.columns = environment("COLUMNS");
  around.no_color = environment("NO_COLOR");
  around.term = environment("TERM");
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (around.locale.empty()) {
      around.locale = environment(name);
    }
  }
  return around;
}

waterfall::Drawing finish(const Options& options, const Surroundings& around) {
  waterfall::Drawing drawing;
  drawing.attributes = options.attributes;
  drawing.fold = options.fold;
  drawing.colour =
      options.colour.value_or(around.no_color.empty() && around.term != "dumb" && around.output_is_terminal);
  const std::string locale = lower(around.locale);
  const bool utf8 = locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  drawing.unicode = options.unicode.value_or(locale.empty() || utf8);
  drawing.width = kDefaultWidth;
  if (options.width) {
    drawing.width = *options.width;
  } else if (around.terminal_width > 0) {
    drawing.width = around.terminal_width;
  } else if (const std::optional<int> columns = positive(around.columns)) {
    drawing.width = *columns;
  }
  return drawing;
}

}  // namespace midtrace::view
