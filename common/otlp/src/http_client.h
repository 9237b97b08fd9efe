// HttpClient: sends one body at a time by HTTP POST, over a connection that is kept.
//
// libcurl does the work, driven in short steps, so that a deadline that another thread brings forward ends an
// attempt within a few hundredths of a second. Nothing is ever written to standard output, no signal is used,
// no redirect followed, no other protocol than HTTP(S) spoken. One thread; a forked child must not use its
// parent's client: it calls leave_to_parent() and makes one of its own.
#pragma once

#include <curl/curl.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "patience.h"
#include "settings.h"

namespace midtrace {
inline namespace v1 {
namespace otlp {

struct Answer {
  enum class Kind : std::uint8_t {
    answered,    // `status` and `body` hold
    connection,  // none, or it broke before the whole answer was there
    timeout,
    tls,
    too_large,  // the answer
    internal,   // no memory, or libcurl cannot do what is asked
  };
  Kind kind = Kind::internal;
  long status = 0;
  bool may_repeat = false;  // whether another attempt could go better
  // What the answer asks for; 0: nothing.
  std::chrono::seconds retry_after{0};
  // The body, or libcurl's words; lives until the next attempt.
  std::string_view body = {};
  std::string_view error = {};
};

class HttpClient {
 public:
  // Null when there is no memory.
  static std::unique_ptr<HttpClient> make(const Settings& settings);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  Answer post(std::string_view body, Patience& patience, Patience::Time deadline) noexcept;

  // Whether the sockets are still ours: the application may have closed every descriptor that it does not
  // know, and been handed the same numbers. If not, the client must be forgotten, neither used nor destroyed;
  // post() looks before each of its steps, and then gives up the attempt.
  bool intact() const noexcept;
  // In a forked child: closes the inherited sockets without a word to the other side.
  void leave_to_parent() noexcept;

 private:
  struct Socket {
    int number = -1;
    dev_t device = 0;
    ino_t inode = 0;
    bool ours() const noexcept;
  };

  explicit HttpClient(const Settings& settings) noexcept : settings_(settings) {}
  bool configure();
  void set_timeouts(std::chrono::milliseconds left) noexcept;
  Answer answer_of(CURLcode result) noexcept;
  bool keep(const char* bytes, std::size_t count) noexcept;
  int open_socket(const curl_sockaddr& address) noexcept;
  int close_socket(int number) noexcept;

  const Settings& settings_;
  CURL* easy_ = nullptr;
  CURLM* multi_ = nullptr;
  curl_slist* headers_ = nullptr;
  std::array<Socket, 8> sockets_{};
  std::string body_;
  bool too_large_ = false;
  // After an attempt without an answer the next one makes a connection of its own: with HTTP/2 libcurl would
  // go on with one that a path has silently lost, for as long as TCP believes in it.
  bool distrust_connection_ = false;
  bool no_memory_ = false;  // for the answer
  std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace
