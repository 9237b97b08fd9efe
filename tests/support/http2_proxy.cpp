#include "support/http2_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <fstream>
#include <thread>

namespace midtrace::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

void explain(std::string* why_not, std::string text) {
  if (why_not != nullptr) *why_not = std::move(text);
}

// Debian keeps it where an ordinary user's PATH does not look.
std::string find_nginx() {
  std::string found = find_program("nginx");
  return found.empty() ? find_program("/usr/sbin/nginx") : found;
}

bool accepts_connections(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool accepted = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return accepted;
}

}  // namespace

bool Http2Proxy::available(std::string* why_not) {
  if (!find_nginx().empty()) return true;
  explain(why_not, "no nginx in PATH or /usr/sbin (Debian package nginx-light)");
  return false;
}

std::unique_ptr<Http2Proxy> Http2Proxy::start(const Http2ProxyOptions& options, std::string* why_not) {
  if (!available(why_not)) return nullptr;
  try {
    // A port that was free a moment ago may be taken when nginx asks for it.
    for (int attempt = 0; attempt < 3; ++attempt) {
      std::unique_ptr<Http2Proxy> proxy(new Http2Proxy);
      proxy->port_ = free_loopback_port();
      if (!proxy->write_configuration(options)) {
        explain(why_not, "cannot write in " + proxy->directory_.path().string());
        return nullptr;
      }
      if (proxy->start_again(why_not)) return proxy;
    }
  } catch (const std::exception& error) {
    explain(why_not, error.what());
  }
  return nullptr;
}

bool Http2Proxy::write_configuration(const Http2ProxyOptions& options) const {
  std::ofstream file(directory_.path() / "nginx.conf");
  file << "daemon off;\n"
          "master_process off;\n"
          "pid nginx.pid;\n"
          "error_log error.log;\n"
          "events { worker_connections 64; }\n"
          "http {\n"
          "  access_log off;\n";
  for (const char* name : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    file << "  " << name << "_temp_path " << name << ";\n";
  file << "  client_max_body_size 64m;\n"
          "  server {\n"
       << "    listen 127.0.0.1:" << port_ << " ssl http2;\n"
       << "    ssl_certificate " << options.tls.certificate.string() << ";\n"
       << "    ssl_certificate_key " << options.tls.key.string() << ";\n"
       << "    " << options.directives << '\n'
       << "    location / {\n"
          "      proxy_pass http://127.0.0.1:"
       << options.backend_port
       << ";\n"
          "      proxy_http_version 1.1;\n"
          "      proxy_set_header Connection \"\";\n"
          "      proxy_set_header X-Client-Protocol $server_protocol;\n"
          "      proxy_set_header X-Client-Connection $connection;\n"
          "      proxy_set_header X-Connection-Requests $connection_requests;\n"
          "    }\n"
          "  }\n"
          "}\n";
  file.close();
  return file.good();
}

bool Http2Proxy::start_again(std::string* why_not) {
  const fs::path log = directory_.path() / "error.log";
  ProcessOptions options;
  options.arguments = {find_nginx(), "-p",       directory_.path().string() + "/", "-c", "nginx.conf",
                       "-e",         "error.log"};
  options.working_directory = directory_.path();
  options.log_file = directory_.path() / "output.log";
  process_ = ChildProcess::start(options, why_not);
  if (!process_) return false;
  const auto deadline = steady_clock::now() + seconds(20);
  while (process_->running() && steady_clock::now() < deadline) {
    if (accepts_connections(port_)) return true;
    process_->wait(milliseconds(5));
  }
  explain(why_not, "nginx does not start: " + last_lines(log, 3) + last_lines(options.log_file, 3));
  return false;
}

}  // namespace midtrace::test
