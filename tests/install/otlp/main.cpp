// A program that links midtrace::otlp and names nothing of it: OTEL_TRACES_EXPORTER=otlp sends its span by
// HTTP nevertheless.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <midtrace/setup.h>
#include <midtrace/trace/tracer.h>

namespace {

// Answers the first request with 200; everything that came until then.
std::string serve_once(int listener) {
  const int connection = accept(listener, nullptr, nullptr);
  std::string request;
  char bytes[4096];
  while (request.find("a span from outside") == std::string::npos) {
    const ssize_t count = recv(connection, bytes, sizeof(bytes), 0);
    if (count <= 0) break;
    request.append(bytes, static_cast<std::size_t>(count));
  }
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  if (send(connection, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) request.clear();
  close(connection);
  return request;
}

}  // namespace

int main() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("no port");
    return 1;
  }
  std::string request;
  std::thread server([&] { request = serve_once(listener); });
  const std::string endpoint = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  setenv("OTEL_TRACES_EXPORTER", "otlp", 1);
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.c_str(), 1);
  setenv("no_proxy", "127.0.0.1", 1);
  {
    auto telemetry = midtrace::setup({.service_name = "consumer"});
    midtrace::Tracer::get("consumer").start("a span from outside").end();
    if (!telemetry.ok() || !telemetry.flush()) {
      std::fprintf(stderr, "not exported: %s\n", telemetry.error().c_str());
      shutdown(listener, SHUT_RDWR);  // nobody will connect any more
    }
  }
  server.join();
  close(listener);
  if (request.find("POST /v1/traces HTTP/1.1") != 0 ||
      request.find("a span from outside") == std::string::npos) {
    std::fprintf(stderr, "the request is \"%s\"\n", request.c_str());
    return 1;
  }
  return 0;
}
