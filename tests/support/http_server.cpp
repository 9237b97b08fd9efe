#include "http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace midtrace::test {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t partial_body = 64U << 10U;

bool is_partial(const HttpAnswer& answer) {
  return answer.fault == HttpAnswer::Fault::reset_in_request ||
         answer.fault == HttpAnswer::Fault::stop_reading;
}

const char* reason_of(int status) { return status < 300 ? "OK" : "Refused"; }

std::string lower(std::string text) {
  for (char& c : text)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

// One accepted connection, with TLS or without.
class HttpServer::Connection {
 public:
  Connection(int descriptor, ssl_ctx_st* tls) : descriptor_(descriptor) {
    if (tls == nullptr) return;
    ssl_ = SSL_new(tls);
    SSL_set_fd(ssl_, descriptor);
    good_ = SSL_accept(ssl_) == 1;
  }
  ~Connection() { SSL_free(ssl_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool good() const { return good_; }
  bool read_more(std::string& into) {
    char bytes[16384];
    const ssize_t count =
        ssl_ != nullptr ? SSL_read(ssl_, bytes, sizeof(bytes)) : recv(descriptor_, bytes, sizeof(bytes), 0);
    if (count <= 0) return false;
    into.append(bytes, static_cast<std::size_t>(count));
    return true;
  }
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                            : send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  // Ends our half and reads what the other side still sends; a reset would overtake what we sent last.
  void end_in_order() {
    ::shutdown(descriptor_, SHUT_WR);
    char bytes[16384];
    while (recv(descriptor_, bytes, sizeof(bytes), 0) > 0) {
    }
  }
  // The end of the connection is then a reset.
  void reset_at_close() {
    const linger at_once{1, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }

 private:
  int descriptor_;
  ssl_st* ssl_ = nullptr;
  bool good_ = true;
};

HttpServer::HttpServer(std::initializer_list<HttpAnswer> script, std::optional<TlsFiles> tls)
    : script_(script) {
  if (tls) {
    tls_ = SSL_CTX_new(TLS_server_method());
    bool good = SSL_CTX_use_certificate_chain_file(tls_, tls->certificate.c_str()) == 1 &&
                SSL_CTX_use_PrivateKey_file(tls_, tls->key.c_str(), SSL_FILETYPE_PEM) == 1;
    if (good && !tls->client_authority.empty()) {
      good = SSL_CTX_load_verify_locations(tls_, tls->client_authority.c_str(), nullptr) == 1;
      SSL_CTX_set_verify(tls_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    if (!good) throw std::runtime_error("the test server cannot use its certificates");
  }
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (std::any_of(script_.begin(), script_.end(), is_partial)) {
    // So that what is not read does not fit.
    const int bytes = static_cast<int>(partial_body);
    setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("the test server finds no port");
  }
  port_ = ntohs(address.sin_port);
  // A client that goes away while TLS writes must not end the test.
  std::signal(SIGPIPE, SIG_IGN);
  acceptor_ = std::thread([this] { accept_connections(); });
}

HttpServer::~HttpServer() {
  std::vector<std::thread> workers;
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    for (const int descriptor : open_)
      ::shutdown(descriptor, SHUT_RDWR);
    workers.swap(workers_);
  }
  changed_.notify_all();
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& worker : workers)
    worker.join();
  for (std::thread& worker : workers_)
    worker.join();
  ::close(listener_);
  SSL_CTX_free(tls_);
}

std::string HttpServer::url() const {
  return std::string(tls_ != nullptr ? "https" : "http") + "://127.0.0.1:" + std::to_string(port_);
}

std::vector<HttpRequest> HttpServer::requests() const {
  const std::lock_guard guard(mutex_);
  return requests_;
}

bool HttpServer::wait_for_requests(std::size_t count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return requests_.size() >= count; });
}

void HttpServer::accept_connections() {
  for (std::size_t number = 1;; ++number) {
    const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) return;
    const std::lock_guard guard(mutex_);
    if (stopping_) {
      ::close(descriptor);
      return;
    }
    open_.push_back(descriptor);
    workers_.emplace_back([this, descriptor, number] { serve(descriptor, number); });
  }
}

void HttpServer::serve(int descriptor, std::size_t number) {
  {
    Connection connection(descriptor, tls_);
    std::string bytes;
    bool open = connection.good();
    if (!open) connection.end_in_order();
    while (open) {
      std::size_t head_size = 0;
      while (open && (head_size = bytes.find("\r\n\r\n")) == std::string::npos)
        open = connection.read_more(bytes);
      if (!open) break;

      HttpRequest request;
      request.connection = number;
      const std::string head = bytes.substr(0, head_size + 2);
      bytes.erase(0, head_size + 4);
      const std::size_t first_space = head.find(' ');
      const std::size_t second_space = head.find(' ', first_space + 1);
      request.method = head.substr(0, first_space);
      request.target = head.substr(first_space + 1, second_space - first_space - 1);
      for (std::size_t begin = head.find("\r\n") + 2; begin < head.size();) {
        const std::size_t end = head.find("\r\n", begin);
        const std::string line = head.substr(begin, end - begin);
        const std::size_t colon = line.find(':');
        const std::size_t value = line.find_first_not_of(' ', colon + 1);
        request.headers[lower(line.substr(0, colon))] = value == std::string::npos ? "" : line.substr(value);
        begin = end + 2;
      }
      const auto length = request.headers.find("content-length");
      std::size_t body_size = length == request.headers.end() ? 0 : std::stoul(length->second);
      {
        const std::lock_guard guard(mutex_);
        if (is_partial(next_answer())) body_size = std::min(body_size, partial_body);
      }
      while (open && bytes.size() < body_size)
        open = connection.read_more(bytes);
      if (!open) break;
      request.body = bytes.substr(0, body_size);
      bytes.erase(0, body_size);

      HttpAnswer next;
      {
        const std::lock_guard guard(mutex_);
        next = next_answer();
        requests_.push_back(std::move(request));
        changed_.notify_all();
      }
      open = answer(connection, next);
    }
  }
  const std::lock_guard guard(mutex_);
  std::erase(open_, descriptor);
  ::close(descriptor);
}

const HttpAnswer& HttpServer::next_answer() const {
  return script_[std::min(requests_.size(), script_.size() - 1)];
}

// Whether the connection goes on.
bool HttpServer::answer(Connection& connection, const HttpAnswer& answer) {
  using Fault = HttpAnswer::Fault;
  if (answer.fault == Fault::never || answer.fault == Fault::stop_reading) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_; });
    return false;
  }
  if (answer.fault == Fault::reset_before_answer || answer.fault == Fault::reset_in_request) {
    connection.reset_at_close();
    return false;
  }
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " " + reason_of(answer.status) + "\r\n";
  for (const auto& [name, value] : answer.headers)
    head += name + ": " + value + "\r\n";
  head += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n";
  if (answer.fault == Fault::reset_in_body) {
    connection.write(head + answer.body.substr(0, answer.body.size() / 2));
    // What was sent must arrive first; a reset overtakes it.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, milliseconds(100), [this] { return stopping_; });
    connection.reset_at_close();
    return false;
  }
  if (answer.fault == Fault::drip) {
    if (!connection.write(head)) return false;
    for (const char& byte : answer.body) {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, milliseconds(50), [this] { return stopping_; })) return false;
      lock.unlock();
      if (!connection.write({&byte, 1})) return false;
    }
    return true;
  }
  return connection.write(head + answer.body) && answer.fault != Fault::close_after;
}

}  // namespace midtrace::test
