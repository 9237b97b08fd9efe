#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "cases.h"
#include "harness.h"

namespace midtrace::bench {
namespace {

constexpr std::string_view usage =
    R"(usage: midtrace_bench [--filter TEXT] [--quick] [--long] [--json FILE] [--list]

  --filter TEXT  only the cases whose name contains TEXT
  --quick        fewer rounds: wider intervals, so a budget may seem missed
  --long         looks for growth up to 10^7 messages instead of 10^6
  --json FILE    writes the rows as a JSON array as well
  --list         prints the names of the cases and stops

Exit code: 0 every budget holds, 1 one was missed or is void, 2 wrong arguments or an unwritable file.
)";

int fail(const std::string& message) {
  std::fprintf(stderr, "midtrace_bench: %s\n%s", message.c_str(), usage.data());
  return 2;
}

int run_as_child(std::string_view name) {
  for (const ChildCase& child : child_cases()) {
    if (child.name != name) continue;
    for (const double value : child.run())
      std::printf("%.17g\n", value);
    return 0;
  }
  return fail("there is no child case \"" + std::string(name) + "\".");
}

int run(const Options& options) {
  Session session(options);
  std::size_t matching = 0;
  for (const Case& one : cases()) {
    if (one.name.find(options.filter) == std::string_view::npos) continue;
    ++matching;
    std::fprintf(stderr, "%s ...\n", std::string(one.name).c_str());
    one.run(session);
  }
  if (matching == 0) return fail("no case contains \"" + options.filter + "\"; --list shows them.");

  std::printf("%s\n\n%s", machine().c_str(), table(session.rows()).c_str());
  if (!options.json_path.empty()) {
    std::ofstream file(options.json_path);
    file << json(session.rows());
    if (!file.flush())
      return fail("cannot write \"" + options.json_path + "\" (--json): name a writable file.");
  }
  for (const Row& row : session.rows()) {
    if (row.holds() == false) return 1;
  }
  return 0;
}

int parse_and_run(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    const bool takes_value = argument == "--filter" || argument == "--json" || argument == "--child";
    if (takes_value && i + 1 == count) return fail("the option " + argument + " needs a value.");
    if (argument == "--filter") {
      options.filter = arguments[++i];
    } else if (argument == "--json") {
      options.json_path = arguments[++i];
    } else if (argument == "--child") {
      return run_as_child(arguments[++i]);
    } else if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--long") {
      options.long_run = true;
    } else if (argument == "--list") {
      for (const Case& one : cases())
        std::printf("%s\n", std::string(one.name).c_str());
      return 0;
    } else if (argument == "--help" || argument == "-h") {
      std::fputs(usage.data(), stdout);
      return 0;
    } else {
      return fail("unknown argument \"" + argument + "\".");
    }
  }
  return run(options);
}

}  // namespace
}  // namespace midtrace::bench

int main(int count, char** arguments) { return midtrace::bench::parse_and_run(count, arguments); }
