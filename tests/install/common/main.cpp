// A program that has only midtrace::common: its span arrives in the file that OTEL_TRACES_EXPORTER names, and
// shared objects that it loads find the library by its anchor.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include <midtrace/setup.h>
#include <midtrace/trace/rate_limiting_sampler.h>
#include <midtrace/trace/rule_based_sampler.h>
#include <midtrace/trace/tracer.h>

int main() {
  const std::string path = "consumer-" + std::to_string(getpid()) + ".jsonl";
  setenv("OTEL_TRACES_EXPORTER", "otlp_file", 1);
  setenv("MIDTRACE_OTLP_FILE", path.c_str(), 1);
  {
    midtrace::RuleBasedOptions rules;
    rules.rules = {{.name = "a span *", .action = midtrace::rate_limiting_sampler({})}};
    auto telemetry = midtrace::setup(
        {.service_name = "consumer", .sampler = midtrace::rule_based_sampler(std::move(rules))});
    if (!telemetry.ok()) {
      std::fprintf(stderr, "setup failed: %s\n", telemetry.error().c_str());
      return 1;
    }
    midtrace::Tracer::get("consumer").start("a span from outside").end();
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::remove(path.c_str());
  if (text.find("a span from outside") == std::string::npos) {
    std::fprintf(stderr, "the span is not in %s: \"%s\"\n", path.c_str(), text.c_str());
    return 1;
  }
  if (dlsym(RTLD_DEFAULT, "midtrace_anchor_v1") == nullptr) {
    std::fputs("the program does not export midtrace_anchor_v1: a link option was lost\n", stderr);
    return 1;
  }
  return 0;
}
