// HttpServer: an HTTP/1.1 server on a free loopback port that answers as a test tells it, and misbehaves on
// request; with certificates it speaks TLS.
//
// The script has one answer for each request, in the order in which they come; the last one stays in use.
// Every request is kept. A connection is kept alive unless an answer ends it. A client that is refused in the
// handshake is told so before the connection ends. Any thread; the destructor ends
// every connection, also those that wait for an answer that never comes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

struct ssl_ctx_st;

namespace midtrace::test {

struct HttpRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::size_t connection = 0;  // which connection brought it, from 1
};

struct HttpAnswer {
  enum class Fault : std::uint8_t {
    none,
    reset_before_answer,
    reset_in_body,  // half of the body, then a reset
    never,          // no byte
    drip,           // the head, then a byte of the body every 50 ms
    close_after,    // an orderly end of the connection behind the answer
    // Of the request: the first 64 KiB of its body are read, and kept as its body.
    reset_in_request,
    stop_reading,  // nothing more is read, and no byte sent
  };
  int status = 200;
  std::map<std::string, std::string> headers = {};
  std::string body = {};
  Fault fault = Fault::none;
};

struct TlsFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
  std::filesystem::path client_authority = {};  // not empty: clients must show a certificate signed by it
};

class HttpServer {
 public:
  explicit HttpServer(std::initializer_list<HttpAnswer> script = {{}}, std::optional<TlsFiles> tls = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const { return port_; }
  // `http://127.0.0.1:<port>`, or https.
  std::string url() const;
  std::vector<HttpRequest> requests() const;
  // Until so many requests have come, whole or as far as they are read; false after 20 s.
  bool wait_for_requests(std::size_t count) const;

 private:
  class Connection;
  void accept_connections();
  void serve(int descriptor, std::size_t number);
  const HttpAnswer& next_answer() const;  // with the lock held
  bool answer(Connection& connection, const HttpAnswer& answer);

  const std::vector<HttpAnswer> script_;
  ssl_ctx_st* tls_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<HttpRequest> requests_;
  std::vector<int> open_;
  std::vector<std::thread> workers_;
  std::thread acceptor_;
};

}  // namespace midtrace::test
