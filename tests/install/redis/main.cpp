// A program that has midtrace::redis: without a server, a command that cannot be sent gets its span.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <midtrace/redis.h>
#include <midtrace/setup.h>

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string path = "consumer-redis-" + std::to_string(getpid()) + ".jsonl";
  setenv("OTEL_TRACES_EXPORTER", "otlp_file", 1);
  setenv("MIDTRACE_OTLP_FILE", path.c_str(), 1);
  bool answered = true;
  {
    auto telemetry = midtrace::setup({.service_name = "consumer"});
    midtrace::redis::Client redis(redisConnectUnix("/nowhere/redis.sock"));
    answered = redis.command("SET %s %s", "key", "secret") != nullptr;
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::remove(path.c_str());
  if (answered || text.find("\"SET key ?\"") == std::string::npos ||
      text.find("secret") != std::string::npos) {
    std::fprintf(stderr, "answered: %d, spans: \"%s\"\n", answered ? 1 : 0, text.c_str());
    return 1;
  }
  return 0;
}
