// A program that has midtrace::amqp: without a broker, a publish that cannot be sent gets its `publish` span.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <midtrace/amqp.h>
#include <midtrace/setup.h>

int main() {
  const std::string path = "consumer-amqp-" + std::to_string(getpid()) + ".jsonl";
  setenv("OTEL_TRACES_EXPORTER", "otlp_file", 1);
  setenv("MIDTRACE_OTLP_FILE", path.c_str(), 1);
  int status = AMQP_STATUS_OK;
  {
    auto telemetry = midtrace::setup({.service_name = "consumer"});
    midtrace::amqp::Connection amqp(amqp_new_connection());
    // The socket is there, but nobody has connected it.
    if (amqp_tcp_socket_new(amqp.get()) == nullptr) return 1;
    status = amqp.basic_publish(1, amqp_empty_bytes, amqp_cstring_bytes("orders"), 0, 0, nullptr,
                                amqp_cstring_bytes("one"));
    amqp_envelope_t envelope{};
    envelope.routing_key = amqp_cstring_bytes("orders");
    { auto processing = midtrace::amqp::process(amqp, envelope); }
    amqp.destroy_connection();
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::remove(path.c_str());
  if (status == AMQP_STATUS_OK || text.find("\"publish orders\"") == std::string::npos ||
      text.find("\"process orders\"") == std::string::npos) {
    std::fprintf(stderr, "status: %d, spans: \"%s\"\n", status, text.c_str());
    return 1;
  }
  return 0;
}
