// midtrace-view: OTLP/JSON files in, waterfalls out. Exit codes are part of its contract, see kHelp.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

#include "options.h"
#include "otlp_json_reader.h"
#include "waterfall/text.h"
#include "waterfall/waterfall.h"

#ifndef MIDTRACE_VIEW_VERSION
#define MIDTRACE_VIEW_VERSION "unknown"
#endif

namespace {

using midtrace::view::Options;
using midtrace::view::Reading;

constexpr int kAllRead = 0;
constexpr int kPartlyRead = 1;
constexpr int kUnusable = 2;
constexpr std::size_t kReasonLimit = 200;
constexpr std::size_t kProblemsSaid = 50;  // per file; the rest is counted

// Messages quote file names and file contents, which are as foreign as span names.
void say(const std::string& message) {
  const std::string safe = midtrace::waterfall::clean(message, true).bytes;
  std::fprintf(stderr, "midtrace-view: %s\n", safe.c_str());
}

std::string system_reason(int error) { return std::error_code(error, std::generic_category()).message(); }

// False, with a message said, when the file cannot be read.
bool read_file(const std::string& path, std::string& text) {
  const bool standard_input = path == "-";
  std::FILE* file = standard_input ? stdin : std::fopen(path.c_str(), "rb");
  int error = file == nullptr ? errno : 0;
  if (file != nullptr) {
    std::array<char, 65536> block;
    std::size_t count = 0;
    errno = 0;
    while ((count = std::fread(block.data(), 1, block.size(), file)) > 0) {
      text.append(block.data(), count);
    }
    error = std::ferror(file) != 0 ? errno : 0;
    if (!standard_input) {
      std::fclose(file);
    }
  }
  if (error != 0) {
    say("cannot read " + (standard_input ? std::string("standard input") : path) + ": " +
        system_reason(error));
  }
  return error == 0;
}

void say_problems(const std::string& file, const std::vector<midtrace::view::Problem>& problems) {
  const std::size_t count = std::min(problems.size(), kProblemsSaid);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string reason = midtrace::waterfall::clean(problems[i].reason, true, kReasonLimit).bytes;
    say(file + ":" + std::to_string(problems[i].line) + ": " + reason);
  }
  if (count < problems.size()) {
    say(file + ": and " + std::to_string(problems.size() - count) + " more such problems");
  }
}

int run(const Options& options) {
  int exit_code = kAllRead;
  Reading reading;
  for (const std::string& path : options.files) {
    std::string text;
    if (!read_file(path, text)) {
      exit_code = kUnusable;
      continue;
    }
    midtrace::view::read_otlp_json(text, reading);
    say_problems(path == "-" ? "standard input" : path, reading.problems);
    if (!reading.problems.empty() && exit_code == kAllRead) {
      exit_code = kPartlyRead;
    }
    reading.problems.clear();
  }
  if (reading.spans.empty()) {
    say("no spans found");
    return exit_code;
  }
  const bool all = options.selection.trace_prefix.empty() && !options.selection.errors_only;
  if (!all) {
    reading.spans = midtrace::waterfall::select(reading.spans, options.selection);
    if (reading.spans.empty()) {
      say("no trace matches");
      return exit_code;
    }
  }
  const midtrace::waterfall::Drawing drawing =
      midtrace::view::finish(options, midtrace::view::surroundings());
  const std::string text = midtrace::waterfall::draw(reading.spans, drawing) + "\n" +
                           midtrace::waterfall::summary(reading.spans, drawing);
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) {
    say("cannot write: " + system_reason(errno));
    return kUnusable;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Options options = midtrace::view::parse(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
    if (!options.error.empty()) {
      say(options.error + " (--help lists what there is)");
      return kUnusable;
    }
    if (options.help) {
      std::fputs(midtrace::view::kHelp, stdout);
      return kAllRead;
    }
    if (options.version) {
      std::puts("midtrace-view " MIDTRACE_VIEW_VERSION);
      return kAllRead;
    }
    if (options.files.empty()) {
      if (isatty(STDIN_FILENO) == 1) {
        say("which file? \"-\" reads standard input (--help lists what there is)");
        return kUnusable;
      }
      options.files.emplace_back("-");
    }
    return run(options);
  } catch (const std::exception& error) {
    say(std::string("stopped: ") + error.what());
    return kUnusable;
  }
}
