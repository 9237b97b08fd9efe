// Http2Proxy: nginx as a throw-away child process that speaks HTTP/2 over TLS on a free loopback port and
// hands every request on, by HTTP/1.1, to a server of the test, usually an HttpServer.
//
// What only the side that speaks HTTP/2 knows comes to that server as headers of the request:
//
//   x-client-protocol      "HTTP/2.0", or what else the client spoke
//   x-client-connection    a number of the client's connection, its own in every process of nginx
//   x-connection-requests  how many requests that connection has brought, this one included
//
// nginx is one process without a master, so that nothing can outlive the test (see child_process.h), and
// keeps all its files in a temporary directory; no root, and nothing listens outside the loopback address.
// The price is that SIGQUIT ends it as hard as SIGTERM does; an orderly GOAWAY is had by
// `keepalive_requests`.
//
// Errors: start() answers nullptr, start_again() false, with one line in `why_not`. Threads: one at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "support/child_process.h"
#include "support/http_server.h"

namespace midtrace::test {

struct Http2ProxyOptions {
  std::uint16_t backend_port = 0;
  TlsFiles tls = {};
  std::string directives = {};  // of the server block, as "keepalive_requests 2;"
};

class Http2Proxy {
 public:
  // Ready for connections on return.
  static std::unique_ptr<Http2Proxy> start(const Http2ProxyOptions& options, std::string* why_not);
  Http2Proxy(const Http2Proxy&) = delete;
  Http2Proxy& operator=(const Http2Proxy&) = delete;

  std::uint16_t port() const { return port_; }
  // `https://127.0.0.1:<port>`, the same after start_again().
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  // Every connection ends, and nobody listens any more.
  void stop() { process_->stop(); }
  bool start_again(std::string* why_not);
  // Connections stay open, new ones are accepted by the kernel, and nothing is ever read or written.
  void freeze() { process_->signal(SIGSTOP); }

  // Whether there is an nginx with HTTP/2.
  static bool available(std::string* why_not);

 private:
  Http2Proxy() = default;
  bool write_configuration(const Http2ProxyOptions& options) const;

  // The process goes before the directory that it writes in.
  TemporaryDirectory directory_;
  std::uint16_t port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace midtrace::test
